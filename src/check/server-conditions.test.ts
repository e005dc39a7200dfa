import { expect, test } from 'vitest'
import type { Condition } from './condition-catalogue.ts'
import { judgeServer } from './server-conditions.ts'
import type { ServerFacts, SlotFacts } from './server-facts.ts'

const now = new Date('2026-03-01T12:00:00Z')
const fine: ServerFacts = {
  ...{ connections: 10, connectionLimit: 97, slots: [], maxWalBytes: 1_000_000_000, hidden: 0, sizes: {} },
  oldestIds: { database: 'shop', age: 150_000_000, freezeMaxAge: 200_000_000 },
  expiring: [],
  ...{ transaction: undefined, clockSkewMs: 12 },
}
/** @param before what was open before */
const judged = (facts: ServerFacts, before: Condition[] = [], skew?: string) =>
  judgeServer(facts, { before, now, skew })
const namesOf = (change: Partial<ServerFacts>) => judged({ ...fine, ...change }).conditions.map(({ name }) => name)
const slot = (change: Partial<SlotFacts>): SlotFacts => ({
  ...{ name: 'standby', active: true, retainedBytes: 0, safeBytes: undefined, lost: false, inactiveSince: undefined },
  ...change,
})

test('a server at peace has no condition, and nothing about it is unknown', () => {
  expect(judged(fine)).toEqual({ conditions: [], unknown: [] })
})

test.each<[string, Partial<ServerFacts>, string[]]>([
  ['77 of 97 connections', { connections: 77 }, []],
  ['78 of 97 connections: 80 %', { connections: 78 }, ['connections-near-limit']],
  ['ids at half', { oldestIds: { ...fine.oldestIds!, age: 1_000_000_000 } }, ['xid-age']],
  ['ids just below', { oldestIds: { ...fine.oldestIds!, age: 999_999_999 } }, []],
  [
    'a server that is told to freeze late',
    { oldestIds: { database: 'x', age: 1_300_000_000, freezeMaxAge: 700_000_000 } },
    [],
  ],
  ['as late as can be', { oldestIds: { database: 'x', age: 1_600_000_000, freezeMaxAge: 2_000_000_000 } }, ['xid-age']],
  ['a slot whose reader follows', { slots: [slot({ retainedBytes: 3_900_000_000 })] }, []],
  ['a slow reader', { slots: [slot({ retainedBytes: 4_100_000_000 })] }, ['slot-retains-wal']],
  [
    'a slot that nobody reads',
    { slots: [slot({ active: false, retainedBytes: 1_100_000_000 })] },
    ['slot-retains-wal'],
  ],
  ['one that keeps nothing yet', { slots: [slot({ active: false, retainedBytes: undefined })] }, []],
  [
    'one that is lost',
    { slots: [slot({ active: false, retainedBytes: undefined, lost: true })] },
    ['slot-retains-wal'],
  ],
  ['one with room', { slots: [slot({ retainedBytes: 700, safeBytes: 300 })] }, []],
  ['one without much room', { slots: [slot({ retainedBytes: 800, safeBytes: 200 })] }, ['slot-retains-wal']],
  ['one that is about to be given up', { slots: [slot({ retainedBytes: 900, safeBytes: -5 })] }, ['slot-retains-wal']],
])('%s', (_, change, names) => {
  expect(namesOf(change)).toEqual(names)
})

test('a transaction is long after an hour, and its condition is as old as itself', () => {
  const since = '2026-03-01T11:00:00.000Z'
  const transaction = { since, database: 'shop', user: 'ann', pid: 7 }
  expect(judged({ ...fine, transaction }).conditions).toMatchObject([
    { since, hint: expect.stringContaining('pid = 7') },
  ])
  expect(namesOf({ transaction: { ...transaction, since: '2026-03-01T11:00:00.001Z' } })).toEqual([])
})

test('a name in a statement to type cannot end it', () => {
  const since = '2026-03-01T01:00:00.000Z'
  const transaction = { since, database: 'a"b', user: 'ann', gid: "x'; drop table t; --" }
  const [condition] = judged({ ...fine, transaction }).conditions
  expect(condition?.hint).toBe(
    `finish it, connected to "a""b": commit prepared 'x''; drop table t; --', or rollback prepared 'x''; drop table t; --'`,
  )
})

test('what may not be seen is unknown, unless what may be seen is bad enough', () => {
  expect(judged({ ...fine, hidden: 3 }).unknown).toEqual(['long-transaction'])
  const transaction = { since: '2026-03-01T01:00:00.000Z', database: 'shop', user: 'ann', pid: 7 }
  expect(judged({ ...fine, hidden: 3, transaction })).toMatchObject({
    conditions: [{ name: 'long-transaction' }],
    unknown: [],
  })
})

test('a condition keeps its first sight, where nothing tells of an earlier start', () => {
  const since = '2026-02-28T00:00:00.000Z'
  const before: Condition[] = [
    { name: 'connections-near-limit', severity: 'warning', roles: [], message: '', hint: '', since },
  ]
  expect(judged({ ...fine, connections: 97 }, before).conditions).toMatchObject([{ since }])
  const inactiveSince = '2026-01-01T00:00:00.000Z'
  const slots = [slot({ active: false, lost: true, inactiveSince })]
  expect(judged({ ...fine, slots }).conditions).toMatchObject([{ since: inactiveSince }])
})

test('a clock that is wrong is told as whoever compared the clocks says it', () => {
  expect(judged(fine, [], 'it is an hour behind').conditions).toMatchObject([
    { name: 'clock-skew', severity: 'warning', message: 'it is an hour behind' },
  ])
})

test('a password is told two weeks before it expires, since then', () => {
  const expiring = [
    { role: 'app', until: '2026-03-11T12:00:00.000Z' },
    { role: 'later', until: '2026-04-01T00:00:00.000Z' },
  ]
  expect(judged({ ...fine, expiring }).conditions).toEqual([
    {
      ...{ name: 'password-expiring', severity: 'warning', roles: ['app'], since: '2026-02-25T12:00:00.000Z' },
      message: 'the password of app expires in 10 d',
      hint: 'set a new password and a later `validUntil`, then: pgbosun up',
    },
  ])
})
