import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, full, neverAgain, randomFrom, test, until } from './support/chaos.ts'
import { uniqueName } from './support/postgres.ts'
import { everything, richApp } from './support/rich.ts'
import { backedUp, databases, expectGood, hold, lose, things } from './support/swap.ts'

const oidOf = (database: string) => `select oid::int as oid from pg_database where datname = '${database}'`

describe.skipIf(!client)('restore --in-place', () => {
  test('brings back what was backed up, into the same database, and holds pending migrations', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    await cluster.ask('create table later (n int)', app.database)
    await app.write({ 'migrations/002_more.sql': 'create table more ();\n' })
    const before = await cluster.ask(oidOf(app.database))

    const { code, json, stderr } = await app.runJson('restore', 'latest', '--in-place', '--replace', app.database)
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ id, database: app.database, touched: true, differences: [] })
    expect(await cluster.ask(oidOf(app.database))).toEqual(before)
    expect(await things(cluster, app)).toBe(1000)
    expect(await cluster.ask(`select to_regclass('later') as later`, app.database)).toEqual([{ later: null }])
    expect(await databases(cluster, app)).toEqual([app.database])
    expect(await hold(cluster, app)).toMatchObject({ backup: id, replaced: null })
    expect(await cluster.ask(`select rolname from pg_roles where rolname ~ '^pgbosun_restore'`)).toEqual([])
    expect(await cluster.ask(`select nspname from pg_namespace where nspname ~ '^pgbosun_'`, app.database)).toEqual([])
    expect((await app.runJson('up')).code).toBe(21)
    expectGood(await app.run('up', '--after-restore'))
    expect((await app.run('up')).stdout).toContain('nothing to do')
  })

  for (const more of [[], ['--as-superuser']])
    test(`brings back one of everything, whatever was made since${more.map((flag) => ` (${flag})`)}`, {
      timeout: 120_000,
    }, async ({ cluster, makeApp }) => {
      const { app, owner } = await richApp(cluster, makeApp)
      const before = await everything(cluster, app.database)
      expectGood(await app.run('backup'))
      await cluster.ask(laterSql.replaceAll('$owner', owner.replaceAll('"', '""')), app.database)

      const { code, json, stderr } = await app.runJson(
        'restore',
        'latest',
        '--in-place',
        '--replace',
        app.database,
        ...more,
      )
      expect(code, stderr).toBe(0)
      expect(json.rows_compared).toBeGreaterThan(800)
      const after = await everything(cluster, app.database)
      expect(after.dump).toBe(before.dump)
      expect(after.properties).toEqual(before.properties)
    })
})

const inPlace = (app: App, ...more: string[]) =>
  app.runJson('restore', 'latest', '--in-place', '--replace', app.database, ...more)

