import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { run, runJson, start } from './support/cli.ts'
import { clusterNames, fails } from './support/fails.ts'
import { formats } from './support/formats.ts'
import { test as base, open, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const { major } = server()

type Object = { state: string; kind: string; name: string; severity: string; differences: { what: string }[] }
type DriftDocument = { ok: boolean; error_count: number; note_count: number; objects: Object[] }
type Found = {
  code: number | null
  stderr: string
  json: {
    drift: DriftDocument
    down?: { empty: DriftDocument; again: DriftDocument | null }
    error: { kind: string; message: string; hint: string; line: number; file: string; sqlstate: string } | null
    warnings: string[]
    pending: string[]
    format: string
  }
}
type Files = Record<string, string>

type Fixtures = {
  /** Writes files and runs `migrate`. */
  migrate: (files?: Files) => Promise<void>
  /** Runs `migrate verify --shadow`, and sees that no scratch database stays. */
  shadow: (...flags: string[]) => Promise<Found>
}

const test = base.extend<Fixtures>({
  migrate: async ({ dir, database }, use) =>
    use(async (files = {}) => {
      await writeFiles(dir, files)
      const { code, stderr } = await run(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    }),
  shadow: async ({ dir, database, sql }, use) =>
    use(async (...flags) => {
      const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
      const { code, stderr, json } = await runJson(['migrate', 'verify', '--shadow', ...flags], options)
      expect(await scratchOf(sql, database)).toEqual([])
      return { code, stderr, json: json as unknown as Found['json'] }
    }),
})

const scratchOf = async (sql: Sql, database: string) =>
  (await clusterNames(sql, `${database}__shadow_`)).map((name) => name.replace('database ', ''))

/** `missing table public.a` */
const words = ({ objects }: DriftDocument) =>
  objects.map(({ state, kind, name, differences }) =>
    [state, kind, name, ...differences.map(({ what }) => `/ ${what}`)].join(' '),
  )

const shop = {
  'migrations/001_users.sql': `create table users (id bigint generated always as identity primary key, email text not null unique);
    create index users_email on users (lower(email)); comment on table users is 'people'`,
  'migrations/002_orders.sql': `create schema app; create type app.mood as enum ('sad', 'glad');
    create table app.orders (id serial primary key, user_id bigint references users, mood app.mood default 'sad', total numeric(9, 2));
    create view app.totals as select user_id, sum(total) from app.orders group by 1;
    create function app.twice(int) returns int language sql immutable as 'select 2 * $1'`,
  'migrations/003_index.sql': 'create index concurrently orders_user on app.orders (user_id)',
  'migrations/repeatable/big.sql': 'create or replace view big as select * from users where id > 100',
}

describe('migrate verify --shadow', () => {
  test('finds no drift when the database is what its files make', async ({ migrate, shadow, dir, database, sql }) => {
    await migrate(shop)
    await sql`insert into users (email) values ('a@example.com')`
    const [before] = await sql`select count(*)::int as n from pgbosun.events`
    const { code, json } = await shadow()
    expect({ code, error: json.error, warnings: json.warnings }).toEqual({ code: 0, error: null, warnings: [] })
    expect(json.drift).toEqual({ ok: true, error_count: 0, note_count: 0, objects: [] })
    expect(json).toMatchObject({ applied: ['001_users', '002_orders', '003_index'], pending: [], problems: [] })
    expect(await sql`select count(*)::int as n from pgbosun.events`).toEqual([before])
    const { stdout } = await run(['migrate', 'verify', '--shadow'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
    })
    expect(stdout.replace(/\([\d.]+ m?s\)/, '(T)')).toBe(
      `3 applied migrations match their files, 0 pending\nshadow    ${database} is what its 4 migrations make (T)\n`,
    )
  })

  test('shows what was changed by hand, as a diff', async ({ migrate, shadow, dir, database, sql }) => {
    await migrate(shop)
    await sql.unsafe(`alter table users add column phone text, alter column email drop not null; drop index app.orders_user;
      drop function app.twice; create table notes (id int); comment on table users is 'humans'`)
    const { code, json } = await shadow()
    expect(code).toBe(50)
    expect(json.error).toMatchObject({ kind: 'unhealthy' })
    expect(json.error?.message).toMatch(`${database} is not what its migrations make: table app.orders is different`)
    expect(words(json.drift)).toEqual([
      'different table app.orders / index orders_user',
      'unexpected table public.notes',
      'different table public.users / column email / column phone / comment',
      'missing function app.twice(integer)',
    ])
    expect(json.drift).toMatchObject({ ok: false, error_count: 4, note_count: 0 })
    const { stdout } = await run(['migrate', 'verify', '--shadow'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
    })
    expect(stdout).toContain('is not what its 4 migrations make: 4 differences')
    expect(stdout).toMatch(
      /different {3}table public\.users\n {2}- column email {2}text not null\n {2}\+ column email {2}text\n/,
    )
  })

  test('a note of --shadow is not a failure', async ({ migrate, shadow, sql }) => {
    await migrate(shop)
    await sql`comment on column users.email is 'where to write'`
    const { code, json } = await shadow()
    expect([code, json.drift.ok, json.drift.note_count, words(json.drift)]).toEqual([
      0,
      true,
      1,
      ['different table public.users / comment on column email'],
    ])
  })

  test('pending files do not count for --shadow', async ({ migrate, shadow, dir }) => {
    await migrate(shop)
    await writeFiles(dir, {
      'migrations/004_late.sql': 'create table late (id int)',
      'migrations/repeatable/new.sql': 'create or replace view new as select 1 as one',
    })
    const { code, json } = await shadow()
    expect([code, json.pending, json.drift.objects]).toEqual([0, ['004_late', 'repeatable/new'], []])
  })

  test('a changed repeatable file is compared as it is now, and named', async ({ migrate, shadow, dir }) => {
    await migrate(shop)
    await writeFiles(dir, {
      'migrations/repeatable/big.sql': 'create or replace view big as select * from users where id > 200',
    })
    const { code, json } = await shadow()
    expect([code, words(json.drift)]).toEqual([50, ['different view public.big / definition']])
    expect(json.warnings).toEqual([expect.stringContaining('big: changed since it was applied')])
  })

  test('a migration that was only recorded is run in the scratch database, so what it makes is missing in the live one', async ({
    migrate,
    shadow,
    dir,
    database,
  }) => {
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    await writeFiles(dir, { 'migrations/002_b.sql': 'create table b (id int)' })
    await run(['migrate', '--fake'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    const { code, json } = await shadow()
    expect([code, words(json.drift)]).toEqual([50, ['missing table public.b']])
    expect(json.warnings).toEqual(['002_b: recorded without being run; the scratch database has what it makes'])
  })

  test('a database without a migration is compared with an empty one', async ({ migrate, shadow, sql }) => {
    await migrate({ 'migrations/.keep': '' })
    expect(await shadow()).toMatchObject({ code: 0, json: { drift: { ok: true } } })
    await sql`create table by_hand (id int)`
    expect(words((await shadow()).json.drift)).toEqual(['unexpected table public.by_hand'])
  })

  test('the scratch database has the settings, the encoding and the locale of the live one', async ({ dir, sql }) => {
    const database = uniqueName('locale')
    await sql.unsafe(`create database ${database} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`)
    await sql.unsafe(`alter database ${database} set search_path = app, "$user", public; alter database ${database} set app.secret = 'geheim';
      alter role postgres in database ${database} set standard_conforming_strings = on; alter database ${database} set datestyle = 'german'`)
    const live = open(database)
    await live`create schema app`
    await writeFiles(dir, {
      'migrations/001_a.sql': `create schema if not exists app; create table a (day date default '13.12.2026');
        do $$ begin if current_setting('app.secret') <> 'geheim' or (select (encoding, datcollate)::text from pg_database
          where datname = current_database()) <> '(8,C)' then raise 'not the same'; end if; end $$`,
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    expect((await run(['migrate'], options)).code).toBe(0)
    const { code, json, stderr } = await runJson(['migrate', 'verify', '--shadow', '--log-level', 'debug'], options)
    expect([code, json.error, json.drift]).toEqual([0, null, { ok: true, error_count: 0, note_count: 0, objects: [] }])
    expect(stderr).not.toContain('geheim')
    expect(await live`select to_regclass('app.a') is not null as there`).toEqual([{ there: true }])
    await live.end()
  })

  test.skipIf(major < 15)('also with a locale that is not of the C library', async ({ dir, sql }) => {
    const database = uniqueName('locale')
    const [provider, locale] = major < 17 ? ['icu', 'de-DE'] : ['builtin', 'C.UTF-8']
    await sql.unsafe(
      `create database ${database} template template0 encoding 'UTF8' locale_provider ${provider} ${provider}_locale '${locale}'`,
    )
    await writeFiles(dir, {
      'migrations/001_a.sql': `do $$ begin if (select (to_jsonb(d)->>'datlocprovider') || ' ' || coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')
        from pg_database d where datname = current_database()) <> '${provider?.[0]} ${locale}' then raise 'not the same'; end if; end $$`,
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    expect((await run(['migrate'], options)).code).toBe(0)
    expect(await runJson(['migrate', 'verify', '--shadow'], options)).toMatchObject({ code: 0, json: { error: null } })
  })
})

describe('what cannot be compared', () => {
  test('a file that only works with objects made by hand', async ({ migrate, shadow, sql, database }) => {
    await sql`create table by_hand (id int)`
    await migrate({
      'migrations/001_a.sql': 'create table a (id int)',
      'migrations/002_b.sql': 'select 1;\ncreate view v as\nselect * from by_hand',
    })
    const { code, json } = await shadow()
    expect(code).toBe(20)
    expect(json.error).toMatchObject({
      kind: 'migration',
      sqlstate: '42P01',
      line: 3,
      message: 'in a scratch database, 002_b failed: relation "by_hand" does not exist',
      hint: expect.stringContaining('declare extensions and schemas under `databases`'),
    })
    expect(json.drift).toBeNull()
    expect(await clusterNames(sql, database)).toEqual([`database ${database}`])
  })

  test('a file that would change the server a second time, and not only the server', async ({ migrate, shadow }) => {
    await migrate({
      'migrations/001_a.sql':
        'create table a (id int);\n-- not here\ndo $$ begin if false then drop role app; end if; end $$',
    })
    const { code, json } = await shadow()
    expect(code).toBe(2)
    expect(json.error).toMatchObject({ kind: 'usage', line: 3, file: expect.stringContaining('001_a.sql') })
    expect(json.error?.message).toBe('001_a would change the server a second time (DROP ROLE), line 3')
  })

  test('but a statement that only changes the server is left out', async ({ migrate, shadow, sql, database }) => {
    const role = uniqueName('app')
    await migrate({
      'migrations/001_role.sql': `create role ${role};\ngrant connect on database ${database} to ${role}`,
      'migrations/001_role.down.sql': `revoke connect on database ${database} from ${role}; drop role ${role}`,
      'migrations/002_a.sql': `create table a (id int); comment on role ${role} is 'reads'; grant select on a to ${role}`,
      'migrations/002_a.down.sql': 'drop table a',
      'migrations/003_none.sql': `-- pgbosun: no-transaction\nalter role ${role} set work_mem = '8MB'`,
      'migrations/003_none.down.sql': `-- pgbosun: no-transaction\nalter role ${role} reset work_mem`,
    })
    const { code, json } = await shadow('--down')
    expect([code, json.error, json.drift]).toMatchObject([0, null, { ok: true }])
    expect(json.warnings).toContainEqual(
      'CREATE ROLE in 001_role, GRANT … ON DATABASE in 001_role, COMMENT … ON ROLE in 002_a and 3 more: ' +
        'left out in the scratch database, because it changes the whole server, and was done there already',
    )
    expect(await sql`select rolconfig from pg_roles where rolname = ${role}`).toEqual([{ rolconfig: '{work_mem=8MB}' }])
    await sql`drop table a`
    await sql.unsafe(`revoke connect on database ${database} from ${role}; drop role ${role}`)
  })

  test('but a file that first checks whether the role exists works', async ({ migrate, shadow }) => {
    const role = uniqueName('app')
    await migrate({
      'migrations/001_a.sql': `do $$ begin if not exists (select from pg_roles where rolname = '${role}') then create role ${role}; end if; end $$;
        create table a (id int); grant select on a to ${role}`,
    })
    expect(await shadow()).toMatchObject({ code: 0, json: { drift: { ok: true } } })
  })

  test('files that do not match the history', async ({ migrate, shadow, dir }) => {
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id bigint)' })
    expect((await shadow()).json.error).toMatchObject({
      kind: 'history',
      message: '001_a was changed after it was applied',
    })
  })

  test('without the right to create databases', async ({ migrate, dir, database, sql }) => {
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    const user = { name: uniqueName('reader'), password: 'geheim-reader' }
    await sql.unsafe(`create role ${user.name} login password '${user.password}';
      grant usage on schema pgbosun to ${user.name}; grant select on all tables in schema pgbosun to ${user.name}`)
    const env = { DATABASE_URL: urlOf(database, user) }
    const failure = await fails(['migrate', 'verify', '--shadow'], { cwd: dir, env })
    expect(failure).toMatchObject({
      kind: 'refused',
      message: `the user ${user.name} may not create databases, but the comparison needs a scratch database`,
      hint: `alter role "${user.name}" createdb; or connect as a role that may`,
    })
    expect(await scratchOf(sql, database)).toEqual([])
  })

  test('--down without --shadow is 2', async ({ dir, database, migrate }) => {
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    const env = { DATABASE_URL: urlOf(database) }
    expect(await fails(['migrate', 'verify', '--down'], { cwd: dir, env })).toMatchObject({ kind: 'usage' })
  })
})

describe('a run that ends early', () => {
  /** Sleeps in a scratch database as long as a role exists. */
  const sleeper = (role: string) => `create table a (id int);
    do $$ begin if current_database() ~ '__shadow_' and exists (select from pg_roles where rolname = '${role}') then perform pg_sleep(60); end if; end $$`

  const sleeping = async (sql: Sql, database: string) => {
    for (let i = 0; i < 600; i++) {
      const [row] = await sql<{ name: string }[]>`select datname as name from pg_stat_activity
        where position(${`${database}__shadow_`} in datname) > 0 and wait_event = 'PgSleep'`
      if (row) return row.name
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error('nothing sleeps')
  }

  test('on SIGTERM removes the scratch database', async ({ migrate, dir, database, sql }) => {
    const role = uniqueName('sleep')
    await sql.unsafe(`create role ${role}`)
    await migrate({ 'migrations/001_a.sql': sleeper(role) })
    const { child, finished } = start(['migrate', 'verify', '--shadow', '--json'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
    })
    await sleeping(sql, database)
    const stoppedAt = performance.now()
    child.kill('SIGTERM')
    const { code, stdout } = await finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([143, 'terminated'])
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    expect(await scratchOf(sql, database)).toEqual([])
  })

  test('by SIGKILL leaves a scratch database that the next run removes; that of a running comparison stays', async ({
    migrate,
    dir,
    database,
    sql,
    shadow,
  }) => {
    const role = uniqueName('sleep')
    await sql.unsafe(`create role ${role}`)
    await migrate({ 'migrations/001_a.sql': sleeper(role) })
    const env = { DATABASE_URL: urlOf(database) }
    const first = start(['migrate', 'verify', '--shadow'], { cwd: dir, env })
    const leftover = await sleeping(sql, database)
    first.child.kill('SIGKILL')
    await first.finished
    expect(await scratchOf(sql, database)).toEqual([leftover])

    const second = start(['migrate', 'verify', '--shadow'], { cwd: dir, env })
    await expect.poll(() => scratchOf(sql, database), { timeout: 30_000 }).not.toContain(leftover)
    const working = await sleeping(sql, database)
    await sql.unsafe(`drop role ${role}`)
    const third = await runJson(['migrate', 'verify', '--shadow'], { cwd: dir, env })
    expect([third.code, await scratchOf(sql, database)]).toEqual([0, [working]])
    second.child.kill('SIGTERM')
    await second.finished
    expect((await shadow()).code).toBe(0)
  })

  test('a database of somebody else with such a name is left alone', async ({ migrate, shadow, sql }) => {
    const other = `${uniqueName('their')}__shadow_0123abcd`
    await sql.unsafe(`create database ${other}`)
    await sql.unsafe(`comment on database ${other} is '{"pgbosun":"restore","id":"0123abcd"}'`)
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    expect((await shadow()).code).toBe(0)
    expect(await clusterNames(sql, other)).toEqual([`database ${other}`])
  })
})

describe('--down', () => {
  const both = {
    ...shop,
    'migrations/001_users.down.sql': 'drop table users',
    'migrations/002_orders.down.sql': 'drop schema app cascade',
    'migrations/003_index.down.sql': 'drop index concurrently app.orders_user',
  }

  test('undoes all migrations, and applies them again', async ({ migrate, shadow, dir, database }) => {
    await migrate(both)
    const { code, json } = await shadow('--down')
    expect([code, json.error]).toEqual([0, null])
    for (const drift of [json.drift, json.down?.empty, json.down?.again])
      expect(drift).toMatchObject({ ok: true, objects: [] })
    const { stdout } = await run(['migrate', 'verify', '--shadow', '--down'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
    })
    expect(stdout).toContain('shadow    undoing all of them leads back\nshadow    applying them again makes the same\n')
  })

  test('names what undoing leaves behind, and still compares with the live database', async ({
    migrate,
    shadow,
    sql,
  }) => {
    await migrate({
      'migrations/001_a.sql': 'create table a (id int); create sequence counted',
      'migrations/001_a.down.sql': 'drop table a',
    })
    await sql`alter table a add b int`
    const { code, json } = await shadow('--down')
    expect([code, words(json.drift)]).toEqual([50, ['different table public.a / column b']])
    expect([words(json.down!.empty), json.down!.again]).toEqual([['unexpected sequence public.counted'], null])
    expect(json.error?.message).toMatch(/\(and 1 more\)$/)
    expect(json.error?.hint).toContain('write a migration for what shall stay')
    await sql`alter table a drop column b`
    const { error } = (await shadow('--down')).json
    expect(error?.message).toContain('undoing all migrations does not lead back')
    expect(error?.hint).toContain('correct the script that undoes')
  })

  test('names what is different after applying all again', async ({ migrate, shadow }) => {
    await migrate({
      'migrations/001_a.sql': `do $$ begin if exists (select from pg_largeobject_metadata) then create table a (id bigint);
        else create table a (id int); end if; end $$`,
      'migrations/001_a.down.sql': 'drop table a; select lo_create(0)',
    })
    const { code, json } = await shadow('--down')
    expect([code, json.drift.ok, json.down?.empty.ok]).toEqual([50, true, true])
    expect(words(json.down!.again!)).toEqual(['different table public.a / column id'])
    expect(json.error?.message).toBe(
      'applying all migrations again does not make the same: table public.a is different (column id)',
    )
  })

  test('refuses, before anything is made, if there is no script that undoes', async ({ migrate, shadow }) => {
    await migrate({ ...both, 'migrations/004_more.sql': 'create table more (id int)' })
    const { code, json } = await shadow('--down')
    expect([code, json.error?.message]).toEqual([2, '004_more cannot be undone: there is no script that undoes it'])
  })
})

describe('a declared database', () => {
  const configFor = (database: string, owner: string) => `
databases:
  ${database}:
    owner: ${owner}
    schemas: { public: {}, reporting: {} }
    extensions: { pgcrypto: {} }
    users: { ${owner}_app: { preset: app, password: { env: APP_PASSWORD } } }
`
  const files = {
    'migrations/001_a.sql': `create table a (id int, h text default encode(digest('x', 'sha256'), 'hex')); create table reporting.r (id int);
      create schema more; grant usage on schema more to public;
      do $$ begin execute format('grant create on database %I to public', current_database()); end $$`,
  }

  test('gets its schemas and extensions before the files, which run as its owner', async ({ dir }) => {
    const database = uniqueName('decl')
    const owner = `${database}_owner`
    await writeFiles(dir, { ...files, 'pgbosun.yaml': configFor(database, owner) })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), APP_PASSWORD: 'geheim-app' } }
    const up = await run(['up'], options)
    expect(up).toMatchObject({ code: 0 })
    const sql = open(database)
    const { code, json } = await runJson(['migrate', 'verify', '--shadow'], options)
    expect([code, json.error, json.drift]).toEqual([0, null, { ok: true, error_count: 0, note_count: 0, objects: [] }])
    expect(await scratchOf(sql, database)).toEqual([])

    // As a user that is not a superuser, but a member of the owner.
    const deploy = { name: `${database}_deploy`, password: 'geheim-deploy' }
    await sql.unsafe(`create role ${deploy.name} login createdb password '${deploy.password}' in role ${owner};
      grant usage on schema pgbosun to ${deploy.name}; grant select on all tables in schema pgbosun to ${deploy.name}`)
    const asDeploy = { cwd: dir, env: { DATABASE_URL: urlOf(database, deploy), APP_PASSWORD: 'geheim-app' } }
    const second = await runJson(['migrate', 'verify', '--shadow'], asDeploy)
    expect([second.code, second.json.error, second.json.drift, second.json.warnings]).toEqual([0, null, json.drift, []])
    expect(await scratchOf(sql, database)).toEqual([])

    // A member that must SET ROLE to the owner for everything it does.
    await sql.unsafe(
      major >= 16
        ? `grant ${owner} to ${deploy.name} with inherit false, set true`
        : `alter role ${deploy.name} noinherit; grant connect on database ${database} to ${deploy.name}`,
    )
    await sql.unsafe(`grant connect on database ${database} to ${deploy.name}`)
    const third = await runJson(['migrate', 'verify', '--shadow'], asDeploy)
    expect([third.code, third.json.error, third.json.drift, third.json.warnings]).toEqual([0, null, json.drift, []])
    expect(await scratchOf(sql, database)).toEqual([])
    await sql.end()
  })

  test('each of several databases is compared with its own files', async ({ dir, database, sql }) => {
    const other = uniqueName('other')
    await sql.unsafe(`create database ${other}`)
    await writeFiles(dir, {
      'pgbosun.yaml': `databases: { ${other}: { migrate: { dir: other } } }`,
      'migrations/001_a.sql': 'create table a (id int)',
      'other/001_b.sql': 'create table b (id int)',
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    expect((await run(['migrate'], options)).code).toBe(0)
    const live = open(other)
    await live`alter table b add c int`
    await live.end()
    const { code, json } = await runJson(['migrate', 'verify', '--shadow'], options)
    expect([code, json.drift]).toMatchObject([50, { ok: true }])
    expect(json.databases).toMatchObject([
      { database: null, drift: { ok: true } },
      { database: other, drift: { ok: false, objects: [{ name: 'public.b' }] } },
    ])
  })
})

describe.each(formats)('in the format $name', (format) => {
  const parts = [1, 2, 3].map((n) => ({ up: `create table t${n} (id int);`, down: `drop table t${n};` }))

  test('compares what the tool and pgbosun have applied, without the history of the tool', async ({
    dir,
    database,
    sql,
  }) => {
    const files = format.files(parts)
    await writeFiles(join(dir, 'db'), files)
    if (format.name !== 'pgbosun') {
      await sql.unsafe(format.ddl)
      await sql.unsafe(`${parts[0]?.up} ${format.record(1, files)}`)
    }
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format.name, PGBOSUN_MIGRATE_DIR: 'db' }
    expect(await run(['migrate'], { cwd: dir, env })).toMatchObject({ code: 0 })
    const rows = await format.rows(sql)

    const flags = ['migrate', 'verify', '--shadow', ...(format.down ? ['--down'] : [])]
    const good = await runJson(flags, { cwd: dir, env })
    expect([good.code, good.json.error, good.json.warnings]).toEqual([0, null, []])
    expect(good.json).toMatchObject({
      format: format.name,
      applied: [1, 2, 3].map(format.title),
      drift: { objects: [] },
    })
    if (format.down) expect(good.json.down).toMatchObject({ empty: { objects: [] }, again: { objects: [] } })

    await sql`drop table t2`
    const bad = await runJson(['migrate', 'verify', '--shadow'], { cwd: dir, env })
    expect([bad.code, words(bad.json.drift as DriftDocument)]).toEqual([50, ['missing table public.t2']])
    expect([await format.rows(sql), await scratchOf(sql, database)]).toEqual([rows, []])
  })
})

test('the history of a tool that is no longer used is left out too', async ({ dir, database, sql }) => {
  const dbmate = formats.find(({ name }) => name === 'dbmate')!
  await writeFiles(join(dir, 'db'), dbmate.files([{ up: 'create table t1 (id int);', down: 'drop table t1;' }]))
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: 'dbmate', PGBOSUN_MIGRATE_DIR: 'db' }
  expect((await run(['migrate'], { cwd: dir, env })).code).toBe(0)
  expect((await run(['migrate', 'adopt', '--from', 'dbmate', '--into', 'own', '--yes'], { cwd: dir, env })).code).toBe(
    0,
  )
  const own = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_DIR: 'own' }
  expect(await sql`select version from schema_migrations`).toHaveLength(1)
  const { code, json } = await runJson(['migrate', 'verify', '--shadow'], { cwd: dir, env: own })
  expect([code, json.format, json.drift, json.warnings]).toMatchObject([0, 'pgbosun', { objects: [] }, []])
})

describe('check.shadow', () => {
  const openLocks = expect.stringContaining('everybody may connect to the lock database postgres')

  test('makes drift an error of check, and a note a warning', async ({ dir, database, sql, migrate }) => {
    await writeFiles(dir, { 'pgbosun.yaml': 'check: { shadow: true }' })
    await migrate({ 'migrations/001_a.sql': 'create table a (id int)' })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const good = await runJson(['check'], options)
    expect([good.code, good.json.drift, good.json.warnings]).toEqual([
      0,
      { ok: true, error_count: 0, note_count: 0, objects: [] },
      [openLocks],
    ])

    await sql`comment on table a is 'x'`
    const noted = await runJson(['check'], options)
    expect([noted.code, noted.json.warnings]).toEqual([
      0,
      [`${database} is not quite what its migrations make: table public.a is different (comment)`, openLocks],
    ])
    await sql`alter table a add b int`
    const bad = await runJson(['check'], options)
    expect(bad.json).toMatchObject({ exit_code: 50, overall_healthy: false, drift: { ok: false } })
    expect(bad.json.error?.message).toBe(
      `the database is not what is declared: ${database} is not what its migrations make: table public.a is different (column b, comment)`,
    )
    // Neither `up` nor `status` creates a scratch database.
    expect((await run(['up'], options)).code).toBe(0)
    expect((await runJson(['status'], options)).json.drift).toBeUndefined()
    expect(await scratchOf(sql, database)).toEqual([])
  })

  test('reports as an error why it cannot compare', async ({ dir, database, migrate }) => {
    await writeFiles(dir, { 'pgbosun.yaml': 'check: { shadow: true }' })
    await migrate({ 'migrations/001_a.sql': 'do $$ begin if false then drop role app; end if; end $$' })
    const { code, json } = await runJson(['check'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expect([code, json.drift]).toEqual([50, null])
    expect(json.error?.message).toContain(
      'could not be compared with what the migrations make: 001_a would change the server',
    )
  })
})
