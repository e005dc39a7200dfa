import { describe, expect, test } from 'vitest'
import { endOfItem, joinName, printIdent, splitClauses } from './sql.ts'

describe('clauses', () => {
  const split = (text: string) => splitClauses(text).map((clause) => clause.text)

  test.each<[string, string[]]>([
    ['a', ['a']],
    ['a, b', ['a', 'b']],
    ['a (1, 2), b[3, 4]', ['a (1, 2)', 'b[3, 4]']],
    ['a \',\', b ","', ["a ','", 'b ","']],
    ["a 'it''s, so', b", ["a 'it''s, so'", 'b']],
    ["a e'\\', b', c", ["a e'\\', b'", 'c']],
    ['a $$,$$, b $x$,$$,$x$', ['a $$,$$', 'b $x$,$$,$x$']],
    ['a -- , no\n, b /* , */ c', ['a', 'b /* , */ c']],
    ['-- why\n a, /* why */ b -- end', ['a', 'b']],
    ["a '--', b", ["a '--'", 'b']],
  ])('of %j', (text, clauses) => {
    expect(split(text)).toEqual(clauses)
  })

  test('know where they begin', () => {
    expect(splitClauses('alter table t  a, /* x */ b', 13).map(({ start }) => start)).toEqual([15, 26])
  })
})

test.each([
  ['a int, b', 0, 5],
  ['(a int)', 1, 6],
  ['a numeric(1, 2), b', 2, 15],
  ['a int', 0, 5],
])('the item of %j at %i ends at %i', (text, from, to) => {
  expect(endOfItem(text, from)).toBe(to)
})

test.each([
  ['users', 'users'],
  ['user', '"user"'],
  ['Users', '"Users"'],
  ['a"b', '"a""b"'],
  ['1a', '"1a"'],
  ['tä', '"tä"'],
  ['a$b', 'a$b'],
])('the identifier %s is written %s', (name, text) => {
  expect(printIdent(name)).toBe(text)
})

test('a chosen name has at most 63 letters', () => {
  expect(joinName('a'.repeat(60), 'bcd', 'key')).toHaveLength(63)
})
