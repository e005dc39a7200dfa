import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../archive/manifest.ts'
import type { TocEntry } from '../../archive/toc.ts'
import type { SwapFacts } from '../swap/refusals.ts'
import { findInPlaceRefusals, type InPlaceFacts, inPlaceConsequences, locksNeeded } from './refusals.ts'

const facts: SwapFacts = {
  ...{ name: 'My shop', holdsLocks: true, exists: true, user: 'me', superuser: false, mayCreateDatabases: false },
  ...{ owner: 'shop_owner', mayActAsOwner: true, slots: [], subscriptions: [], prepared: [], sessions: 2 },
  ...{ stubborn: [{ pid: 1, user: 'x' }], standbys: ['s'], template: true, allowsConnections: true, fixedSettings: [] },
}
const here: InPlaceFacts = {
  ...{ encoding: 'UTF8', objects: 100, locks: 6400, locksPerTransaction: 64 },
  ...{ subscriptions: [], publications: [], fixedExtensions: [] },
}
const manifest = { database: { encoding: 'UTF8' } } as unknown as Manifest
const entry = (change: Partial<TocEntry>): TocEntry => ({
  ...{ id: 1, desc: 'TABLE', tag: 't', section: 'pre-data', defn: 'CREATE TABLE t ();\n', dropStmt: '' },
  ...{ namespace: 'public', tablespace: '', owner: 'o', dependencies: [], ...change },
})
const nothing = { dropSlots: false, disableSubscriptions: false, standbysReconnect: false }

const refusals = (
  more: Partial<SwapFacts> = {},
  there: Partial<InPlaceFacts> = {},
  entries: TocEntry[] = [],
  { isolated = true, dropSlots = false, encoding = 'UTF8' } = {},
) =>
  findInPlaceRefusals(
    { ...facts, ...more },
    { ...here, ...there },
    {
      manifest: { ...manifest, database: { ...manifest.database, encoding } },
      contents: { toc: { entries }, isolated },
      allowed: { ...nothing, dropSlots },
    },
  )

describe('a restore in place', () => {
  test('is not hindered by what only hinders a swap', () => {
    expect(refusals()).toEqual([])
  })

  test.each<[string, ReturnType<typeof refusals>, string, string]>([
    ['no owner', refusals({ mayActAsOwner: false }), 'may not act as shop_owner', 'grant "shop_owner" to "me"'],
    ['a slot', refusals({ slots: ['s'] }), '1 logical replication slot', "pg_drop_replication_slot('s')"],
    ['a subscription', refusals({}, { subscriptions: ['S 1'] }), '1 subscription', 'drop subscription "S 1"'],
    ['prepared', refusals({ prepared: ["a'b"] }), '1 prepared transaction', "rollback prepared 'a''b'"],
    ['an extension', refusals({}, { fixedExtensions: ['x'] }), 'may not drop the extension x', 'superuser'],
    ['another encoding', refusals({}, {}, [], { encoding: 'LATIN1' }), 'of the backup is LATIN1', 'without --in-place'],
    ['its encoding', refusals({}, { encoding: 'LATIN1' }), 'of My shop is LATIN1', 'without --in-place'],
    ['a method', refusals({}, {}, [entry({ accessMethod: 'columnar' })]), 'than heap: columnar', 'without --in-place'],
    [
      'an end',
      refusals({}, {}, [entry({ defn: 'select 1; /* */ commit; begin' })]),
      'would end the transaction: table public.t',
      'pg_dump',
    ],
    [
      'passed on',
      refusals({}, {}, [
        entry({ desc: 'ACL', tag: 'TABLE t', defn: 'SET SESSION AUTHORIZATION a;\nGRANT SELECT ON TABLE t TO b;\n' }),
      ]),
      'passed on by others than the owner: TABLE t',
      '--as-superuser',
    ],
    [
      'locks',
      refusals({}, { objects: 6000 }),
      'about 6000 locks, but the server has room for 6400',
      'max_locks_per_transaction to 75 ',
    ],
  ])('is refused for %s, with what to do', (_, [first, ...others], reason, hint) => {
    expect(others).toEqual([])
    expect(first?.reason).toContain(reason)
    expect(first?.hint).toContain(hint)
  })

  test('with --drop-slots, or by a superuser who is trusted with the code, is allowed', () => {
    expect(refusals({ slots: ['s'] }, {}, [], { dropSlots: true })).toEqual([])
    const passed = entry({ desc: 'ACL', defn: 'SET SESSION AUTHORIZATION a;\nGRANT SELECT ON TABLE t TO b;\n' })
    expect(refusals({}, {}, [passed], { isolated: false })).toEqual([])
  })

  test('needs a lock for each object, old and new', () => {
    const entries = [entry({}), entry({ desc: 'INDEX' }), entry({ desc: 'BLOB METADATA', defn: '1\n2\n3\n' })]
    expect(locksNeeded({ objects: 10 }, { entries })).toBe(10 + 5 + 1 + 3)
  })

  test('says before what it means', () => {
    const said = inPlaceConsequences(
      { ...facts, slots: ['cdc'] },
      { ...here, publications: ['p'] },
      { sizeBytes: 1_000_000, backupFirst: false },
    )
    expect(said).toMatchInlineSnapshot(`
      [
        "needs about 1.2 MB on the server's disk until the end, and as much again for WAL; pgbosun cannot see how much is free",
        "all tables of My shop are locked until the end of the load: whoever reads or writes one waits (2 sessions now)",
        "what it is now is kept nowhere",
        "subscribers of the publication p must be set up again, because they do not follow",
        "the replication slot cdc is dropped",
        "on s, queries that are in the way of those locks are cancelled",
        "there is no --rollback",
      ]
    `)
  })
})
