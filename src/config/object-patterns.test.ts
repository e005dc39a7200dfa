import { describe, expect, test } from 'vitest'
import { forPgDump, matchesName, parseSchemaPattern, parseTablePattern } from './object-patterns.ts'

const asPgDump = (text: string) => {
  const parsed = parseTablePattern(text)
  return parsed && `${forPgDump(parsed.schema)}.${forPgDump(parsed.name)}`
}

describe('a table or a pattern for tables', () => {
  test('is given to pg_dump with its schema, and with all text in quotes', () => {
    const cases: [string, string][] = [
      ['logs', '"public"."logs"'],
      ['Audit.Logs', '"Audit"."Logs"'],
      ['log_*', '"public"."log_"*'],
      ['*.log_??', '*."log_"??'],
      ['*', '"public".*'],
      ['a$b[c]|(d)', '"public"."a$b[c]|(d)"'],
      ['-x y', '"public"."-x y"'],
      ['größe*', '"public"."größe"*'],
      ['"a.b"."c*d?"', '"a.b"."c*d?"'],
      ['"say ""hi"""', '"public"."say ""hi"""'],
      ['app."x.y"', '"app"."x.y"'],
    ]
    for (const [text, expected] of cases) expect(asPgDump(text), text).toBe(expected)
  })

  test('is nothing else', () => {
    for (const text of ['', '.', 'a.', '.a', 'a.b.c', 'a"b', '"a', '""', '"a"b', 'a..b', '"a".'])
      expect(parseTablePattern(text), text).toBeUndefined()
  })

  test('matches what it says, and * only without quotes', () => {
    const name = (text: string) => parseTablePattern(text)!.name
    expect(matchesName(name('log_*'), 'log_1')).toBe(true)
    expect(matchesName(name('log_*'), 'Log_1')).toBe(false)
    expect(matchesName(name('log_?'), 'log_*')).toBe(true)
    expect(matchesName(name('"log_*"'), 'log_*')).toBe(true)
    expect(matchesName(name('"log_*"'), 'log_1')).toBe(false)
    expect(matchesName(name('"*"'), 'x')).toBe(false)
    expect(matchesName(name('"*"'), '*')).toBe(true)
    expect(matchesName(name('a+b'), 'aab')).toBe(false)
  })
})

test('a schema has no dot, unless in quotes', () => {
  expect(forPgDump(parseSchemaPattern('Tmp*')!)).toBe('"Tmp"*')
  expect(forPgDump(parseSchemaPattern('"a.b"')!)).toBe('"a.b"')
  expect(parseSchemaPattern('a.b')).toBeUndefined()
})
