import { describe, expect, test } from 'vitest'
import { parsePath, setPath } from './search-path.ts'

describe('search_path', () => {
  test.each([
    ['"$user", public', ['$user', 'public']],
    ['', []],
    ['""', []],
    ['public', ['public']],
    ['Public, "Public"', ['public', 'Public']],
    ['"a ""b"", c",d ,  e', ['a "b", c', 'd', 'e']],
    ['pg_catalog, pg_temp', ['pg_catalog', 'pg_temp']],
  ])('%s is read as the server reads it', (text, names) => {
    expect(parsePath(text)).toEqual(names)
  })

  test('is set with every name quoted, and an empty one stays empty', () => {
    expect(setPath(['$user', 'Shop "x"'], 'local ')).toBe('set local search_path to "$user", "Shop ""x""";')
    expect(setPath([], '')).toBe("set search_path to '';")
  })
})
