import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import { loginPrefix } from '../src/postgres/login.ts'
import { client } from './support/backup.ts'
import { run, runJson, type Started, start } from './support/cli.ts'
import { test as base, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const password = 'secret of a test'
const whoSql = 'create table who as select session_user::text as session, current_user::text as role;'

type Fixtures = {
  /** Owner of the database, which nobody logs in as. */
  owner: string
  /** Runs a command as a user of the server, a superuser unless told. */
  pgbosun(args: string[], options?: { as?: string; env?: Record<string, string> }): ReturnType<typeof runJson>
  files(files: Record<string, string>): Promise<void>
}

const test = base.extend<Fixtures>({
  owner: async ({ sql, database }, use) => {
    const owner = uniqueName('owner')
    await sql.unsafe(
      `create role ${owner}; alter database ${database} owner to ${owner}; alter schema public owner to ${owner}`,
    )
    await use(owner)
  },
  files: async ({ dir, owner }, use) => {
    const files = (more: Record<string, string>) => writeFiles(dir, more)
    await files({ 'pgbosun.yaml': JSON.stringify({ migrate: { role: owner } }) })
    await use(files)
  },
  pgbosun: async ({ dir, database }, use) =>
    use((args, { as, env = {} } = {}) =>
      runJson(args, {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database, as === undefined ? undefined : { name: as, password }), ...env },
      }),
    ),
})

const loginsOf = (sql: Sql, database: string) =>
  sql.unsafe('select rolname from pg_roles where starts_with(rolname::text, $1)', [loginPrefix(database)])
const recordersOf = (sql: Sql) =>
  sql.unsafe(`select proname from pg_proc where pronamespace = to_regnamespace('pgbosun')`)

/** A run within a migration that sleeps for ten minutes. */
async function startSleeping(sql: Sql, database: string, cwd: string): Promise<Started> {
  const started = start(['migrate'], { cwd, env: { DATABASE_URL: urlOf(database) } })
  await expect
    .poll(
      () =>
        sql`select from pg_stat_activity where datname = ${database} and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`,
      { timeout: 20_000 },
    )
    .not.toEqual([])
  return started
}

