import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { FormatName } from '../src/config/formats.ts'
import { until } from './support/chaos.ts'
import { run, runJson, start } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { test as base, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** A folder without files: that of an application's pod. */
  pod: string
  env: Record<string, string>
  /** A folder with two files of our format. */
  release: string
}

const test = base.extend<Fixtures>({
  pod: async ({ dir }, use) => {
    await mkdir(join(dir, 'pod'))
    await use(join(dir, 'pod'))
  },
  env: async ({ database }, use) => use({ DATABASE_URL: urlOf(database) }),
  release: async ({ dir }, use) => {
    const release = join(dir, 'release')
    await writeFiles(release, {
      'migrations/001_users.sql': 'create table users (id int)',
      'migrations/002_orders.sql': 'create table orders (id int)',
    })
    await use(release)
  },
})

const now = ['--timeout', '0s']
const migrated = async (args: string[], options: { cwd: string; env: Record<string, string> }) => {
  const { code, stderr } = await run(['migrate', ...args], options)
  expect(code, stderr).toBe(0)
}

/** A role that may only log in, with read-only sessions. */
async function reader(sql: Sql, database: string) {
  const name = uniqueName('pod')
  await sql.unsafe(
    `create role ${name} login password 'geheim'; alter role ${name} set default_transaction_read_only = on`,
  )
  return { name, env: { DATABASE_URL: urlOf(database, { name, password: 'geheim' }) } }
}

