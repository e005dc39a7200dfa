import { spawn, spawnSync } from 'node:child_process'
import { describe, expect } from 'vitest'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, test, until } from './support/chaos.ts'
import { program } from './support/cli.ts'
import { uniqueName } from './support/postgres.ts'

/** A database with one backup of it. */
async function backedUp(
  cluster: Cluster,
  makeApp: (extra: object, name?: string) => Promise<App>,
  sql: string,
): Promise<App> {
  const app = await makeApp({ databases: {} })
  const config = { database: { url: { env: 'DATABASE_URL' } }, backup: { store: `file://${app.cwd}/store` } }
  await app.write({ 'pgbosun.yaml': JSON.stringify(config) })
  await cluster.ask(`create database ${quoteIdent(app.database)}`)
  await cluster.ask(sql, app.database)
  const { code, stderr } = await app.run('backup', 'run')
  expect(code, stderr).toBe(0)
  return app
}

const databases = (cluster: Cluster, prefix: string) =>
  cluster.ask(`select datname from pg_database where starts_with(datname, ${quoteLiteral(prefix)})`)

const shop = `create schema app; create schema other; create type app.mood as enum ('a');
  create function app.touch() returns trigger language plpgsql as 'begin return new; end';
  create function app.f(int) returns int immutable language sql as 'select $1';
  create table app.users (id int generated always as identity primary key, m app.mood);
  create table app.orders (id serial primary key, user_id int references app.users, v int check (app.f(v) > 0));
  create index orders_f on app.orders (app.f(v));
  create trigger t before insert on app.orders for each row execute function app.touch();
  comment on table app.orders is 'kept'; grant select on app.orders to public;
  alter table app.orders enable row level security; create policy p on app.orders using (id > 0);
  create table app.parted (a int primary key) partition by list (a);
  create table app.parted_1 partition of app.parted for values in (1);
  create table app.child (extra int) inherits (app.users);
  create view app.v as select o.id, u.m from app.orders o join app.users u on u.id = o.user_id;
  create materialized view app.m as select count(*) from app.orders;
  create table other.alone (a int);
  insert into app.users (m) values ('a'), ('a'); insert into app.orders (user_id, v) values (1, 5), (2, 6), (2, 7);
  insert into app.parted values (1); insert into app.child (id, m, extra) values (9, 'a', 1);
  insert into other.alone select generate_series(1, 9); refresh materialized view app.m`

const objects = (cluster: Cluster, database: string) =>
  cluster.ask<{ what: string }>(
    `select pg_describe_object(classid, objid, 0) as what from (
       select 'pg_class'::regclass as classid, oid as objid from pg_class where oid >= 16384 and relkind in ('r', 'p', 'v', 'm', 'S', 'i')
       union all select 'pg_trigger'::regclass, oid from pg_trigger where not tgisinternal
       union all select 'pg_policy'::regclass, oid from pg_policy
       union all select 'pg_constraint'::regclass, oid from pg_constraint where oid >= 16384 and contype in ('f', 'c')
       union all select 'pg_proc'::regclass, oid from pg_proc where oid >= 16384
       union all select 'pg_type'::regclass, oid from pg_type where oid >= 16384 and typtype = 'e') o
      where pg_describe_object(classid, objid, 0) !~ 'toast' order by 1`,
    database,
  )