describe('when our user has more rights than the owner', () => {
  test('files run as a login with only the rights of the owner, and nothing of it stays', async ({
    files,
    pgbosun,
    sql,
    database,
    owner,
    dir,
  }) => {
    await files({
      'migrations/001_who.sql': whoSql,
      'migrations/002_outside.sql':
        '-- pgbosun: no-transaction\ncreate index concurrently on who (role);\ninsert into who select session_user, current_user;',
      'seeds/a.sql': 'insert into who select session_user, current_user;',
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner }, seeds: [{ file: 'seeds/a.sql' }] }),
    })
    expect(await pgbosun(['up'])).toMatchObject({ code: 0, json: { warnings: [] } })
    const rows = await sql<{ session: string; role: string }[]>`select session, role from who`
    expect(rows).toHaveLength(3)
    for (const { session, role } of rows) {
      expect(session).toMatch(/^pgbosun_[0-9a-f]{8}_[0-9a-f]{8}$/)
      expect(role).toBe(owner)
    }
    expect(await loginsOf(sql, database)).toEqual([])
    expect(await recordersOf(sql)).toEqual([])
    expect(await sql`select distinct applied_by from pgbosun.migrations`).toEqual([{ applied_by: 'postgres' }])
    expect(await sql`select pg_get_userbyid(relowner) as owner from pg_class where relname = 'who'`).toEqual([
      { owner },
    ])
    expect(await sql`select status, duration_ms is not null as timed from pgbosun.migrations`).toEqual([
      { status: 'applied', timed: true },
      { status: 'applied', timed: true },
    ])

    const made = () => readFileSync(server().logFile, 'utf8').split(`create role "${loginPrefix(database)}`).length - 1
    const before = made()
    expect(before).toBeGreaterThan(0)
    expect(await run(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })).toMatchObject({ code: 0 })
    expect(made()).toBe(before)
  })

  test('files can neither read, change nor delete the history, nor record anything but the migrations of the run', async ({
    files,
    pgbosun,
    sql,
  }) => {
    await files({ 'migrations/001_a.sql': 'select 1;' })
    await pgbosun(['migrate'])
    for (const [i, text] of [
      'delete from pgbosun.migrations;',
      `update pgbosun.migrations set name = 'x';`,
      'select * from pgbosun.events;',
      `do $$ declare p text; begin select oid::regproc into p from pg_proc where pronamespace = 'pgbosun'::regnamespace;
         execute format('call %s(''remove'', ''migrations'', ''{"seq": 1}'')', p); end $$;`,
      `do $$ declare p text; begin select oid::regproc into p from pg_proc where pronamespace = 'pgbosun'::regnamespace;
         execute format('call %s(''finish'', ''migrations'', ''{"seq": 1, "name": "x", "sha256": "y", "status": "applied", "tool_version": "z"}'')', p); end $$;`,
      `do $$ declare p text; begin select oid::regproc into p from pg_proc where pronamespace = 'pgbosun'::regnamespace;
         execute format('call %s(''insert'', ''seeds'', ''{"name": "forged", "checksum": "x", "rows": 1, "tool_version": "z"}'')', p); end $$;`,
    ].entries()) {
      await files({ 'migrations/002_b.sql': text })
      expect(await pgbosun(['migrate']), String(i)).toMatchObject({ code: 20, json: { error: { sqlstate: '42501' } } })
    }
    expect(await sql`select name from pgbosun.migrations`).toEqual([{ name: '001_a' }])
    expect(await recordersOf(sql)).toEqual([])
  })

  test('records are written even if row security is enabled on every table', async ({ files, pgbosun, sql }) => {
    await files({ 'migrations/001_a.sql': 'create table a (id int);', 'migrations/001_a.down.sql': 'drop table a;' })
    await pgbosun(['migrate'])
    await sql.unsafe(`do $$ declare t regclass; begin
      for t in select oid from pg_class where relnamespace = 'pgbosun'::regnamespace and relkind = 'r' loop
        execute format('alter table %s enable row level security', t); end loop; end $$`)
    await files({ 'migrations/002_b.sql': 'create table b (id int);', 'migrations/002_b.down.sql': 'drop table b;' })
    expect(await pgbosun(['migrate'])).toMatchObject({ code: 0 })
    expect(await pgbosun(['migrate', 'down', '--steps', '2'])).toMatchObject({ code: 0 })
    expect(await pgbosun(['migrate'])).toMatchObject({
      code: 0,
      json: { results: [{ status: 'applied' }, { status: 'applied' }] },
    })
  })

  test('objects that a file creates as the login itself get the owner', async ({
    files,
    pgbosun,
    sql,
    database,
    owner,
  }) => {
    await files({ 'migrations/001_a.sql': 'set role none; create table odd (id int); create table odd2 (id int);' })
    expect(await pgbosun(['migrate'])).toMatchObject({ code: 0 })
    expect(await sql`select pg_get_userbyid(relowner) as owner from pg_class where relname like 'odd%'`).toEqual([
      { owner },
      { owner },
    ])
    expect(await loginsOf(sql, database)).toEqual([])
  })

  test('the login of a killed run is removed by the next run, even when nothing is pending', async ({
    files,
    pgbosun,
    sql,
    database,
    dir,
  }) => {
    await files({ 'migrations/001_a.sql': 'create table a (id int);' })
    await pgbosun(['migrate'])
    await files({ 'migrations/002_b.sql': 'select pg_sleep(600);' })
    const { child, finished } = await startSleeping(sql, database, dir)
    child.kill('SIGKILL')
    await finished
    expect(await loginsOf(sql, database)).toHaveLength(1)
    await files({ 'migrations/002_b.sql': 'select 1;' })
    expect(await pgbosun(['migrate'])).toMatchObject({ code: 0 })
    expect(await loginsOf(sql, database)).toEqual([])
    expect(await recordersOf(sql)).toEqual([])

    const left = `${loginPrefix(database)}0123abcd`
    await sql.unsafe(
      `create role ${left} login; create table left_behind (id int); alter table left_behind owner to ${left}`,
    )
    expect(await pgbosun(['up'])).toMatchObject({ code: 0 })
    expect(await loginsOf(sql, database)).toEqual([])
  })

  test('a run that is stopped in the middle removes its login', async ({ files, sql, database, dir }) => {
    await files({ 'migrations/001_b.sql': 'select pg_sleep(600);' })
    const { child, finished } = await startSleeping(sql, database, dir)
    child.kill('SIGTERM')
    expect((await finished).code).toBe(143)
    expect(await loginsOf(sql, database)).toEqual([])
  })

  test('a program of migrate.command gets such a login too, and its sessions start as the owner', async ({
    files,
    pgbosun,
    sql,
    owner,
    dir,
    skip,
    database,
  }) => {
    const psql = [server().binDir, ...(client ? [client.dir] : []), '/usr/bin']
      .map((bin) => join(bin, 'psql'))
      .find((path) => existsSync(path))
    if (psql === undefined) skip('NOT RUN: there is no psql here')
    await files({
      'pgbosun.yaml': JSON.stringify({
        migrate: {
          role: owner,
          command: [
            'sh',
            '-c',
            `env > env.txt; unset PGOPTIONS; '${psql}' -qc "create table who as select session_user::text as session, current_user::text as role"`,
          ],
        },
      }),
    })
    const ran = await pgbosun(['migrate'])
    expect(ran).toMatchObject({ code: 0 })
    expect(await sql`select session like 'pgbosun_%' as made, role from who`).toEqual([{ made: true, role: owner }])
    const env = readFileSync(join(dir, 'env.txt'), 'utf8')
    expect(env).not.toContain(server().password)

    // A login of the configuration must not have more rights than the owner, for a program either.
    const strong = uniqueName('strong')
    await sql.unsafe(`create role ${strong} login createrole password '${password}' in role ${owner}`)
    const command = ['sh', '-c', 'touch ran.txt']
    await files({ 'pgbosun.yaml': JSON.stringify({ migrate: { role: owner, command, url: { env: 'MIGRATOR' } } }) })
    const refused = await pgbosun(['migrate'], { env: { MIGRATOR: urlOf(database, { name: strong, password }) } })
    expect(refused).toMatchObject({
      code: 12,
      json: { error: { message: expect.stringContaining('may create roles') } },
    })
    expect(existsSync(join(dir, 'ran.txt'))).toBe(false)
    expect(env).not.toContain(encodeURIComponent(server().password))
  })

  test('works for a role with CREATEROLE that is not a superuser', async ({ files, pgbosun, sql, database, owner }) => {
    const admin = uniqueName('admin')
    await sql.unsafe(
      `create role ${admin} login createrole password '${password}'; grant ${owner} to ${admin} with admin option; grant create on database ${database} to ${admin}`,
    )
    await files({ 'migrations/001_who.sql': whoSql, 'migrations/001_who.down.sql': 'drop table who;' })
    expect(await pgbosun(['migrate'], { as: admin })).toMatchObject({ code: 0 })
    expect(await sql`select session like 'pgbosun_%' as made, role from who`).toEqual([{ made: true, role: owner }])
    expect(await pgbosun(['migrate', 'redo'], { as: admin })).toMatchObject({ code: 0 })
    expect(await loginsOf(sql, database)).toEqual([])
    expect(await sql`select distinct applied_by from pgbosun.migrations`).toEqual([{ applied_by: admin }])
  })
})

