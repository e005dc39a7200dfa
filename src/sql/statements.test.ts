import { expect, test } from 'vitest'
import { scan } from './scan.ts'
import { mayCommitInside, needsNoTransaction } from './statements.ts'

const reasons = (text: string) => scan(text).statements.map((statement) => needsNoTransaction(statement, text))

test.each([
  ['create index concurrently on t (a)', 'CREATE INDEX CONCURRENTLY'],
  ['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)', 'CREATE INDEX CONCURRENTLY'],
  ['create index concurrently "x" on "t" ("a")', 'CREATE INDEX CONCURRENTLY'],
  ['create /* unique */ index -- in peace\n concurrently i on t (a)', 'CREATE INDEX CONCURRENTLY'],
  ['drop index concurrently if exists i', 'DROP INDEX CONCURRENTLY'],
  ['reindex table concurrently t', 'REINDEX CONCURRENTLY'],
  ['reindex (verbose, concurrently) index "i"', 'REINDEX CONCURRENTLY'],
  ['reindex (concurrently true, tablespace "x)") table t', 'REINDEX CONCURRENTLY'],
  ['reindex (verbose) schema concurrently s', 'REINDEX CONCURRENTLY'],
  ['reindex schema s', 'REINDEX SCHEMA'],
  ['reindex (verbose) database d', 'REINDEX DATABASE'],
  ['reindex system d', 'REINDEX SYSTEM'],
  ['vacuum', 'VACUUM'],
  ['VACUUM (ANALYZE) t', 'VACUUM'],
  ['create database d', 'CREATE DATABASE'],
  ['drop database if exists "d"', 'DROP DATABASE'],
  [`create tablespace x location '/x'`, 'CREATE TABLESPACE'],
  ['drop tablespace x', 'DROP TABLESPACE'],
  [`alter system set work_mem = '1MB'`, 'ALTER SYSTEM'],
  ['alter database "my db" set tablespace x', 'ALTER DATABASE … SET TABLESPACE'],
  ['discard all', 'DISCARD ALL'],
  ['cluster', 'CLUSTER'],
  ['cluster verbose', 'CLUSTER'],
  ['cluster (verbose)', 'CLUSTER'],
  ['repack', 'REPACK'],
  ['repack (verbose)', 'REPACK'],
  ['REPACK USING INDEX', 'REPACK'],
  ['repack (concurrently) t', 'REPACK (CONCURRENTLY)'],
  ['repack (verbose, concurrently on) "t" using index i', 'REPACK (CONCURRENTLY)'],
  ['repack (analyze) t (a)', 'REPACK (ANALYZE)'],
  ['alter table a.b detach partition c concurrently', 'ALTER TABLE … DETACH PARTITION … CONCURRENTLY'],
  [
    'alter table if exists "detach" detach /* ; */ partition "x"."y" concurrently -- z',
    'ALTER TABLE … DETACH PARTITION … CONCURRENTLY',
  ],
  [`commit prepared 'x'`, 'COMMIT PREPARED'],
  [`rollback prepared 'x'`, 'ROLLBACK PREPARED'],
  [`create subscription s connection 'with (create_slot = false)' publication p`, 'CREATE SUBSCRIPTION'],
  [`create subscription s connection '' publication p with (enabled = false)`, 'CREATE SUBSCRIPTION'],
  ['drop subscription s', 'DROP SUBSCRIPTION'],
  ['alter subscription "s" refresh publication', 'ALTER SUBSCRIPTION … REFRESH PUBLICATION'],
  ['alter subscription s set publication p', 'ALTER SUBSCRIPTION … SET PUBLICATION'],
  ['alter subscription s add publication p with (copy_data = false)', 'ALTER SUBSCRIPTION … ADD PUBLICATION'],
  ['alter subscription s set (failover)', 'ALTER SUBSCRIPTION … SET'],
  ['alter subscription s set (streaming = on, two_phase = off)', 'ALTER SUBSCRIPTION … SET'],
])('%j is refused in a transaction', (text, reason) => {
  expect(reasons(text)).toEqual([reason])
})

test.each([
  'create index on t (a)',
  'create index "concurrently" on t (a)',
  'create unique index i on t (concurrently)',
  'create table t (a int)',
  'create unlogged table index_concurrently ()',
  'drop index i',
  'drop table concurrently_t',
  'reindex table t',
  'reindex (concurrently false) index i',
  'reindex (tablespace "concurrently") table t',
  'reindex index "concurrently"',
  `select 'vacuum'`,
  'do $$ begin execute $x$vacuum$x$; end $$',
  '"vacuum"',
  'analyze t',
  'explain vacuum',
  'refresh materialized view concurrently m',
  `alter type mood add value 'x'`,
  'cluster t',
  'cluster verbose t using i',
  'cluster (verbose) t',
  'alter table a detach partition c',
  'alter table a detach partition c finalize',
  'alter table a detach partition "concurrently"',
  'alter table a detach partition c -- concurrently',
  `comment on table t is 'detach partition c concurrently'`,
  'alter database d rename to e',
  `alter database d set work_mem = '1MB'`,
  'discard temp',
  `create subscription s connection '' publication p with (connect = false)`,
  `create subscription s connection '' publication p with (enabled, create_slot = 'off')`,
  `create subscription s connection '' publication p with ("create_slot" = 0)`,
  'alter subscription s set publication p with (refresh = false)',
  'alter subscription s drop publication p with (copy_data = off, refresh = OFF)',
  'alter subscription s disable',
  'alter subscription s set (slot_name = none)',
  'alter subscription s set (two_phase = true)',
  'alter subscription s rename to refresh_publication',
  'commit',
  'rollback',
])('%j is not', (text) => {
  expect(reasons(text)).toEqual([undefined])
})

test('looks at one statement of many', () => {
  expect(reasons(`create index i on t (a); 'concurrently'; drop index concurrently i; select 1`)).toEqual([
    undefined,
    undefined,
    'DROP INDEX CONCURRENTLY',
    undefined,
  ])
})

test('only CALL and DO may commit inside', () => {
  const text = `call p(); DO $$ begin commit; end $$; select f(); "do"; call; create procedure p() as 'commit'`
  expect(scan(text).statements.map((statement) => mayCommitInside(statement, text))).toEqual([
    true,
    true,
    false,
    false,
    true,
    false,
  ])
})