/** The folder of its backups. */
const storeOf = (app: App): string =>
  fileURLToPath(JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8')).backup.store)

/** Changes the configuration of an application. */
async function configure(app: App, change: object): Promise<void> {
  const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
  await app.write({ 'pgbosun.yaml': JSON.stringify({ ...given, ...change }) })
}

/** From now on, the application's pgbosun connects as this user, whose password is x. */
async function connectAs(cluster: Cluster, app: App, user: string): Promise<void> {
  await app.write({ url: cluster.url(app.database).replace(/\/\/[^@]*@/, `//${user}:x@`) })
  await configure(app, { database: { url: { file: 'url' } }, databases: undefined })
}

describe.skipIf(!client)('restore --in-place, when something is in the way', () => {
  test('needs the name off a terminal, and refuses what makes no sense with it', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    for (const flags of [
      ['--in-place'],
      ['--in-place', '--replace', 'other'],
      ['--in-place', '--into', 'x', '--yes'],
      ['--in-place', '--replace', app.database, '--jobs', '2'],
      ['--in-place', '--replace', app.database, '--table', 'things'],
      ['--in-place', '--replace', app.database, '--no-owner'],
      ['--in-place', '--replace', app.database, '--standbys-reconnect'],
      ['--in-place', '--rollback', '--replace', app.database],
    ]) {
      const { code, json } = await app.runJson('restore', ...flags)
      expect([code, json.error?.message], flags.join(' ')).toEqual([2, expect.stringContaining('nothing was changed')])
    }
    expect(await things(cluster, app)).toBe(1000)
  })

  test('waits for who uses a table, ends no session, and gives up with 11', async ({ cluster, makeApp }) => {
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    await configure(app, { lock: { timeout: '3s' } })
    const reader = await cluster.hold('select from things', app.database, 'report')
    const { code, json, stderr } = await inPlace(app, '--no-backup-first')
    expect(code, stderr).toBe(11)
    expect(json.error?.message).toMatch(
      /could not be locked within 3s, blocked by pid \d+ \(application "report".*nothing was changed/,
    )
    expect(json).toMatchObject({ touched: false })
    expect(await cluster.ask(`select from pg_stat_activity where pid = ${reader.pid}`)).toHaveLength(1)
    expect(await things(cluster, app)).toBe(10)

    await configure(app, { lock: { timeout: '1m' } })
    const waiting = app.start('restore', 'latest', '--in-place', '--replace', app.database, '--no-backup-first')
    await until('it waits', () => waiting.log().includes('waiting for the tables'))
    await reader.release()
    expectGood(await waiting.finished)
    expect(await things(cluster, app)).toBe(1000)
    expect(await leftovers(cluster, app)).toEqual([])
  })

  test.for([[], ['--as-superuser']])(
    'changes nothing when something else makes objects meanwhile (%j)',
    {
      timeout: 60_000,
    },
    async (flags, { cluster, makeApp }) => {
      const more = `create function slow(int) returns int immutable language sql as 'select $1 from pg_catalog.pg_sleep(2)';
      create table slow_one as select 1 as n; create index on slow_one (slow(n))`
      const { app } = await backedUp(makeApp, { more })
      await lose(cluster, app)
      const asleep = `select from pg_stat_activity where datname = '${app.database}' and wait_event = 'PgSleep'`
      for (const [made, what] of [
        ['create schema newcomers; create table newcomers.t as select 1 as n', 'table newcomers.t and 3 more'],
        [
          `create function newcomer() returns int language sql as 'select 1'; select lo_create(4712);
           alter default privileges grant select on tables to public;
           create subscription late connection 'host=nowhere' publication p with (connect = false, slot_name = none)`,
          'default acl for role postgres on tables and 3 more',
        ],
      ] as const) {
        const running = app.start(
          'restore',
          'latest',
          '--in-place',
          '--replace',
          app.database,
          '--no-backup-first',
          '--json',
          ...flags,
        )
        await until('it builds the index', async () => (await cluster.ask(asleep)).length > 0)
        await cluster.ask(made, app.database)
        const { code, stdout, stderr } = await running.finished
        expect(code, stderr).toBe(70)
        const json = JSON.parse(stdout)
        expect(json).toMatchObject({ touched: false })
        expect(json.error.message).toContain(`something else made ${what} in it`)
        expect(await things(cluster, app)).toBe(10)
        expect(await leftovers(cluster, app)).toEqual([])
      }
      await cluster.ask('drop subscription late', app.database)
      const running = app.start('restore', 'latest', '--in-place', '--replace', app.database, '--no-backup-first')
      await until('it builds the index', async () => (await cluster.ask(asleep)).length > 0)
      const other = await cluster.hold(
        'create temporary table mine (n int primary key, t text); create type pg_temp.kind as (a int); commit',
        app.database,
      )
      expectGood(await running.finished, 'what is temporary is no newcomer')
      await other.release()
      expect(await cluster.ask(`select to_regnamespace('newcomers') as n`, app.database)).toEqual([{ n: null }])
    },
  )

  test('is refused, with the statements, where something depends on what it replaces', async ({ cluster, makeApp }) => {
    for (const setting of ['wal_level = logical', 'max_prepared_transactions = 5'])
      await cluster.ask(`alter system set ${setting}`)
    await cluster.stop('fast')
    await cluster.start()
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    const [slot, gid] = [uniqueName('slot'), uniqueName('gid')]
    await cluster.ask(
      `create subscription s connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = 'there')`,
      app.database,
    )
    await cluster.ask(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, app.database)
    await cluster.ask(`begin; insert into things values (5000); prepare transaction '${gid}'`, app.database)
    const { code, json } = await inPlace(app)
    expect(code).toBe(70)
    expect(json.error?.message).toContain('for 3 reasons; nothing was changed')
    expect(await things(cluster, app)).toBe(10)

    await cluster.ask(`rollback prepared '${gid}'`, app.database)
    for (const statement of ['disable', 'set (slot_name = none)'])
      await cluster.ask(`alter subscription s ${statement}`, app.database)
    const allowed = await inPlace(app, '--drop-slots')
    expect(allowed.code, allowed.stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    expect(await cluster.ask(`select from pg_replication_slots where slot_name = '${slot}'`)).toEqual([])
  })

  test('changes nothing when the rows differ from what was backed up', async ({ cluster, makeApp }) => {
    const { app, id } = await backedUp(makeApp)
    await lose(cluster, app)
    const path = join(app.cwd, 'store', app.database, id, 'manifest.json')
    const { sha256: _, ...manifest } = JSON.parse(readFileSync(path, 'utf8')) as Manifest & { sha256: string }
    writeFileSync(path, sealManifest({ ...manifest, rows: { ...manifest.rows, 'public.things': 999 } }))
    const { code, json } = await inPlace(app, '--no-backup-first')
    expect(code).toBe(70)
    expect(json).toMatchObject({
      touched: false,
      differences: [{ table: 'public.things', expected: 999, actual: 1000 }],
    })
    expect(json.error?.message).toContain('nothing was changed')
    expect(await things(cluster, app)).toBe(10)
    expect(await hold(cluster, app)).toBeNull()
    expect(await leftovers(cluster, app)).toEqual([])
  })

  test('works for lock.database, and for a user who may neither create databases nor roles', async ({
    cluster,
    makeApp,
  }) => {
    const runner = uniqueName('runner')
    await cluster.ask(`create role ${runner} login password 'x'`)
    const { app } = await backedUp(async (extra) => {
      const made = await makeApp(extra)
      await cluster.ask(`create database ${quoteIdent(made.database)} owner ${runner}`)
      await connectAs(cluster, made, runner)
      await configure(made, { lock: { database: made.database } })
      return made
    })
    await lose(cluster, app)
    const { code, stderr } = await inPlace(app)
    expect(code, stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    expect(await hold(cluster, app)).toBeTruthy()
    expectGood(await app.run('up', '--after-restore'))
    const owners =
      "select distinct relowner::regrole::text as owner from pg_class where relnamespace in ('public'::regnamespace, 'pgbosun'::regnamespace)"
    expect(await cluster.ask(owners, app.database)).toEqual([{ owner: runner }])
  })

  test('by a user with CREATEROLE, code in the backup runs as a login without rights', async ({ cluster, makeApp }) => {
    const runner = uniqueName('runner')
    await cluster.ask(`create role ${runner} login createrole password 'x'`)
    const { app } = await backedUp(
      async (extra) => {
        const made = await makeApp(extra)
        await cluster.ask(`create database ${quoteIdent(made.database)} owner ${runner}`)
        await connectAs(cluster, made, runner)
        return made
      },
      {
        more: `create function seen() returns boolean language plpgsql as 'begin return true; end';
          create table checked (a int check (seen())); insert into checked values (1);`,
      },
    )
    await cluster.ask(
      `create or replace function seen() returns boolean language plpgsql as 'begin return session_user like ''pgbosun_restore%''; end'`,
      app.database,
    )
    expectGood(await app.run('backup'))
    await lose(cluster, app)
    const { code, stderr } = await inPlace(app)
    expect(code, stderr).toBe(0)
    expect(await things(cluster, app)).toBe(1000)
    expect(await leftovers(cluster, app)).toEqual([])
  })

  test('a dump that is damaged at its end changes nothing, and keeps nobody waiting', { timeout: 60_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await backedUp(makeApp, {
      more: 'create table wide as select i, md5(i::text) as a, md5((i + 1)::text) as b from generate_series(1, 200000) i',
    })
    await lose(cluster, app)
    const left = await things(cluster, app)
    const dump = join(storeOf(app), app.database, id, 'dump.zst')
    const bytes = readFileSync(dump)
    bytes[bytes.length - 300]! ^= 1
    writeFileSync(dump, bytes)

    const { code, stderr } = await inPlace(app, '--no-backup-first')
    expect(code, stderr).toBe(61)
    expect(await things(cluster, app)).toBe(left)
    expect(await leftovers(cluster, app)).toEqual([])
  })

  test(`killed at ${full ? 20 : 6} random moments, everything is the old or the new, and the next run cleans up`, {
    timeout: 400_000,
    ...neverAgain,
  }, async ({ cluster, makeApp }) => {
    const random = randomFrom(20261130)
    const { app } = await backedUp(makeApp, { more: 'create table others as select n from generate_series(1, 500) n' })
    const spoil = () => cluster.ask('delete from things where n > 10; delete from others where n > 10', app.database)
    await spoil()
    const startedAt = performance.now()
    expectGood(await inPlace(app, '--no-backup-first'))
    const wholeMs = performance.now() - startedAt
    let olds = 0
    const times = full ? 20 : 6
    for (let i = 0; i < times; i++) {
      await spoil()
      await cluster.ask('update pgbosun.state set hold = null', app.database)
      const started = app.start('restore', 'latest', '--in-place', '--replace', app.database, '--no-backup-first')
      // the first one early: the next runs are faster than the one that was measured
      await sleep(wholeMs * (0.1 + (0.9 * (i + random())) / times))
      started.child.kill('SIGKILL')
      await started.finished
      // waits for the locks of what is left of it
      const [row] = await cluster.ask<{ things: number; others: number; held: boolean }>(
        'select (select count(*)::int from things) as things, (select count(*)::int from others) as others, (select hold is not null from pgbosun.state) as held',
        app.database,
      )
      expect([
        { things: 10, others: 10, held: false },
        { things: 1000, others: 500, held: true },
      ]).toContainEqual(row)
      if (!row!.held) olds++
    }
    expect(olds).toBeGreaterThan(0)
    expectGood(await inPlace(app, '--no-backup-first'))
    expect(await things(cluster, app)).toBe(1000)
    expect(await leftovers(cluster, app)).toEqual([])
  })
})

/** Logins and schemas that restores made and did not remove. */
const leftovers = async (cluster: Cluster, app: App) => [
  ...(await cluster.ask("select rolname from pg_roles where rolname ~ '^pgbosun_restore_'")),
  ...(await cluster.ask("select nspname from pg_namespace where nspname ~ '^pgbosun_restore_'", app.database)),
]

/** What a database gets in the course of time: the restore has to take it all away. */
const laterSql = `
  create table later (id int primary key, person int references app.people);
  create schema newer authorization "$owner"; create table newer.t as select 1 as x;
  create view newer.v as select * from app.people; create domain public.later_domain as int;
  create type public.later_type as (a int); create function public.later_function() returns int language sql as 'select 1';
  create operator public.##> (leftarg = int, rightarg = int, function = int4eq);
  create aggregate public.later_aggregate(int) (sfunc = int4pl, stype = int);
  create statistics public.later_statistics (dependencies) on id, person from later;
  create collation public.later_collation (provider = libc, locale = 'C');
  create text search configuration public.later_words (copy = simple);
  create text search dictionary public.later_dictionary (template = simple);
  create materialized view public.later_view as select 1 as one; create sequence public.later_sequence;
  create procedure public.later_procedure() language sql as 'select 1';
  create operator family public.later_family using btree;
  create extension pgcrypto schema newer; create extension fuzzystrmatch;
  create language later_language handler plpgsql_call_handler;
  create cast (int as app.pair) with inout;
  create foreign data wrapper later_wrapper; create server later_server foreign data wrapper later_wrapper;
  create publication later_publication for all tables;
  create event trigger later_trigger on ddl_command_start execute function app.noted();
  alter default privileges grant all on tables to public;
  alter default privileges for role "$owner" revoke execute on functions from public;
  alter default privileges in schema app grant usage on sequences to "$owner";
  revoke usage on schema public from public; grant all on schema public to "$owner"; comment on schema public is 'changed';
  select lo_from_bytea(9999, 'later'); select lo_unlink(4711);
  drop table app.self; truncate app.people cascade; alter table app.people add column later int`
