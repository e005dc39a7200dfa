import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { test } from './support/chaos.ts'
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
