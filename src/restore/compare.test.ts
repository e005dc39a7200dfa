import { expect, test } from 'vitest'
import { compareRows, renderDifference } from './compare.ts'

test('equal counts have no differences', () => {
  expect(compareRows({ 'public.a': 2, 'public.b': 0 }, { 'public.b': 0, 'public.a': 2 })).toEqual({
    tables: 2,
    rows: 2,
    differences: [],
  })
})

test('fewer rows, a missing table and an additional one are differences, by table', () => {
  const { differences } = compareRows({ 'public.b': 3, 'public.a': 2 }, { 'public.b': 1, 'public.c': 4 })
  expect(differences.map(renderDifference)).toEqual([
    'public.a: is missing, 2 rows were backed up',
    'public.b: 1 rows instead of 3',
    'public.c: has 4 rows, and was not in the backup',
  ])
})
