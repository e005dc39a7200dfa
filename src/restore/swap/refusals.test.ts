import { describe, expect, test } from 'vitest'
import { type Allowed, findSwapRefusals, type SwapFacts, swapConsequences } from './refusals.ts'

const facts: SwapFacts = {
  name: 'shop',
  holdsLocks: false,
  exists: true,
  user: 'admin',
  superuser: true,
  mayCreateDatabases: true,
  owner: 'shop_owner',
  mayActAsOwner: true,
  slots: [],
  subscriptions: [],
  template: false,
  allowsConnections: true,
  fixedSettings: [],
  prepared: [],
  sessions: 0,
  stubborn: [],
  standbys: [],
}
const nothing: Allowed = { dropSlots: false, disableSubscriptions: false, standbysReconnect: false }
const everything: Allowed = { dropSlots: true, disableSubscriptions: true, standbysReconnect: true }
const of = (more: Partial<SwapFacts>, allowed = nothing) => findSwapRefusals({ ...facts, ...more }, allowed)

describe('a swap', () => {
  test('of a database that nothing depends on is not refused', () => {
    expect(of({})).toEqual([])
  })

  test('of a database that does not exist is refused for that alone', () => {
    expect(of({ exists: false, slots: ['s'], holdsLocks: true })).toEqual([
      {
        kind: 'restore',
        reason: 'there is no database shop to replace',
        hint: 'restore it as a new one: --into shop',
      },
    ])
  })

  test.each<[string, Partial<SwapFacts>, string, string]>([
    ['lock.database', { holdsLocks: true }, 'shop is lock.database', 'set lock.database to another database'],
    ['a slot', { slots: ["a'b"] }, '1 logical replication slot', "select pg_catalog.pg_drop_replication_slot('a''b')"],
    ['a template', { template: true }, 'is a template', 'is_template false'],
    ['no connections', { allowsConnections: false }, 'accepts no connections', 'allow_connections true'],
    ['a subscription', { subscriptions: ['S 1'] }, '1 enabled subscription', 'alter subscription "S 1" disable'],
    ['a prepared transaction', { prepared: ['x'] }, '1 prepared transaction', "rollback prepared 'x'"],
    [
      'a session we may not end',
      { stubborn: [{ pid: 7, user: 'root' }] },
      'may not end 1 session in shop: pid 7 of root',
      'pg_signal_backend',
    ],
    ['a standby', { standbys: ['replica1'] }, '1 standby follows this server (replica1)', '--standbys-reconnect'],
  ])('is refused for %s, with what changes it', (_, more, reason, hint) => {
    expect(of(more)).toMatchObject([
      { kind: 'restore', reason: expect.stringContaining(reason), hint: expect.stringContaining(hint) },
    ])
  })

  test('is refused with 12 for what the user may not do', () => {
    expect(of({ superuser: false, mayActAsOwner: false, mayCreateDatabases: false })).toMatchObject([
      { kind: 'refused', hint: expect.stringContaining('grant "shop_owner" to "admin"') },
      { kind: 'refused', hint: expect.stringContaining('alter role "admin" createdb') },
    ])
    expect(of({ superuser: false })).toEqual([])
  })

  test('may break what a person allowed, but nothing else', () => {
    const more = { slots: ['a'], subscriptions: ['b'], standbys: ['c'] }
    expect(of(more)).toHaveLength(3)
    expect(of(more, everything)).toEqual([])
    expect(
      of({ ...more, prepared: ['x'], stubborn: [{ pid: 1, user: 'u' }], holdsLocks: true }, everything),
    ).toHaveLength(3)
    expect(of(more, { ...nothing, dropSlots: true })).toHaveLength(2)
    expect(of(more, { ...nothing, disableSubscriptions: true })).toHaveLength(2)
    expect(of(more, { ...nothing, standbysReconnect: true })).toHaveLength(2)
  })

  test('says before what it breaks', () => {
    const lines = swapConsequences(
      { ...facts, sessions: 2, slots: ['slot1'], subscriptions: ['sub1'], standbys: ['replica1'] },
      { publications: ['pub1'] },
    )
    for (const word of ['2 sessions in shop end', 'pub1', 'slot1', 'sub1', 'replica1', 'pg_stat_'])
      expect(lines.join('\n')).toContain(word)
    expect(swapConsequences(facts, { publications: [] })).toHaveLength(1)
  })

  test('is refused (12) for settings that the user may not make for the new database', () => {
    const fixedSettings = [
      { role: 'R 1', name: 'work_mem' },
      { role: null, name: 'log_statement' },
    ]
    expect(of({ fixedSettings })).toEqual([
      {
        kind: 'refused',
        reason: 'the user admin may not make 2 settings of shop for the new one: work_mem of R 1, log_statement',
        hint: 'connect as a superuser; or run as one: alter role "R 1" in database "shop" reset "work_mem"; alter database "shop" reset "log_statement"',
      },
    ])
  })
})
