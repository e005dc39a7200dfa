import { expect, test } from 'vitest'
import { inPart, renderMissing } from './part.ts'

const comparison = {
  tables: 3,
  rows: 7,
  notCompared: [],
  differences: [
    { table: 'public.t', expected: 5, actual: 0 },
    { table: 'public.gone', expected: 1, actual: null },
  ],
}
const missing = [{ object: 'index public.i\n', problem: 'function f() does not exist' }]

test('every missing thing has its line', () => {
  expect(renderMissing(comparison, missing)).toEqual([
    String.raw`missing  index public.i\u000a: function f() does not exist`,
    'rows     public.t has 0 rows instead of 5',
    'rows     public.gone is missing; it had 1 row',
  ])
})

test('the error counts objects and tables', () => {
  expect(inPart('copy', comparison, missing).message).toBe(
    'the new database copy has only a part of the backup: 1 statement failed, and 2 tables have other rows than were backed up',
  )
  expect(inPart('copy', { ...comparison, differences: [] }, missing).message).toBe(
    'the new database copy has only a part of the backup: 1 statement failed',
  )
  expect(inPart('copy', comparison, []).exitCode).toBe(70)
})
