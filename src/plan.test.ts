import { expect, test } from 'vitest'
import { ofOneKind } from './plan.ts'

test('up to three warnings of a kind are told one by one, more of them together', () => {
  expect([[], ['a'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd']].map(ofOneKind)).toEqual([
    [],
    ['a'],
    ['a', 'b', 'c'],
    [['a', 'b', 'c', 'd']],
  ])
})
