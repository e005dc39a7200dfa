import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { childrenOf, client, test } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { runJson, start } from './support/cli.ts'
import { open, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const password = 'geheim of the role'

/** A new role that may log in, without any other right. */
async function newRole(sql: Sql, options = ''): Promise<string> {
  const name = uniqueName('owner')
  await sql.unsafe(`create role ${name} login password '${password}' ${options}`)
  return name
}

/**
 * Plants a function of an application in everything of its database that could run it. It does as it should when the
 * application itself runs it; of anybody else it makes the application a superuser, and leaves a word in the server's log.
 */
const planted = (app: string, word: string) => `
  create schema shop;
  create function shop.volatile_harm() returns int language plpgsql as $$
    begin
      raise log '%', '${word} ' || 'ran as ' || current_user || ' in ' || current_query();
      begin execute 'alter role ${app} superuser'; exception when others then null; end;
      return 1;
    end $$;
  create function shop.harm(int default 0) returns int immutable language plpgsql as $$
    begin if current_user <> '${app}' then perform shop.volatile_harm(); end if; return 1; end $$;
  create function shop.harmless(int) returns int immutable language sql as $$ select case when shop.harm(1) > 0 then $1 end $$;
  create function shop.yes(int) returns boolean immutable language sql as $$ select shop.harm(1) > 0 $$;
  create operator shop.@@@ (function = shop.yes, rightarg = int);

  create table shop.by_expression (a int); create index on shop.by_expression ((shop.harm(1)));
  create table shop.by_predicate (a int); create index on shop.by_predicate (a) where shop.harm(1) > 0;
  create table shop.by_inlined (a int); create index on shop.by_inlined ((shop.harmless(a)));
  create table shop.by_operator (a int); create index on shop.by_operator (a) where operator(shop.@@@) 1;
  create table shop.by_trigger (a int);
  create function shop.trigger() returns trigger language plpgsql as $$ begin perform shop.harm(1); return new; end $$;
  create trigger t before insert on shop.by_trigger for each row execute function shop.trigger();
  create table shop.generated (a int, b int generated always as (shop.harmless(a)) stored); create index on shop.generated (b);
  create table shop.only_generated (b int generated always as (shop.harm(1)) stored); create index on shop.only_generated ((shop.harm(1)));
  create table shop.without_columns (); create index on shop.without_columns ((shop.harm(1)));
  create table shop.by_check (a int check (shop.harm(1) > 0), b text default shop.harm(1)::text);
  create domain shop.checked as int check (shop.harm(1) > 0); create table shop.by_domain (a shop.checked);
  create index on shop.by_domain ((1::shop.checked));
  create table shop.parted (a int) partition by range ((a + shop.harm(1)));
  create table shop.part partition of shop.parted for values from (0) to (1000); create index on shop.parted ((shop.harm(1)));
  create table shop.parent (a int); create table shop.child () inherits (shop.parent); create index on shop.child ((shop.harm(1)));
  create table shop.secured (a int); alter table shop.secured enable row level security;
  create policy p on shop.secured using (shop.harm(1) > 0); create index on shop.secured ((shop.harm(1)));
  create table shop.forced (a int); alter table shop.forced enable row level security, force row level security;
  create policy p on shop.forced using (shop.harm(1) > 0);
  create view shop.seen as select shop.harm(1) from shop.by_check;
  create materialized view shop.kept as select shop.harm(1) from shop.by_check; create index on shop.kept ((shop.harm(1)));
  create foreign table shop.far (a int default shop.harm(1), constraint c check (shop.harm(1) > 0)) server ${app}_server;
  create rule r as on insert to shop.by_check do also select shop.harm(1);
  create type shop.mood as enum ('good'); create table shop.enums (m shop.mood);
  create index on shop.enums (m) where m = 'good';
  ${server().major >= 14 ? 'create statistics shop.of_expressions on (shop.harm(1)), a from shop.by_check; create statistics shop.more on a, (shop.harmless(a)) from shop.by_trigger;' : ''}
  insert into shop.by_expression select generate_series(1, 30000);
  ${[
    'by_predicate',
    'by_inlined',
    'by_operator',
    'by_trigger',
    'generated',
    'by_check',
    'by_domain',
    'parted',
    'child',
    'secured',
  ]
    .map((table) => `insert into shop.${table} (a) values (1), (2);`)
    .join('\n')}
  insert into shop.only_generated default values; insert into shop.without_columns default values;
  insert into shop.without_columns default values; insert into shop.enums values ('good');
  alter table shop.forced no force row level security; insert into shop.forced values (1), (2), (3);
  alter table shop.forced force row level security`

const rows = {
  'shop.by_check': 2,
  'shop.by_domain': 2,
  'shop.by_expression': 30_000,
  'shop.by_inlined': 2,
  'shop.by_operator': 2,
  'shop.by_predicate': 2,
  'shop.by_trigger': 2,
  'shop.child': 2,
  'shop.enums': 1,
  'shop.forced': 3,
  'shop.generated': 2,
  'shop.only_generated': 1,
  'shop.parent': 0,
  'shop.part': 2,
  'shop.secured': 2,
  'shop.without_columns': 2,
}

/** What the server logged of the planted functions; the statement that made them is logged too. */
const logged = (word: string) =>
  readFileSync(server().logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${word} ran as`))

/** The application's database: its functions are on its path before the server's, too. */
async function plant(sql: Sql, database: string) {
  const app = await newRole(sql)
  const word = uniqueName('planted')
  await sql.unsafe(`alter database ${database} owner to ${app}; create foreign data wrapper w;
    create server ${app}_server foreign data wrapper w; grant usage on foreign server ${app}_server to ${app}`)
  const own = open(database, { name: app, password })
  await own.unsafe(planted(app, word))
  await own.unsafe(`
    create function shop.pg_is_in_recovery() returns boolean language plpgsql as $$ begin perform shop.harm(1); return false; end $$;
    create function shop.set_config(text, text, boolean) returns text language plpgsql as $$ begin perform shop.harm(1); return $2; end $$;
    create function shop.count(oid) returns bigint language plpgsql as $$ begin perform shop.harm(1); return 1; end $$`)
  await own.end()
  await sql.unsafe(`alter database ${database} set search_path = shop, pg_catalog`)
  await sql.unsafe(`alter database ${database} set constraint_exclusion = on`)
  const isSuper = async () => {
    const [row] = await sql.unsafe<{ is: boolean }[]>(
      `select rolsuper as is from pg_catalog.pg_roles where rolname = '${app}'`,
    )
    return row!.is
  }
  return { app, word, isSuper }
}

const manifestOf = (store: string, database: string, id: unknown) =>
  JSON.parse(readFileSync(join(store, database, id as string, 'manifest.json'), 'utf8'))

/** It may be gone by now: `pg_dump --version` is one, too. */
const environmentOf = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}

const { major } = server()

/** What the preset `backup` gives. */
const asBackupRole = (role: string) =>
  `alter role ${role} bypassrls; alter role ${role} set lo_compat_privileges = on; alter role ${role} set default_transaction_read_only = on;
   ${major >= 14 ? `grant pg_read_all_data to ${role}` : `grant usage on schema shop to ${role}; grant select on all tables in schema shop to ${role}`}`

describe.skipIf(!client)('the code of an application', () => {
  test('does not run in a backup, as a superuser or another, and every row is counted', { timeout: 120_000 }, async ({
    configured,
    sql,
    database,
    store,
  }) => {
    const { word, isSuper } = await plant(sql, database)
    const keeper = await newRole(sql)
    await sql.unsafe(asBackupRole(keeper))
    expect(logged(word)).toEqual([])

    for (const url of [urlOf(database), urlOf(database, { name: keeper, password })]) {
      const { json } = await (await configured({ url })).runJson('backup')
      expect(json).toMatchObject({ exit_code: 0, error: null, warnings: [] })
      expect(manifestOf(store, database, json.id)).toMatchObject({ rows, warnings: [] })
      expect(logged(word)).toEqual([])
      expect(await isSuper()).toBe(false)
    }

    // the trap is set: any query of a superuser on the table runs it
    await sql.unsafe('set search_path to pg_catalog; select count(*) from shop.by_expression')
    expect(logged(word)).not.toEqual([])
  })

  test('does not run where it stands in for the history of migrations', async ({
    configured,
    sql,
    database,
    store,
  }) => {
    const { app, word } = await plant(sql, database)
    const own = open(database, { name: app, password })
    await own.unsafe(`create schema pgbosun; create view pgbosun.migrations as
      select 'x'::text as name, 'applied'::text as status, shop.harm(1)::bigint as version`)
    const backup = async () => {
      const { json } = await (await configured()).runJson('backup')
      expect(json.error).toBeNull()
      expect(logged(word)).toEqual([])
      return manifestOf(store, database, json.id)
    }
    const unknown = 'the newest migration is unknown: pgbosun.migrations is not the table that pgbosun created'
    expect(await backup()).toMatchObject({ migration: null, warnings: [unknown] })
    await own.unsafe(`drop view pgbosun.migrations; create table pgbosun.migrations (name text, status text, version bigint);
      create index on pgbosun.migrations (version) where shop.harm(1) > 0`)
    expect(await backup()).toMatchObject({ migration: null, warnings: [unknown] })
    await own.unsafe(`drop table pgbosun.migrations; create table pgbosun.migrations (name text, status text, version bigint);
      insert into pgbosun.migrations values ('001_a.sql', 'applied', 1)`)
    await own.end()
    expect(await backup()).toMatchObject({ migration: '001_a', warnings: [] })
  })
})

describe.skipIf(!client)('a role that sees only some rows', () => {
  test('makes no backup: it is told which privilege is missing', async ({ configured, sql, database }) => {
    const { app, word } = await plant(sql, database)
    // the owner is under its own policies where they are forced
    const { json } = await (await configured({ url: urlOf(database, { name: app, password }) })).runJson('backup')
    expect(json).toMatchObject({ exit_code: 60, error: { kind: 'backup' } })
    expect(json.error!.message).toContain(
      `table shop.forced has row-level security, so ${app} would not see every row: alter role "${app}" bypassrls;`,
    )
    expect(logged(word)).toEqual([])
  })
})

describe.skipIf(!client)('the sessions of a backup', () => {
  test('are those of backup.url alone, read-only, and with a path of the server’s own', { timeout: 60_000 }, async ({
    sql,
    database,
    dir,
    store,
  }) => {
    const { word } = await plant(sql, database)
    const keeper = await newRole(sql)
    await sql.unsafe(asBackupRole(keeper))
    const url = new URL(urlOf(database, { name: keeper, password }))
    url.searchParams.set('target_session_attrs', 'primary') // that is not what read-only sessions are, for libpq
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href, url: { env: 'BACKUP_URL' } } }),
    })
    const env = {
      DATABASE_URL: urlOf(database, { name: 'postgres', password: 'not the password' }),
      BACKUP_URL: url.href,
    }
    const blocker = await sql.reserve()
    await blocker.unsafe('begin; lock table shop.parent in access exclusive mode')
    const { child, finished } = start(['backup', '--json'], { cwd: dir, env })
    const options = await until('pg_dump waits', () =>
      childrenOf(child.pid!, 'pg_dump')
        .map((pid) => /PGOPTIONS=([^\0]*)/.exec(environmentOf(pid))?.[1])
        .find(Boolean),
    )
    await blocker.unsafe('rollback')
    blocker.release()

    expect(options).toContain('-c search_path=pg_catalog,\\ pg_temp -c role=none -c row_security=off')
    expect(options).toContain(major < 14 ? 'read_only=off' : '-c default_transaction_read_only=on')
    const { code, stdout, stderr } = await finished
    expect([code, JSON.parse(stdout).error], stderr).toEqual([0, null])
    expect(logged(word)).toEqual([])
  })
})

describe('who makes backups', () => {
  const line = (user: string) =>
    `backups are made as ${user}, a superuser: set backup.url to a user with \`preset: backup\`, who can read everything and change nothing`

  test('is told by plan and check where it is a superuser, and backups are asked for', { timeout: 120_000 }, async ({
    sql,
    dir,
    database,
    store,
  }) => {
    const keeper = await newRole(sql)
    const saying = async (backup: object, env: Record<string, string> = {}) => {
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({ lock: { database }, backup }),
      })
      const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), ...env } }
      const [plan, check] = [await runJson(['plan'], options), await runJson(['check'], options)]
      expect([plan.code, check.code]).toEqual([0, 0])
      const more = 'schedule' in backup ? [expect.stringContaining(`has no backup of ${database}:`)] : []
      const untried = 'schedule' in backup ? [expect.stringContaining('no backup was ever restored for a test')] : []
      expect(check.json.warnings).toEqual([...more, ...(plan.json.warnings as string[]), ...untried])
      return plan.json.warnings
    }
    await sql.unsafe(`revoke connect on database ${database} from public`)
    const url = { env: 'BACKUP_URL' }

    expect(await saying({})).toEqual([])
    for (const asked of [{ schedule: '0 3 * * *' }, { databases: [database] }, { store: pathToFileURL(store).href }])
      expect([asked, await saying(asked)]).toEqual([asked, [line('postgres')]])
    expect(await saying({ url }, { BACKUP_URL: urlOf(database) })).toEqual([line('postgres')])
    expect(await saying({ url }, { BACKUP_URL: urlOf(database, { name: keeper, password }) })).toEqual([])
    expect(await saying({ url }, { BACKUP_URL: urlOf(database, { name: 'nobody of this server', password }) })).toEqual(
      [],
    )
    // where only the backups know the secret
    expect(await saying({ url })).toEqual([])
  })

  test.runIf(client)('is told once by backup run', async ({ configured, database }) => {
    const other = uniqueName('other')
    const admin = open('postgres')
    await admin.unsafe(`create database ${other}`)
    await admin.end()
    const { code, stderr } = await (await configured({ backup: { databases: [database, other] } })).run('backup')
    expect(code).toBe(0)
    expect(stderr.split(line('postgres'))).toHaveLength(2)
  })
})
