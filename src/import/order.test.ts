import { expect, test } from 'vitest'
import { inOrder } from './order.ts'

const refs = (...pairs: string[]) =>
  pairs.map((pair) => ({ from: pair.split('>')[0]!, to: pair.split('>')[1]!, key: pair }))

test('parents come before their children', () => {
  expect(inOrder(['c', 'b', 'a'], refs('c>b', 'b>a'))).toEqual({ order: ['a', 'b', 'c'], open: [] })
})

test('in a circle, the references that point forward stay open', () => {
  const { order, open } = inOrder(['a', 'b', 'c'], refs('a>b', 'b>a', 'c>a'))
  expect(order).toEqual(['a', 'b', 'c'])
  expect(open.map(({ key }) => key)).toEqual(['a>b'])
})

test('what only refers to a circle comes after it', () => {
  const { order, open } = inOrder(['z', 'a', 'b'], refs('z>a', 'a>b', 'b>a'))
  expect(order.indexOf('z')).toBeGreaterThan(order.indexOf('a'))
  expect(open).toHaveLength(1)
})

test('a reference to itself or to a table that is not imported needs no order', () => {
  expect(inOrder(['a', 'b'], refs('a>a', 'a>z'))).toEqual({ order: ['a', 'b'], open: [] })
})
