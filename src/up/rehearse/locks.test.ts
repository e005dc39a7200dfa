import { expect, test } from 'vitest'
import { type Relation, type Relations, rewritten, strongestLocks } from './locks.ts'

const relations = (...list: Relation[]): Relations => new Map(list.map((one) => [one.oid, one]))
const users: Relation = { oid: 1, name: 'public.users', table: null, file: 10 }
const orders: Relation = { oid: 2, name: 'public.orders', table: null, file: 20 }
const key: Relation = { oid: 3, name: 'public.users_pkey', table: 1, file: null }
const before = relations(users, orders, key)

test('the strongest lock on each relation counts, and the strongest comes first', () => {
  const held = [
    { oid: 2, mode: 'RowExclusiveLock' },
    { oid: 1, mode: 'AccessShareLock' },
    { oid: 1, mode: 'AccessExclusiveLock' },
    { oid: 1, mode: 'ShareLock' },
  ]
  expect(strongestLocks(held, before)).toEqual([
    { object: 'public.users', mode: 'AccessExclusiveLock' },
    { object: 'public.orders', mode: 'RowExclusiveLock' },
  ])
})

test('of two locks of the same mode, that on the first name comes first', () => {
  const held = [users, orders].map(({ oid }) => ({ oid, mode: 'ShareLock' }))
  expect(strongestLocks(held, before).map(({ object }) => object)).toEqual(['public.orders', 'public.users'])
})

test('what did not exist before is left out, and so is what is no lock on a relation', () => {
  const held = [
    { oid: 9, mode: 'AccessExclusiveLock' },
    { oid: 1, mode: 'SIReadLock' },
  ]
  expect(strongestLocks(held, before)).toEqual([])
})

test.each([
  ['AccessExclusiveLock', 'AccessExclusiveLock', ['public.users']],
  ['ShareLock', 'AccessExclusiveLock', ['public.users_pkey', 'public.users']],
  [undefined, 'ShareUpdateExclusiveLock', ['public.users_pkey']],
])('an index is named if its lock is stronger than that on its table: %s, %s', (ofTable, ofIndex, named) => {
  const held = [{ oid: 3, mode: ofIndex }, ...(ofTable ? [{ oid: 1, mode: ofTable }] : [])]
  expect(strongestLocks(held, before).map(({ object }) => object)).toEqual(named)
})

test('rewritten is what existed before and has its rows in another file', () => {
  const view: Relation = { oid: 4, name: 'public.view', table: null, file: null }
  const after = relations({ ...users, file: 11 }, orders, { ...view, file: 5 }, { ...orders, oid: 5 })
  expect(rewritten(relations(users, orders, key, view), after)).toEqual([users])
  expect(rewritten(before, relations(orders))).toEqual([])
})
