import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { plant, plantOnTables } from './support/attack.ts'
import { client } from './support/backup.ts'
import { type Finished, run } from './support/cli.ts'
import { type Sql, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
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
    const before = await rolesOf(attack.admin)
    const tried = async (args: string[], code = 0) => {
      const ran = await run(args, { cwd: dir, env })
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(code)
      await nothingGained(attack, before, ran, args.join(' '))
    }
    await tried(['plan'])
    await tried(['migrate', 'status'])
    await tried(['status', '--events'])
    await tried(['check'])
    await tried(['roles', 'plan'])
    await attack.files(next)
    await attack.files({
      'pgbosun.yaml': JSON.stringify({
        ...JSON.parse(
          await import('node:fs').then(({ readFileSync }) => readFileSync(join(dir, 'pgbosun.yaml'), 'utf8')),
        ),
        seeds: [{ file: 'seeds/a.sql' }, { file: 'seeds/b.csv', table: 'things', key: ['id'], mode: 'upsert' }],
      }),
    })
    await tried(['plan'])
    await tried(['migrate', 'lint'])
    await tried(['up'])
    await tried(['up'])
    await tried(['seed', '--force'])
    await tried(['migrate', 'redo'])
    await tried(['migrate', 'down'])
    await tried(['migrate'])
    await tried(['migrate', 'wait-for', '3'])
    await tried(['migrate', 'verify'])
    await tried(['roles', 'apply'])
    await tried(['check'])
    if (client) await tried(['backup'])
    if (client) await tried(['backup', 'verify'])
    await tried(['status'])
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
    const before = await rolesOf(admin)
    await attack.files({
      ...next,
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: `${names.database}_owner` },
        seeds: [{ file: 'seeds/a.sql' }],
      }),
    })
    for (const args of [
      ['plan'],
      ['migrate'],
      ['up'],
      ['migrate', 'redo'],
      ['seed', '--force'],
      ['migrate', 'status'],
      ['check'],
    ]) {
      const ran = await run(args, { cwd: dir, env })
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(0)
      await nothingGained(attack, before, ran, args.join(' '))
    }
    await admin.end()
  }, 300_000)

  test('is itself no danger to itself: the same commands work as the owner', async ({ dir }) => {
    const attack = await prepare(dir)
    const { admin, names } = attack
    await admin.unsafe('drop schema pgbosun cascade; drop table public.others, public.things cascade')
    const env = { DATABASE_URL: urlOf(attack.database, { name: names.app, password }), APP_PASSWORD: password }
    const before = await rolesOf(admin)
    await attack.files({
      ...next,
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: `${names.database}_owner` },
        seeds: [{ file: 'seeds/a.sql' }],
      }),
    })
    for (const args of [['plan'], ['migrate'], ['up'], ['migrate', 'redo'], ['seed', '--force'], ['check']]) {
      const ran = await run(args, { cwd: dir, env })
      expect(ran.code, `${args.join(' ')}: ${ran.stderr}`).toBe(0)
      await nothingGained(attack, before, ran, args.join(' '))
    }
    await admin.end()
  }, 300_000)
})
