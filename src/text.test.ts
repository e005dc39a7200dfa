import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { indented, shellLine, shellWord, visible, visibleJson, visibleLines, visibleSql, yamlWord } from './text.ts'

const pieces = [
  ...[
    '$(id)',
    '`id`',
    '\\! id',
    '<!channel>',
    "'",
    '"',
    '\\',
    '\\u0041',
    ' ',
    'a',
    'ñ',
    '密',
    '😀',
    '#',
    ';',
    '&',
    '|',
    '=',
    '~',
    '*',
  ],
  ...[
    '\n',
    '\r',
    '\t',
    '\0',
    '\u001b[2J',
    '\u001b]0;x\u0007',
    '\u007f',
    '\u009b2J',
    '\u2028',
    '\u202e',
    '\u2066',
    '\u200b',
    '\ufeff',
  ],
  ...['\u{e0041}', '\ud800', '\nERROR forged', '\n  hint:  forged'],
]
const hostile = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((parts) => parts.join(''))
const shown = fc.array(fc.constantFrom(...pieces.slice(0, 20)), { maxLength: 6 }).map((parts) => parts.join(''))

/** Whatever steers a terminal, begins a line or hides. */
const steers = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

const properties = { numRuns: 1_000 }

describe('visible', () => {
  test.each([
    ['a plain name', 'a plain name'],
    ['ñ 密 😀 a\tb', 'ñ 密 😀 a\tb'],
    ['a\nb\r\u0000', 'a\\u000ab\\u000d\\u0000'],
    ['\u001b]0;x\u0007\u009b', '\\u001b]0;x\\u0007\\u009b'],
    ['\u202eabc\u2069\u200b\ufeff\u2028', '\\u202eabc\\u2069\\u200b\\ufeff\\u2028'],
    ['\u{e0041}\ud800', '\\udb40\\udc41\\ud800'],
  ])('%j', (text, expected) => {
    expect(visible(text)).toBe(expected)
  })

  test('leaves nothing that steers, and what it made as it is', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(visible(text).replaceAll('\t', '')).not.toMatch(steers)
        expect(visible(visible(text))).toBe(visible(text))
      }),
      properties,
    )
  })

  test('keeps the lines that we made, which begin with two blanks, and makes such lines of what others say', () => {
    expect(visibleLines('has 2 problems:\n  a\nERROR b\n  c\u001b')).toBe(
      'has 2 problems:\n  a\\u000aERROR b\n  c\\u001b',
    )
    expect(indented('a\r\nERROR b\n  c')).toBe('a\n  ERROR b\n  c')
    expect(indented('a\nERROR b', 0)).toBe('  a\n  ERROR b')
    fc.assert(
      fc.property(hostile, (text) => {
        for (const lines of [visibleLines(text), visibleLines(indented(text))]) {
          expect(lines).toMatch(/^[^\n]*(\n {2}[^\n]*)*$/)
          expect(lines.replaceAll(/[\n\t]/g, '')).not.toMatch(steers)
          expect(visibleLines(lines)).toBe(lines)
        }
      }),
      properties,
    )
  })

  test('in JSON is the same value', () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom(undefined, 2), (text, indent) => {
        const json = visibleJson(JSON.stringify({ [text]: [text] }, undefined, indent))
        expect(json.replaceAll('\n', '')).not.toMatch(steers)
        expect(JSON.parse(json)).toEqual({ [text]: [text] })
      }),
      properties,
    )
  })
})

describe('a word of a shell', () => {
  test.each([
    ['001_users', '001_users'],
    ['V2__it.sql', 'V2__it.sql'],
    ['', "''"],
    ['=ls', "'=ls'"],
    ['x$(id)', "'x$(id)'"],
    ["it's", "'it'\\''s'"],
    ['a\nb', "'a\\u000ab'"],
  ])('%j', (word, expected) => {
    expect(shellWord(word)).toBe(expected)
  })

  test('is what sh reads, except that what does not show is visible', () => {
    const words = [...fc.sample(shown, 200), ...fc.sample(hostile, 200)]
    const line = shellLine(words)
    expect(line).not.toMatch(steers)
    const read = execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' })
    expect(read.split('\n').slice(0, -1)).toEqual(words.map((word) => visible(word).replaceAll('\t', '\\u0009')))
  })
})

describe('a word of YAML', () => {
  test.each([
    ['app_owner', 'app_owner'],
    ['on', '"on"'],
    ['1e3', '"1e3"'],
    ['x: {}, postgres', '"x: {}, postgres"'],
    ['\u202e', '"\\u202e"'],
  ])('%j', (word, expected) => {
    expect(yamlWord(word)).toBe(expected)
  })

  test('is what YAML reads, as a key and as a value', () => {
    fc.assert(
      fc.property(hostile, (word) => {
        expect(parse(`roles: { ${yamlWord(word)}: ${yamlWord(word)} }`)).toEqual({ roles: { [word]: word } })
      }),
      { numRuns: 200 },
    )
  })
})

describe('SQL', () => {
  test.each([
    ['drop table "a b"', 'drop table "a b"'],
    ['drop table "a\nb"', 'drop table U&"a\\000ab"'],
    ['alter table "a\\u000a""\u202e"."b\\c" rename', 'alter table U&"a\\\\u000a""\\202e"."b\\c" rename'],
  ])('%j', (sql, expected) => {
    expect(visibleSql(sql)).toBe(expected)
  })
})
