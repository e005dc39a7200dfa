import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { plant, plantOnTables } from './support/attack.ts'
import { client } from './support/backup.ts'
import { type Finished, run } from './support/cli.ts'
import { type Sql, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

const password = 'secret of a test'

/** A superuser's own look, under a search_path that nobody can plant into. */
const carefully = (database: string) =>
  postgres(urlOf(database), {
    max: 1,
    fetch_types: false,
    onnotice() {},
    no_subscribe: true,
    connection: { search_path: 'pg_catalog, pg_temp' },
  } as postgres.Options<Record<string, never>>)

const rolesOf = async (sql: Sql) =>
  sql.unsafe(
    `
    select r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication, r.rolcanlogin,
           array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid order by 1)::text as groups
      from pg_roles r where r.rolname like $1 or r.rolname ~ '^pgbosun_' order by 1`,
    ['%attack%'],
  )

type Fixture = {
  database: string
  names: { database: string; app: string; admin: string }
  admin: Sql
  files(files: Record<string, string>): Promise<void>
}

/** A database as the quick start makes it, whose application has planted what it can. */
async function prepare(dir: string): Promise<Fixture> {
  const names = { database: uniqueName('attack'), app: uniqueName('attack_app'), admin: uniqueName('attack_admin') }
  const files = (more: Record<string, string>) => writeFiles(dir, more)
  await files({
    'migrations/001_first.sql':
      'create table things (id int primary key, name text); create table others (id int primary key, thing int references things);',
    'migrations/001_first.down.sql': 'drop table others; drop table things;',
    'seeds/a.sql': `insert into things values (1, 'a') on conflict do nothing`,
    'pgbosun.yaml': JSON.stringify({
      databases: { [names.database]: { users: { [names.app]: { preset: 'app', password: { env: 'APP_PASSWORD' } } } } },
      seeds: [{ file: 'seeds/a.sql' }],
      check: { tables: ['things'], foreignKeys: ['others.thing -> things.id'] },
      backup: { store: `file://${join(dir, 'store')}`, databases: [names.database] },
    }),
  })
  const env = { DATABASE_URL: urlOf(names.database), APP_PASSWORD: password }
  const first = await run(['up'], { cwd: dir, env })
  expect(first.code, first.stderr).toBe(0)
  const app = openOne(names.database, { name: names.app, password })
  const planted = await plant(app, { login: names.app, database: names.database })
  expect(planted).toBeGreaterThan(200)
  await plantOnTables(app)
  await app.end()
  const admin = carefully(names.database)
  return { database: names.database, names, admin, files }
}

const next = {
  'migrations/002_next.sql': `insert into things values (2, 'b'); update things set name = 'c'; create table more (id int); alter table things add column extra int;`,
  'migrations/002_next.down.sql': 'drop table more; alter table things drop column extra;',
  'migrations/003_outside.sql':
    '-- pgbosun: no-transaction\ncreate index concurrently things_name on things (name);\nselect 1;',
  'migrations/003_outside.down.sql': '-- pgbosun: no-transaction\ndrop index concurrently things_name;',
  'seeds/b.csv': 'id,name\n1,z\n7,seven\n',
}

async function nothingGained({ admin, names }: Fixture, before: unknown, ran: Finished, what: string): Promise<void> {
  const seen = await admin.unsafe('select distinct what, who, session from public.seen limit 5')
  expect(seen, `${what}: ${ran.stderr}`).toEqual([])
  expect(await admin.unsafe('select is_called from public.seen_times'), what).toEqual([{ is_called: false }])
  expect(await rolesOf(admin), what).toEqual(before)
  expect(ran.stderr, what).not.toContain('EVIL ran')
  expect(await admin.unsafe('select rolsuper from pg_roles where rolname = $1', [names.app])).toEqual([
    { rolsuper: false },
  ])
}

/** Runs commands one after the other; each succeeds, and nobody has more rights than before. */
async function gainsNothing(attack: Fixture, commands: string[][], where: Parameters<typeof run>[1]): Promise<void> {
  const before = await rolesOf(attack.admin)
  for (const args of commands) {
    const ran = await run(args, where)
    expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(0)
    await nothingGained(attack, before, ran, args.join(' '))
  }
}

describe('an application that owns its database', () => {
  test('the planted code works at all: a superuser who is careless runs it', async ({ dir }) => {
    const { admin, names } = await prepare(dir)
    await admin.unsafe(`update public.things set name = 'x'`)
    expect((await admin.unsafe('select is_called from public.seen_times'))[0]).toEqual({ is_called: true })
    await admin.unsafe(`alter role ${names.app} nosuperuser`)
    await admin.end()
  }, 120_000)

  test('gains nothing from a superuser, whatever command runs', async ({ dir }) => {
    const attack = await prepare(dir)
    const env = { DATABASE_URL: urlOf(attack.database), APP_PASSWORD: password }
    const where = { cwd: dir, env }
    await gainsNothing(
      attack,
      [['plan'], ['migrate', 'status'], ['status', '--events'], ['check'], ['roles', 'plan']],
      where,
    )
    await attack.files(next)
    const configuration = JSON.parse(readFileSync(join(dir, 'pgbosun.yaml'), 'utf8')) as object
    const seeds = [{ file: 'seeds/a.sql' }, { file: 'seeds/b.csv', table: 'things', key: ['id'], mode: 'upsert' }]
    await attack.files({ 'pgbosun.yaml': JSON.stringify({ ...configuration, seeds }) })
    await gainsNothing(
      attack,
      [
        ...[['plan'], ['migrate', 'lint'], ['up'], ['up'], ['seed', '--force']],
        ...[['migrate', 'redo'], ['migrate', 'down'], ['migrate'], ['migrate', 'wait-for', '3']],
        ...[['migrate', 'verify'], ['migrate', 'repair'], ['roles', 'apply'], ['check']],
        ...(client ? [['backup'], ['backup', 'verify']] : []),
        ['status'],
      ],
      where,
    )
    const before = await rolesOf(attack.admin)
    const shadow = await run(['migrate', 'verify', '--shadow'], where)
    expect(shadow.code, shadow.stderr).toBe(50) // what was planted is not what the files make
    await nothingGained(attack, before, shadow, 'migrate verify --shadow')
    await attack.admin.end()
  }, 300_000)

  test('gains nothing from an administrator of roles who is a member of the owner', async ({ dir }) => {
    const attack = await prepare(dir)
    const { admin, names } = attack
    await admin.unsafe(
      `create role ${names.admin} login password '${password}' createrole createdb; grant ${names.database}_owner to ${names.admin} with admin option`,
    )
    await admin.unsafe(
      `grant connect on database postgres to ${names.admin}; grant connect, create on database ${names.database} to ${names.admin}`,
    )
    await admin.unsafe('drop schema pgbosun cascade; drop table public.others, public.things cascade')
    const env = { DATABASE_URL: urlOf(attack.database, { name: names.admin, password }), APP_PASSWORD: password }
    await attack.files({
      ...next,
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: `${names.database}_owner` },
        seeds: [{ file: 'seeds/a.sql' }],
      }),
    })
    await gainsNothing(
      attack,
      [['plan'], ['migrate'], ['up'], ['migrate', 'redo'], ['seed', '--force'], ['migrate', 'status'], ['check']],
      { cwd: dir, env },
    )
    await admin.end()
  }, 300_000)

  test('is itself no danger to itself: the same commands work as the owner', async ({ dir }) => {
    const attack = await prepare(dir)
    const { admin, names } = attack
    await admin.unsafe('drop schema pgbosun cascade; drop table public.others, public.things cascade')
    const env = { DATABASE_URL: urlOf(attack.database, { name: names.app, password }), APP_PASSWORD: password }
    await attack.files({
      ...next,
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: `${names.database}_owner` },
        seeds: [{ file: 'seeds/a.sql' }],
      }),
    })
    await gainsNothing(attack, [['plan'], ['migrate'], ['up'], ['migrate', 'redo'], ['seed', '--force'], ['check']], {
      cwd: dir,
      env,
    })
    await admin.end()
  }, 300_000)

  test('gains nothing through the history of another tool, whatever hangs on it', async ({ dir }) => {
    const attack = await prepare(dir)
    const { admin, names } = attack
    await attack.files({
      'theirs/1_a.sql': '-- migrate:up\ncreate table from_dbmate (id int);\n-- migrate:down\ndrop table from_dbmate;\n',
      'pgbosun.yaml': JSON.stringify({
        migrate: {
          role: `${names.database}_owner`,
          format: 'dbmate',
          dir: 'theirs',
          table: 'public.schema_migrations',
        },
      }),
    })
    const where = { cwd: dir, env: { DATABASE_URL: urlOf(attack.database), APP_PASSWORD: password } }
    const app = openOne(names.database, { name: names.app, password })
    const table = 'create table public.schema_migrations (version varchar(128) primary key);'
    const before = await rolesOf(admin)
    const refused = async (...args: string[]) => {
      const ran = await run(args, where)
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(12)
      expect(ran.stderr).toContain('the history public.schema_migrations')
      await nothingGained(attack, before, ran, args.join(' '))
    }
    for (const planted of [
      `create view public.schema_migrations as select public.evil_text(1)::varchar(128) as version;`,
      `${table} create index evil_history on public.schema_migrations (public.evil_text(1), version);`,
      `${table} create statistics public.evil_statistics on (public.evil_text(version)), version from public.schema_migrations;`,
      `create type public.evil_version as enum ('1'); create function public.evil_cast(public.evil_version) returns text language plpgsql as
         $$ begin perform public.evil('cast'); return '1'; end $$;
       create cast (public.evil_version as text) with function public.evil_cast(public.evil_version);
       create table public.schema_migrations (version public.evil_version primary key);`,
    ]) {
      if (planted.includes('create statistics') && server().major < 14) continue // there are none on expressions
      await app.unsafe(planted)
      for (const args of [['plan'], ['migrate', 'status'], ['migrate'], ['migrate', 'wait-for', '1']])
        await refused(...args)
      await app.unsafe(`do $$ begin if exists (select from pg_catalog.pg_class where relname operator(pg_catalog.=) 'schema_migrations' and relkind operator(pg_catalog.=) 'v')
        then drop view public.schema_migrations; else drop table public.schema_migrations; end if; end $$`)
    }

    // What only runs when a row is written: in the session of the files it may, where we write ourselves it may not.
    await app.unsafe(`${table} create trigger evil before insert or update or delete on public.schema_migrations for each row execute function public.evil_trigger();
      alter table public.schema_migrations add column more text default public.evil_text(1), add column made text generated always as (public.evil_text(version)) stored`)
    await gainsNothing(
      attack,
      [['plan'], ['migrate'], ['migrate', 'status'], ['migrate', 'redo'], ['migrate', 'down']],
      where,
    )
    await app.unsafe(`insert into public.schema_migrations (version) values ('0')`)
    await refused('migrate', 'repair', '--forget', '0', '--yes')
    await app.end()
    await admin.end()
  }, 300_000)
})