describe('when no such login can be created', () => {
  const deployer = async (sql: Sql, database: string, owner: string) => {
    const [user, other] = [uniqueName('deployer'), uniqueName('other_owner')]
    await sql.unsafe(
      `create role ${other}; create role ${user} login password '${password}'; grant ${owner}, ${other} to ${user}; grant create on database ${database} to ${user}`,
    )
    return { user, other }
  }

  test('plan warns, and migrate refuses before anything is written, with the ways out', async ({
    files,
    pgbosun,
    sql,
    database,
    owner,
  }) => {
    const { user, other } = await deployer(sql, database, owner)
    await files({ 'migrations/001_who.sql': whoSql })
    const plan = await pgbosun(['plan'], { as: user })
    expect(plan.code).toBe(0)
    expect(plan.json.warnings).toEqual([expect.stringContaining(`is a member of ${other}`)])
    const refused = await pgbosun(['migrate'], { as: user })
    expect(refused).toMatchObject({
      code: 12,
      json: { error: { hint: expect.stringMatching(/migrate\.url.*migrate\.isolation: role/) } },
    })
    expect(await sql`select to_regnamespace('pgbosun') as schema`).toEqual([{ schema: null }])
  })

  test('owning another database counts as a further right', async ({ files, pgbosun, sql, database, owner }) => {
    const user = uniqueName('landlord')
    const other = uniqueName('other_db')
    await sql.unsafe(`create role ${user} login password '${password}' in role ${owner}`)
    await sql.unsafe(`create database ${other} owner ${user}`)
    await files({ 'migrations/001_who.sql': whoSql })
    const refused = await pgbosun(['migrate'], { as: user })
    expect(refused).toMatchObject({
      code: 12,
      json: { error: { message: expect.stringContaining(`owns the database ${other}`) } },
    })
    expect(database).not.toBe(other)
  })

  test('SET ROLE alone can be accepted, and every plan says so', async ({ files, pgbosun, sql, database, owner }) => {
    const { user } = await deployer(sql, database, owner)
    await files({
      'migrations/001_who.sql': whoSql,
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner, isolation: 'role' } }),
    })
    expect(await pgbosun(['migrate'], { as: user })).toMatchObject({
      code: 0,
      json: { warnings: [expect.stringContaining('migrate.isolation is role')] },
    })
    expect(await sql`select session, role from who`).toEqual([{ session: user, role: owner }])
    expect(await pgbosun(['plan'], { as: user })).toMatchObject({
      json: { warnings: [expect.stringContaining(`can use the rights of ${user}`)] },
    })
  })

  test('migrate.url is used if it is given, by superusers too', async ({ files, pgbosun, sql, database, owner }) => {
    const migrator = uniqueName('migrator')
    await sql.unsafe(`create role ${migrator} login password '${password}' in role ${owner}`)
    await files({
      'migrations/001_who.sql': whoSql,
      'migrations/001_who.down.sql': 'drop table who;',
      'seeds/a.sql': 'insert into who select session_user, current_user;',
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: owner, url: { env: 'MIGRATOR' } },
        seeds: [{ file: 'seeds/a.sql' }],
      }),
    })
    const env = { MIGRATOR: urlOf(database, { name: migrator, password }) }
    expect(await pgbosun(['up'], { env })).toMatchObject({ code: 0 })
    expect(await sql`select distinct session, role from who`).toEqual([{ session: migrator, role: owner }])
    expect(await pgbosun(['migrate', 'redo'], { env })).toMatchObject({ code: 0 })
    expect(await recordersOf(sql)).toEqual([])
    expect(await sql`select distinct applied_by from pgbosun.migrations`).toEqual([{ applied_by: 'postgres' }])

    await sql.unsafe(`alter role ${migrator} createrole`)
    expect(await pgbosun(['migrate', 'redo'], { env })).toMatchObject({
      code: 12,
      json: { error: { message: expect.stringContaining('may create roles') } },
    })
    await sql.unsafe(`alter role ${migrator} nocreaterole; revoke ${owner} from ${migrator}`)
    expect(await pgbosun(['migrate', 'redo'], { env })).toMatchObject({
      code: 12,
      json: { error: { hint: expect.stringContaining('grant') } },
    })
  })

  test('a user without further rights needs none of this', async ({ files, pgbosun, sql, database, owner }) => {
    const user = uniqueName('plain')
    await sql.unsafe(
      `create role ${user} login password '${password}' in role ${owner}; grant create on database ${database} to ${user}`,
    )
    await files({ 'migrations/001_who.sql': whoSql })
    expect(await pgbosun(['migrate'], { as: user })).toMatchObject({ code: 0, json: { warnings: [] } })
    expect(await sql`select session, role from who`).toEqual([{ session: user, role: owner }])
  })

  test('pg_hba.conf that lets nobody else in is named', async ({ dir }) => {
    const own = await startServer(server().binDir, { settings: ['fsync=off'] })
    try {
      const hba = join(own.dir, 'data', 'pg_hba.conf')
      writeFileSync(hba, 'host all postgres 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 reject\n')
      await own.stop()
      await own.start()
      await writeFiles(dir, {
        'migrations/001_a.sql': 'create table a (id int);',
        'pgbosun.yaml': JSON.stringify({ databases: { shop: {} } }),
      })
      const created = await run(['roles', 'apply'], { cwd: dir, env: { DATABASE_URL: own.url('shop') } })
      expect(created.code, created.stderr).toBe(0)
      const planned = await runJson(['plan'], { cwd: dir, env: { DATABASE_URL: own.url('shop') } })
      expect(planned.json.warnings).toEqual([expect.stringContaining('pg_hba.conf uses reject for it')])
      const refused = await run(['up'], { cwd: dir, env: { DATABASE_URL: own.url('shop') } })
      expect(refused.code, refused.stderr).toBe(12)
      expect(refused.stderr).toContain('pg_hba.conf')
      expect(refused.stderr).toContain('migrate.url')
    } finally {
      await own.remove()
    }
  })
})