describe('migrate wait-for', () => {
  test('waits until the version is applied', async ({ pod, env, release }) => {
    await migrated(['--steps', '1'], { cwd: release, env })
    const waiting = start(['migrate', 'wait-for', '002', '--json', '--log-format', 'pretty'], { cwd: pod, env })
    let log = ''
    waiting.child.stderr?.on('data', (text) => {
      log += text
    })
    await until('it says what is missing', () => log.includes('002 is not applied; it is at 001_users'))
    await migrated([], { cwd: release, env })
    const { code, stdout } = await waiting.finished
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      command: 'migrate wait-for',
      ok: true,
      version: '002',
      versions: ['002'],
      current_version: '002_orders',
      waited_ms: expect.any(Number),
    })
    expect((await run(['migrate', 'wait-for', '001', '002_orders.sql', ...now], { cwd: pod, env })).stdout).toMatch(
      /^127\.0\.0\.1:\d+\/\w+ is new enough: it is at 002_orders \(waited \d\.\d s\)\n$/,
    )
  })

  test('without a version waits for every file of the folder', async ({ pod, env, release }) => {
    await migrated(['--to', '001'], { cwd: release, env })
    expect(await fails(['migrate', 'wait-for', ...now], { cwd: release, env })).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(/was not new enough within 0ms: 002_orders is not applied; it is at 001_users$/),
      json: { version: null, versions: [], current_version: '001_users' },
    })
    await migrated([], { cwd: release, env })
    expect((await run(['migrate', 'wait-for', ...now], { cwd: release, env })).code).toBe(0)
    expect(await fails(['migrate', 'wait-for', ...now], { cwd: pod, env })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('no version is given, and there is no folder'),
    })
  })

  test('an older release does not wait for its own repeatable files', async ({ env, release }) => {
    await writeFiles(release, { 'migrations/repeatable/v.sql': 'create or replace view v as select 1 as a' })
    await migrated([], { cwd: release, env })
    await writeFiles(release, { 'migrations/repeatable/v.sql': 'create or replace view v as select 2 as a' })
    expect((await run(['migrate', 'wait-for', ...now], { cwd: release, env })).code).toBe(0)
  })

  test('needs SELECT on the history and nothing more, and takes no lock', async ({
    pod,
    env,
    sql,
    database,
    release,
  }) => {
    await migrated([], { cwd: release, env })
    const { name, env: podEnv } = await reader(sql, database)
    const refused = await fails(['migrate', 'wait-for', '002'], { cwd: pod, env: podEnv })
    expect(refused).toMatchObject({
      kind: 'refused',
      message: `${name} may not read the history in pgbosun.migrations`,
      sqlstate: '42501',
    })

    const patient = start(['migrate', 'wait-for', '002'], {
      cwd: pod,
      env: { ...podEnv, PGBOSUN_WAIT_PATIENT: 'true' },
    })
    await sleep(500)
    await sql.unsafe(`grant usage on schema pgbosun to ${name}; grant select on pgbosun.migrations to ${name}`)
    expect((await patient.finished).code).toBe(0)

    await writeFiles(release, { 'migrations/003_slow.sql': 'select pg_sleep(10)' })
    const runner = start(['migrate'], { cwd: release, env })
    await until(
      'the runner works',
      async () =>
        (
          await sql`select 1 from pg_stat_activity where query like '%pg_sleep(10)%' and datname = ${database} and pid <> pg_backend_pid()`
        ).length > 0,
    )
    expect((await run(['migrate', 'wait-for', '002'], { cwd: pod, env: podEnv })).code).toBe(0)
    expect(runner.child.exitCode).toBeNull()
    expect((await run(['migrate', 'wait-for', '003', ...now], { cwd: pod, env: podEnv })).code).toBe(10)
    expect((await runner.finished).code).toBe(0)
    expect(await sql`select command from pgbosun.events where command like '%wait-for%'`).toEqual([])
  })

  test('a user with a preset may wait', async ({ pod, release }) => {
    const name = uniqueName('app')
    const users = {
      [`${name}_rw`]: { preset: 'app', password: { env: 'PW' } },
      [`${name}_ro`]: { preset: 'readonly', password: { env: 'PW' } },
    }
    await writeFiles(release, { 'pgbosun.yaml': JSON.stringify({ databases: { [name]: { users } } }) })
    const waiting = Object.keys(users).map((user) =>
      start(['migrate', 'wait-for', '2', '--timeout', '60s'], {
        cwd: pod,
        env: { DATABASE_URL: urlOf(name, { name: user, password: 'geheim' }), PGBOSUN_WAIT_PATIENT: 'true' },
      }),
    )
    const owner = start(['migrate', 'wait-for', '2', '--timeout', '60s', '--log-format', 'pretty'], {
      cwd: pod,
      env: { DATABASE_URL: urlOf(name) },
    })
    await sleep(1_000)
    const up = await run(['up'], { cwd: release, env: { DATABASE_URL: urlOf(name), PW: 'geheim' } })
    expect(up.code, up.stderr).toBe(0)
    for (const { finished } of waiting) expect((await finished).code).toBe(0)
    const finished = await owner.finished
    expect(finished.code).toBe(0)
    expect(finished.stderr).toContain('the database does not exist yet')
  }, 90_000)

  test('a locked history is looked at again', async ({ pod, env, sql, release }) => {
    await migrated([], { cwd: release, env })
    const { promise: released, resolve: letGo } = Promise.withResolvers<void>()
    const { promise: locked, resolve: tell } = Promise.withResolvers<void>()
    const holding = sql.begin(async (tx) => {
      await tx`lock table pgbosun.migrations in access exclusive mode`
      tell()
      await released
    })
    await locked
    const failure = await fails(['migrate', 'wait-for', '002', '--timeout', '1s'], { cwd: pod, env })
    expect(failure).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('the history cannot be read yet: canceling statement due to lock timeout'),
    })
    const waiting = start(['migrate', 'wait-for', '002'], { cwd: pod, env })
    await sleep(1_000)
    letGo()
    await holding
    expect((await waiting.finished).code).toBe(0)
  })

  test('a server that does not answer is waited for, up to the timeout', async ({ pod }) => {
    const failure = await fails(['migrate', 'wait-for', '1', '--timeout', '1s'], {
      cwd: pod,
      env: { DATABASE_URL: 'postgres://u:geheim@127.0.0.1:1/d' },
    })
    expect(failure).toMatchObject({
      kind: 'unreachable',
      message: '127.0.0.1:1/d did not accept work within 1s: nothing is listening there',
    })
  })

  test('a wrong password is reported at once', async ({ pod, database }) => {
    const env = { DATABASE_URL: urlOf(database, { name: 'postgres', password: 'geheim' }) }
    expect(await fails(['migrate', 'wait-for', '1'], { cwd: pod, env })).toMatchObject({
      kind: 'refused',
      sqlstate: '28P01',
    })
  })

  test('runs the command after --, and ends with its code', async ({ pod, env, release }) => {
    await migrated([], { cwd: release, env })
    const { code, stdout } = await run(
      ['migrate', 'wait-for', '002', '--', 'sh', '-c', 'echo "app $DATABASE_URL"; exit 7'],
      { cwd: pod, env },
    )
    expect([code, stdout]).toEqual([7, `app ${env.DATABASE_URL}\n`])
    const late = await run(['migrate', 'wait-for', '003', ...now, '--', 'echo', 'app'], { cwd: pod, env })
    expect([late.code, late.stdout]).toEqual([10, ''])
  })

  test('ends on a signal, and leaves no session', async ({ pod, env, sql, database }) => {
    const waiting = start(['migrate', 'wait-for', '1', '--log-format', 'pretty'], { cwd: pod, env })
    let log = ''
    waiting.child.stderr?.on('data', (text) => {
      log += text
    })
    await until('it waits', () => log.includes('nothing is applied yet'))
    waiting.child.kill('SIGTERM')
    expect((await waiting.finished).code).toBe(143)
    await until(
      'no session',
      async () =>
        (await sql`select 1 from pg_stat_activity where application_name like 'pgbosun %' and datname = ${database}`)
          .length === 0,
    )
  })

  test.for<[string[], string]>([
    [['1', '--timeout', 'soon'], '--timeout must be a number and a unit, not soon'],
    [['orders'], 'orders is not a version of pgbosun'],
  ])('%j is exit 2', async ([args, message], { env, release }) => {
    await migrated([], { cwd: release, env })
    expect(await fails(['migrate', 'wait-for', ...args], { cwd: release, env })).toMatchObject({
      kind: 'usage',
      message,
    })
  })

  test('another database is chosen with --database', async ({ pod, env, release }) => {
    const other = uniqueName('other')
    const config = JSON.stringify({ databases: { [other]: { migrate: { dir: 'migrations' } } } })
    await writeFiles(release, { 'pgbosun.yaml': config })
    await writeFiles(pod, { 'pgbosun.yaml': config })
    const { code, stderr } = await run(['up'], { cwd: release, env })
    expect(code, stderr).toBe(0)
    expect((await run(['migrate', 'wait-for', '2', '--database', other, ...now], { cwd: pod, env })).code).toBe(0)
  })
})