describe.skipIf(!client)('a part of a backup', () => {
  for (const more of [[], ['--as-superuser']])
    test(`is a table with everything that belongs to it and that it needs${more.map((flag) => ` (${flag})`)}`, {
      timeout: 60_000,
    }, async ({ cluster, makeApp }) => {
      const app = await backedUp(cluster, makeApp, shop)
      const into = uniqueName('copy')
      const run = await app.runJson('restore', '--into', into, '--yes', '--table', 'app.orders', ...more)
      expect(run.code, run.stderr).toBe(0)
      expect(run.json).toMatchObject({
        rows_compared: 3,
        tables_compared: 1,
        differences: [],
        warnings: [
          'the foreign key app.orders orders_user_id_fkey is left out: the table that it refers to was not chosen',
        ],
      })
      expect((await objects(cluster, into)).map(({ what }) => what)).toEqual([
        'constraint orders_v_check on table app.orders',
        'function app.f(integer)',
        'function app.touch()',
        'index app.orders_f',
        'index app.orders_pkey',
        'policy p on table app.orders',
        'sequence app.orders_id_seq',
        'table app.orders',
        'trigger t on table app.orders',
      ])
      const [row] = await cluster.ask(
        `select nextval('app.orders_id_seq')::int as next, obj_description('app.orders'::regclass) as remark,
                has_table_privilege('public', 'app.orders', 'select') as granted, pg_get_serial_sequence('app.orders', 'id') as sequence`,
        into,
      )
      expect(row).toEqual({ next: 4, remark: 'kept', granted: true, sequence: 'app.orders_id_seq' })
    })

  test('can be several tables, a view with the rows that it reads, or a table with its partitions', {
    timeout: 60_000,
  }, async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, shop)
    const restore = async (...args: string[]) => {
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes', ...args)
      expect(code, stderr).toBe(0)
      return { into, warnings: json.warnings, rows: json.rows_compared }
    }
    const both = await restore('--table', 'app.orders', '--table', 'app.users')
    expect(both).toMatchObject({ warnings: [], rows: 5 })
    expect(
      await cluster.ask("select from pg_constraint where conname = 'orders_user_id_fkey'", both.into),
    ).toHaveLength(1)

    const view = await restore('--table', 'app.v')
    expect(view).toMatchObject({ warnings: [], rows: 5 })
    expect(await cluster.ask('select id from app.v order by 1', view.into)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])

    const filled = await restore('--table', 'app.m')
    expect(await cluster.ask('select count::int from app.m', filled.into)).toEqual([{ count: 3 }])

    const parted = await restore('--table', 'app.parted')
    expect(await cluster.ask('select a from app.parted', parted.into)).toEqual([{ a: 1 }])

    const child = await restore('--table', 'app.child')
    expect(child.warnings).toEqual(['app.users comes without its rows: it is only needed by app.child'])
    expect(await cluster.ask('select extra from app.child', child.into)).toEqual([{ extra: 1 }])

    const schema = await restore('--schema', 'other')
    expect(schema).toMatchObject({ warnings: [], rows: 9 })
    expect((await objects(cluster, schema.into)).map(({ what }) => what)).toEqual(['table other.alone'])
  })

  test('that is not in the backup is exit 2 with what is alike, and never replaces a database', {
    timeout: 60_000,
  }, async ({ cluster, makeApp }) => {
    const app = await backedUp(cluster, makeApp, shop)
    const into = uniqueName('copy')
    for (const more of [[], ['--as-superuser']]) {
      const { code, stderr } = await app.run('restore', '--into', into, '--yes', '--table', 'orders', ...more)
      expect(code, stderr).toBe(2)
      expect(stderr).toContain('this backup has no table orders; did you mean app.orders?')
    }
    expect(await databases(cluster, into)).toEqual([])
    for (const flag of ['--table', '--schema', '--skip-extension']) {
      const { code, stderr } = await app.run('restore', '--replace', app.database, flag, 'app')
      expect(code, stderr).toBe(2)
      expect(stderr).toContain(`${flag} needs --into`)
    }
  })

  for (const more of [[], ['--as-superuser']])
    test(`is everything but an extension and what needs it${more.map((flag) => ` (${flag})`)}`, {
      timeout: 60_000,
    }, async ({ cluster, makeApp, skip }) => {
      if ((await cluster.ask("select from pg_available_extensions where name = 'hstore'")).length === 0)
        skip('NOT RUN: the server has no hstore: install the contrib package of PostgreSQL')
      const app = await backedUp(
        cluster,
        makeApp,
        `create extension hstore; create table plain as select 1 as a; create table typed (h hstore); insert into typed values ('a=>1');
         create table mixed (a text); create index mixed_idx on mixed ((a::hstore)); create view over_it as select * from typed`,
      )
      const into = uniqueName('copy')
      const args = ['--into', into, '--yes', '--skip-extension', 'hstore', ...more]
      const { code, json, stderr } = await app.runJson('restore', ...args)
      expect(code, stderr).toBe(0)
      expect(json).toMatchObject({ rows_compared: 1, tables_compared: 2 })
      const notes = json.warnings as string[]
      expect(notes.toSorted()).toEqual([
        'index public.mixed_idx is left out: it needs the extension hstore',
        'table public.typed is left out: it needs the extension hstore',
        'view public.over_it is left out: it needs the extension hstore',
      ])
      expect((await objects(cluster, into)).map(({ what }) => what)).toEqual(['table mixed', 'table plain'])
    })
})

const canOpenTerminal = spawnSync('script', ['--version']).status === 0
if (!canOpenTerminal)
  process.stderr.write('NOT RUN: picking a backup on a terminal: there is no script of util-linux\n')

describe.skipIf(!client || !canOpenTerminal)('on a terminal', () => {
  /** Runs the program in a terminal, and types when it shows something. */
  async function onTerminal(app: App, url: string, args: string[], typing: [shown: string, keys: string][]) {
    const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: app.cwd,
      env: { PATH: process.env.PATH, DATABASE_URL: url, TERM: 'xterm' },
    })
    let shown = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      shown += text
    })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    let seen = 0
    for (const [what, keys] of typing) {
      await until(`it shows ${what}`, () => {
        const at = shown.indexOf(what, seen)
        if (at >= 0) seen = at + what.length
        return at >= 0
      })
      child.stdin.write(keys)
    }
    const code = await ended
    return { code, shown }
  }

  test('a backup is picked from a table; none if the person stops', { timeout: 90_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const app = await backedUp(cluster, makeApp, 'create table first as select 1 as a')
    const [{ id } = { id: '' }] = (await app.runJson('backup', 'list')).json.backups as { id: string }[]
    await cluster.ask('create table second as select 1 as a', app.database)
    expect((await app.run('backup', 'run')).code).toBe(0)
    const url = cluster.url(app.database)

    const into = uniqueName('copy')
    const down = '\u001b[B'
    const { code, shown } = await onTerminal(
      app,
      url,
      ['restore', '--into', into],
      [
        ['Which backup?', down],
        ['verified', '\r'],
        ['[y/N]', 'y\r'],
      ],
    )
    expect(code, shown).toBe(0)
    expect(shown).toMatch(
      new RegExp(`\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ  ${app.database}  \\S+ k?B +verified +\\d+ s ago`),
    )
    expect(shown).toContain(`restore  backup ${id} of`)
    expect(await cluster.ask("select tablename from pg_tables where schemaname = 'public'", into)).toEqual([
      { tablename: 'first' },
    ])

    const stopped = await onTerminal(app, url, ['restore', '--into', uniqueName('copy')], [['Which backup?', '\u0003']])
    expect(stopped.code, stopped.shown).toBe(2)
    expect(stopped.shown).toContain('no backup was picked; nothing was changed')

    const latest = uniqueName('copy')
    const named = await onTerminal(app, url, ['restore', 'latest', '--into', latest], [['[y/N]', 'y\r']])
    expect(named.code, named.shown).toBe(0)
    expect(named.shown).not.toContain('Which backup?')
  })
})
