import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** Owner of the database, as whom files run; anything but a superuser. */
  owner: string
  pgbosun(args: string[], query: string, env?: Record<string, string>): ReturnType<typeof runJson>
}

const test = base.extend<Fixtures>({
  owner: async ({ sql, database, dir }, use) => {
    const owner = uniqueName('owner')
    await sql.unsafe(`create role ${owner}; alter database ${database} owner to ${owner}; alter schema public owner to ${owner};
      create table seen (what text, tenant text, zone text); alter table seen owner to ${owner}`)
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ migrate: { role: owner } }) })
    await use(owner)
  },
  pgbosun: async ({ dir, database }, use) =>
    use((args, query, env = {}) =>
      runJson(args, { cwd: dir, env: { DATABASE_URL: `${urlOf(database)}?${query}`, ...env } }),
    ),
})

const note = (what: string) =>
  `insert into seen select '${what}', current_setting('app.tenant', true), current_setting('TimeZone');`
const query = 'options=-c%20app.tenant%3Da%5C%20b%20--timezone%3DAsia/Tokyo'
/** Nobody can write to a table until somebody has waited for that longer than a statement of a file may. */
const holdUp = (sql: Sql, table: string) =>
  sql.begin(async (holder) => {
    await holder.unsafe(`lock table ${table} in share mode`)
    await until('a wait for the lock', async () => {
      const waiting = await holder.unsafe(`select from pg_locks where relation = '${table}'::regclass and not granted`)
      return waiting.length > 0
    })
    await sleep(4_000)
  })

const seenBy = async (sql: Sql) => [
  ...(await sql`select distinct what collate "C" as what, tenant, zone from seen order by 1`),
]
const chosen = (what: string) => ({ what, tenant: 'a b', zone: 'Asia/Tokyo' })

describe('settings in options apply', () => {
  test('to migrations, inside and outside a transaction, forth and back, and to seeds', async ({
    sql,
    owner,
    dir,
    pgbosun,
  }) => {
    await writeFiles(dir, {
      'migrations/001_a.sql': note('wrapped'),
      'migrations/005_b.sql': `-- pgbosun: no-transaction\n${note('split')}\ncreate index concurrently on seen (what);\n${note('split on')}`,
      'migrations/005_b.down.sql': `-- pgbosun: no-transaction\ndrop index concurrently seen_what_idx;\n${note('split down')}`,
      'migrations/003_c.sql': `create table stamps (id int primary key, at timestamptz);`,
      'migrations/004_d.sql': note('last'),
      'migrations/004_d.down.sql': note('down'),
      'seeds/a.sql': note('seed'),
      'seeds/stamps.csv': 'id,at\n1,2020-01-01 00:00\n',
      'pgbosun.yaml': JSON.stringify({
        migrate: { role: owner },
        seeds: [{ file: 'seeds/a.sql' }, { file: 'seeds/stamps.csv', table: 'stamps', key: ['id'] }],
      }),
    })
    const up = await pgbosun(['up'], query)
    expect(up, up.stderr).toMatchObject({ code: 0, json: { warnings: [] } })
    expect(await seenBy(sql)).toEqual(['last', 'seed', 'split', 'split on', 'wrapped'].map(chosen))
    expect(await sql`select at = '2019-12-31 15:00Z' as right from stamps`).toEqual([{ right: true }])
    await sql`truncate seen`
    const down = await pgbosun(['migrate', 'down', '--steps', '2'], query)
    expect(down, down.stderr).toMatchObject({ code: 0 })
    expect(await seenBy(sql)).toEqual(['down', 'split down'].map(chosen))
  })

  test('to files alone, not to what we record of them', { timeout: 90_000 }, async ({ sql, owner, dir, pgbosun }) => {
    await writeFiles(dir, {
      'migrations/001_a.sql': 'select 1;',
      'seeds/a.sql': 'select 1;',
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner }, seeds: [{ file: 'seeds/a.sql' }] }),
    })
    const timeout = 'options=-c%20statement_timeout%3D3s'
    const up = async () => pgbosun(['up'], timeout, { PGBOSUN_MIGRATE_LOCK_TIMEOUT: '30s' })
    expect(await up()).toMatchObject({ code: 0 })

    await writeFiles(dir, {
      'migrations/002_b.sql': `-- pgbosun: no-transaction\nselect pg_sleep(2);\ncreate index concurrently on seen (what);`,
    })
    const migrated = up()
    await until('the row', async () => (await sql`select from pgbosun.migrations where name = '002_b'`).length > 0)
    await holdUp(sql, 'pgbosun.migrations')
    expect(await migrated).toMatchObject({ code: 0 })

    await writeFiles(dir, { 'seeds/a.sql': 'select 2;' })
    const held = holdUp(sql, 'pgbosun.seeds')
    const seeded = up()
    await held
    expect(await seeded).toMatchObject({ code: 0 })
  })

  test('with PGOPTIONS, with sqlx’s options[name], and with timezone', async ({
    sql,
    owner,
    database,
    dir,
    pgbosun,
  }) => {
    const { hostname, port, username, password } = new URL(urlOf(database))
    await writeFiles(dir, { 'migrations/001_a.sql': note('PGOPTIONS') })
    const env = {
      ...{ PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: decodeURIComponent(password) },
      PGDATABASE: database,
      PGOPTIONS: '-c app.tenant=a\\ b -ctimezone=Asia/Tokyo',
    }
    const migrated = await runJson(['migrate'], { cwd: dir, env })
    expect(migrated, migrated.stderr).toMatchObject({ code: 0 })
    await writeFiles(dir, { 'migrations/002_b.sql': note('brackets') })
    expect(await pgbosun(['migrate'], 'options[app.tenant]=a%20b&options[TimeZone]=Asia/Tokyo')).toMatchObject({
      code: 0,
    })
    await writeFiles(dir, { 'migrations/003_c.sql': note('timezone') })
    expect(await pgbosun(['migrate'], 'options[app.tenant]=a%20b&TimeZone=Asia/Tokyo')).toMatchObject({ code: 0 })
    expect(await seenBy(sql)).toEqual(['PGOPTIONS', 'brackets', 'timezone'].map(chosen))
    expect(owner).toBeTruthy()
  })

  test.skipIf(!client)('a + in a URL is a plus, as it is to libpq', async ({ sql, owner, database, dir, pgbosun }) => {
    const plus = 'options=-capp.tenant%3Da+b%2Bc%20--timezone%3DUTC'
    await writeFiles(dir, { 'migrations/001_a.sql': note('plus') })
    expect(await pgbosun(['migrate'], plus)).toMatchObject({ code: 0 })
    const ask = ['-Atc', `select current_setting('app.tenant')`, `${urlOf(database)}?${plus}`]
    const { stdout } = await promisify(execFile)(join(client!.dir, 'psql'), ask)
    expect(stdout).toBe('a+b+c\n')
    expect(await seenBy(sql)).toEqual([{ what: 'plus', tenant: 'a+b+c', zone: 'UTC' }])
    expect(owner).toBeTruthy()
  })

  test('a setting that is a list stays one', async ({ sql, owner, dir, pgbosun }) => {
    await writeFiles(dir, {
      'migrations/001_a.sql': `insert into seen select current_setting('temp_tablespaces'), current_setting('DateStyle');`,
    })
    const lists = 'options=-c%20temp_tablespaces%3Dpg_default%2C%22pg_default%22%20-c%20datestyle%3DGerman%2CDMY'
    const migrated = await pgbosun(['migrate'], lists)
    expect(migrated, migrated.stderr).toMatchObject({ code: 0 })
    expect(await sql`select what, tenant from seen`).toEqual([
      { what: 'pg_default, pg_default', tenant: 'German, DMY' },
    ])
    expect(owner).toBeTruthy()
  })

  test('statement_timeout only where the configuration says nothing', async ({ owner, dir, pgbosun }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': 'select pg_sleep(1);' })
    const timeout = 'options=-c%20statement_timeout%3D200ms'
    expect(await pgbosun(['migrate'], timeout)).toMatchObject({ json: { error: { sqlstate: '57014' } } })
    const env = { PGBOSUN_MIGRATE_STATEMENT_TIMEOUT: '30s' }
    expect(await pgbosun(['migrate'], timeout, env)).toMatchObject({ code: 0 })
    expect(owner).toBeTruthy()
  })
})

