import { describe, expect, test } from 'vitest'
import { isListSetting, sameSetting, splitList, storeSetting } from './settings.ts'

test.each([
  ['', []],
  ['""', []],
  ['a', ['a']],
  ['"$user", public', ['$user', 'public']],
  ['"a, b", "say ""hi"""', ['a, b', 'say "hi"']],
  ['a,,b', ['a', '', 'b']],
])('the list %j has the parts %j', (text, parts) => {
  expect(splitList(text)).toEqual(parts)
})

describe('an empty list', () => {
  test.each([
    'session_preload_libraries',
    'local_preload_libraries',
    'temp_tablespaces',
  ])('of %s is written as one', (name) => {
    expect(storeSetting('role "a"', name, [])).toBe(
      `select pg_catalog.set_config('${name}', '', true); alter role "a" set "${name}" from current`,
    )
    expect([sameSetting(name, '', []), sameSetting(name, '""', [])]).toEqual([true, false])
  })

  test('of search_path may be an empty name, which is nowhere', () => {
    expect(storeSetting('role "a"', 'search_path', [])).toBe(`alter role "a" set "search_path" to ''`)
    expect([sameSetting('search_path', '', []), sameSetting('search_path', '""', [])]).toEqual([true, true])
  })
})

test('a name is a list in any spelling', () => {
  expect([isListSetting('Search_Path'), isListSetting('unix_socket_directories'), isListSetting('DateStyle')]).toEqual([
    true,
    true,
    false,
  ])
})
