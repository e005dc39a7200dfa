import { expect, test } from 'vitest'
import { judgeRows } from './assertion.ts'

test.for([
  [{ count: 0, columns: ['id'] }, null],
  [{ count: 1, columns: ['ok'], value: true }, null],
  [{ count: 1, columns: ['ok'], value: false }, 'it is false'],
  [{ count: 1, columns: ['ok'], value: null }, 'it returned 1 row (ok)'],
  [{ count: 2, columns: ['ok'], value: true }, 'it returned 2 rows (ok)'],
  [{ count: 1, columns: ['id', 'ok'] }, 'it returned 1 row (id, ok)'],
  [{ count: 100, columns: ['id'] }, 'it returned 100 rows or more (id)'],
] as const)('%j is %s', ([{ columns, ...rows }, expected]) => {
  expect(judgeRows({ ...rows, columns: [...columns] })).toBe(expected)
})