test('migrate.url only says who logs in: with settings for files it is exit 2 before anything is written', async ({
  sql,
  owner,
  database,
  dir,
  pgbosun,
}) => {
  await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id int);' })
  const env = { PGBOSUN_MIGRATE_URL: `${urlOf(database)}?search_path=app` }
  for (const command of ['plan', 'migrate'])
    expect(await pgbosun([command], '', env)).toMatchObject({
      code: 2,
      json: { error: { message: 'search_path in migrate.url would have no effect' } },
    })
  expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
  expect(owner).toBeTruthy()
})

describe('what the server does not take is told before anything is written', () => {
  for (const [setting, code, message] of [
    ['nosuchsetting%3D1', 2, 'unrecognized configuration parameter "nosuchsetting"'],
    ['statement_timeout%3Dsoon', 2, 'invalid value for parameter "statement_timeout": "soon"'],
    ['max_connections%3D5', 2, 'cannot be changed without restarting the server'],
    ['ignore_system_indexes%3Don', 2, 'cannot be set after connection start'],
    ['log_statement%3Dall', 12, 'permission denied to set parameter "log_statement"'],
  ] as const)
    test(setting, async ({ sql, owner, dir, pgbosun }) => {
      await writeFiles(dir, {
        'migrations/001_a.sql': 'create table a (id int);',
        'seeds/a.sql': 'select 1;',
        'pgbosun.yaml': JSON.stringify({ migrate: { role: owner }, seeds: [{ file: 'seeds/a.sql' }] }),
      })
      for (const command of ['plan', 'up', 'migrate', 'seed']) {
        const { code: ended, json } = await pgbosun([command], `options=-c%20${setting}`)
        expect([command, ended, json.error?.message]).toEqual([command, code, expect.stringContaining(message)])
      }
      expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
    })
})
