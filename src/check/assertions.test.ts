import { expect, test } from 'vitest'
import { judgeRows } from './assertions.ts'

test.for([
  [[], ['id'], null],
  [[{ ok: true }], ['ok'], null],
  [[{ ok: false }], ['ok'], 'it is false'],
  [[{ ok: null }], ['ok'], 'it returned 1 row (ok)'],
  [[{ ok: true }, { ok: true }], ['ok'], 'it returned 2 rows (ok)'],
  [[{ id: 1, ok: true }], ['id', 'ok'], 'it returned 1 row (id, ok)'],
  [Array.from({ length: 100 }, () => ({ id: 1 })), ['id'], 'it returned 100 rows or more (id)'],
] as const)('%j is %s', ([rows, columns, expected]) => {
  expect(judgeRows({ rows: [...rows], columns: [...columns] })).toBe(expected)
})
