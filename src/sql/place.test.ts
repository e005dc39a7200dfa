import { expect, test } from 'vitest'
import { excerptOf, placeOf } from './place.ts'

test('finds line and column of a position', () => {
  const text = 'select 1;\r\nselect\n  wrong;'
  expect(placeOf(text, 1)).toEqual({ line: 1, column: 1 })
  expect(placeOf(text, 12)).toEqual({ line: 2, column: 1 })
  expect(placeOf(text, 21)).toEqual({ line: 3, column: 3 })
})

test('counts code points, not UTF-16 units', () => {
  expect(placeOf("select '😀', wrong", 13)).toEqual({ line: 1, column: 13 })
})

test('moves the end of the input to where something can be seen', () => {
  expect(placeOf('create table a (\n\n', 19)).toEqual({ line: 1, column: 17 })
  expect(placeOf('', 1)).toEqual({ line: 1, column: 1 })
})

test('points below the column, behind tabs and wide characters', () => {
  expect(excerptOf('create table a ();\ncreate tabel b', { line: 2, column: 8 })).toBe(
    '  2 | create tabel b\n    |        ^',
  )
  expect(excerptOf('\tselect 名, x', { line: 1, column: 12 })).toBe('  1 | \tselect 名, x\n    | \t           ^')
  expect(excerptOf("select 'e\u0301', x", { line: 1, column: 14 })).toBe(
    "  1 | select 'e\u0301', x\n    |             ^",
  )
})

test('cuts a long line around the spot', () => {
  const text = `${'a'.repeat(500)} wrong ${'b'.repeat(500)}`
  const [source = '', caret = ''] = excerptOf(text, { line: 1, column: 502 }).split('\n')
  expect(source.length).toBeLessThan(140)
  expect(source.slice(caret.indexOf('^'))).toMatch(/^wrong b+…$/)
})

test('shows nothing that steers a terminal', () => {
  expect(excerptOf('select \x1b[31m', { line: 1, column: 8 })).toBe('  1 | select ·[31m\n    |        ^')
})