/** Two versions of each format, and the ways in which a person may write the second. */
const formats: Record<
  Exclude<FormatName, 'pgbosun'>,
  { files: [string, string][]; first: string; names: string[]; history: string }
> = {
  sqlx: {
    files: [
      ['1_a.sql', 'select 1'],
      ['2_b.sql', 'select 2'],
    ],
    first: '1',
    names: ['2', '2_b.sql'],
    history: '_sqlx_migrations',
  },
  dbmate: {
    files: [
      ['01_a.sql', '-- migrate:up\nselect 1;\n-- migrate:down\n'],
      ['02_b.sql', '-- migrate:up\nselect 2;\n-- migrate:down\n'],
    ],
    first: '01',
    names: ['02', '02_b.sql'],
    history: 'schema_migrations',
  },
  'golang-migrate': {
    files: [
      ['000001_a.up.sql', 'select 1'],
      ['000002_b.up.sql', 'select 2'],
    ],
    first: '1',
    names: ['2', '000002', '000002_b.up.sql'],
    history: 'schema_migrations',
  },
  goose: {
    files: [
      ['00001_a.sql', '-- +goose Up\nselect 1;\n'],
      ['00002_b.sql', '-- +goose Up\nselect 2;\n'],
    ],
    first: '00001_a.sql',
    names: ['2', '00002_b.sql'],
    history: 'goose_db_version',
  },
  flyway: {
    files: [
      ['V1__a.sql', 'select 1;'],
      ['V1_1__b.sql', 'select 2;'],
    ],
    first: '1',
    names: ['1.1', 'V1_1__b.sql'],
    history: 'flyway_schema_history',
  },
  'node-pg-migrate': {
    files: [
      ['001_a.sql', '-- Up Migration\nselect 1;\n-- Down Migration\n'],
      ['002_b.sql', '-- Up Migration\nselect 2;\n-- Down Migration\n'],
    ],
    first: '001_a',
    names: ['002_b', '002', '002_b.sql'],
    history: 'pgmigrations',
  },
  'graphile-migrate': {
    files: [
      [
        'committed/000001.sql',
        '--! Previous: -\n--! Hash: sha1:005c6eb7364156e6b0d158d8b2767a24f1ce6611\n\nselect 1;\n',
      ],
      [
        'committed/000002-b.sql',
        '--! Previous: sha1:005c6eb7364156e6b0d158d8b2767a24f1ce6611\n--! Hash: sha1:25e74b3f7d5496bbcd41cc6010dc1847e9d9c230\n\nselect 2;\n',
      ],
    ],
    first: '1',
    names: ['000002', '000002.sql', '000002-b.sql', '2'],
    history: 'graphile_migrate.migrations',
  },
}

describe('migrate wait-for in the history of another tool', () => {
  test.for(Object.entries(formats))(
    '%s',
    { timeout: 120_000 },
    async ([format, { files, first, names, history }], { dir, pod, env, sql, database }) => {
      await writeFiles(dir, Object.fromEntries(files.map(([name, text]) => [`migrations/${name}`, text])))
      const explicit = { ...env, PGBOSUN_MIGRATE_FORMAT: format }
      const { name, env: readerEnv } = await reader(sql, database)
      const wait = async (version: string[], as: string) =>
        (
          await run(['migrate', 'wait-for', ...version, ...now], {
            cwd: pod,
            env: { ...readerEnv, PGBOSUN_MIGRATE_FORMAT: as },
          })
        ).code
      expect(await wait([first], format)).toBe(10)
      expect(await wait([first], 'auto')).toBe(10)

      await migrated(['--steps', '1'], { cwd: dir, env: explicit })
      // without access to our own tables
      await sql.unsafe(
        `grant select on ${history} to ${name}; grant usage on schema ${history.includes('.') ? history.split('.')[0] : 'public'} to ${name}`,
      )
      expect([await wait([first], format), await wait([first], 'auto')]).toEqual([0, 0])
      for (const version of names) expect([version, await wait([version], format)]).toEqual([version, 10])
      expect((await run(['migrate', 'wait-for', ...now], { cwd: dir, env: explicit })).code).toBe(10)

      await migrated([], { cwd: dir, env: explicit })
      for (const version of names) expect([version, await wait([version], format)]).toEqual([version, 0])
      expect(await wait([first, names[0]!], 'auto')).toBe(0)
      expect((await run(['migrate', 'wait-for', ...now], { cwd: dir, env: explicit })).code).toBe(0)

      // with the wrong migrate.format, the message says so
      const lost = await fails(['migrate', 'wait-for', '1', ...now], { cwd: pod, env })
      expect(lost.message).toContain(`of ${format}: is migrate.format right?`)
    },
  )
})

describe('migrate wait-for with Alembic', () => {
  const revisions = async (sql: Sql, ...heads: string[]) => {
    await sql`create table if not exists alembic_version (version_num varchar(32) primary key)`
    await sql`delete from alembic_version`
    for (const head of heads) await sql`insert into alembic_version values (${head})`
  }

  test('one of the given revisions must be a head', async ({ pod, env, sql, database }) => {
    const { name, env: readerEnv } = await reader(sql, database)
    const wait = (...args: string[]) => runJson(['migrate', 'wait-for', ...args, ...now], { cwd: pod, env: readerEnv })
    expect((await wait('ae1027a6acf')).code).toBe(10)
    await revisions(sql, 'ae1027a6acf')
    await sql.unsafe(`grant select on alembic_version to ${name}`)
    expect((await wait('ae1027a6acf')).json).toMatchObject({
      exit_code: 0,
      current_version: 'ae1027a6acf',
      version: 'ae1027a6acf',
    })
    expect((await wait('bbbb')).json).toMatchObject({
      exit_code: 10,
      error: { message: expect.stringContaining('bbbb is not applied; it is at ae1027a6acf') },
    })
    expect((await wait('bbbb', 'ae1027a6acf')).code).toBe(0)
    // a revision that could also be a version of ours
    await revisions(sql, '0002', 'x1')
    expect((await wait('0002')).code).toBe(0)
    expect((await wait('2')).code).toBe(10)

    const waiting = start(['migrate', 'wait-for', 'c3'], { cwd: pod, env })
    await sleep(300)
    await revisions(sql, 'c3')
    expect((await waiting.finished).code).toBe(0)
  })

  test('with migrate.command its table is the history, and revisions must be given', async ({ pod, env, sql }) => {
    await writeFiles(pod, {
      'pgbosun.yaml': JSON.stringify({
        migrate: { command: ['not-installed-here', 'upgrade', 'head'], table: 'meta.revisions' },
      }),
    })
    await sql`create schema meta`
    await sql`create table meta.revisions (version_num varchar(32) primary key)`
    expect((await run(['migrate', 'wait-for', '001', ...now], { cwd: pod, env })).code).toBe(10)
    await sql`insert into meta.revisions values ('001')`
    expect((await run(['migrate', 'wait-for', '001', ...now], { cwd: pod, env })).code).toBe(0)
    expect(await fails(['migrate', 'wait-for', ...now], { cwd: pod, env })).toMatchObject({
      kind: 'usage',
      message: 'migrate wait-for needs the revisions of Alembic that are new enough',
    })
  })

  test('a history of the configured format takes precedence', async ({ pod, env, sql, release }) => {
    await migrated([], { cwd: release, env })
    await revisions(sql, '003')
    expect((await run(['migrate', 'wait-for', '003', ...now], { cwd: pod, env })).code).toBe(10)
    expect((await run(['migrate', 'wait-for', '002', ...now], { cwd: pod, env })).code).toBe(0)
  })
})
