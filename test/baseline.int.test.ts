import { expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Run = (format: string, ...args: string[]) => Promise<{ code: number | null; json: Record<string, any> }>

/** `pgbosun` runs a command with a format, `refused` one that must fail. */
const test = base.extend<{ pgbosun: Run; refused: (format: string, ...args: string[]) => ReturnType<typeof fails> }>({
  pgbosun: async ({ dir, database }, use) => use((format, ...args) => runJson(args, where(dir, database, format))),
  refused: async ({ dir, database }, use) => use((format, ...args) => fails(args, where(dir, database, format))),
})

const where = (cwd: string, database: string, format: string) => ({
  cwd,
  env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format },
})

/** Three migrations of a database that has the first two already, without any history. */
const folders: Record<string, (n: number) => [file: string, text: string]> = {
  pgbosun: (n) => [`00${n}_t${n}.sql`, `create table t${n} (id int);\n`],
  sqlx: (n) => [`000${n}_t${n}.sql`, `create table t${n} (id int);\n`],
  dbmate: (n) => [`00${n}_t${n}.sql`, `-- migrate:up\ncreate table t${n} (id int);\n-- migrate:down\n`],
  'golang-migrate': (n) => [`00${n}_t${n}.up.sql`, `create table t${n} (id int);\n`],
  goose: (n) => [`0000${n}_t${n}.sql`, `-- +goose Up\ncreate table t${n} (id int);\n`],
  flyway: (n) => [`V${n}__t${n}.sql`, `create table t${n} (id int);\n`],
  'node-pg-migrate': (n) => [`00${n}_t${n}.sql`, `-- Up Migration\ncreate table t${n} (id int);\n`],
}

const adoptedDatabase = async (sql: Sql, dir: string, format: string) => {
  await sql.unsafe('create table t1 (id int); create table t2 (id int)')
  const files = [1, 2, 3].map((n) => folders[format]!(n))
  await writeFiles(dir, Object.fromEntries(files.map(([file, text]) => [`migrations/${file}`, text])))
}

const histories: Record<string, [query: string, rows: unknown[]]> = {
  pgbosun: [
    'select seq, previous, version::int, name, status from pgbosun.migrations order by seq',
    [
      { seq: 1, previous: null, version: 1, name: '001_t1', status: 'faked' },
      { seq: 2, previous: 1, version: 2, name: '002_t2', status: 'faked' },
      { seq: 3, previous: 2, version: 3, name: '003_t3', status: 'applied' },
    ],
  ],
  sqlx: [
    'select version::int, description, success from _sqlx_migrations order by version',
    [1, 2, 3].map((n) => ({ version: n, description: `t${n}`, success: true })),
  ],
  dbmate: ['select version from schema_migrations order by 1', ['001', '002', '003'].map((version) => ({ version }))],
  'golang-migrate': ['select version::int, dirty from schema_migrations', [{ version: 3, dirty: false }]],
  goose: [
    'select version_id::int as v, is_applied from goose_db_version order by id',
    [0, 1, 2, 3].map((v) => ({ v, is_applied: true })),
  ],
  flyway: [
    'select installed_rank as rank, version, type, script, success from flyway_schema_history order by 1',
    [
      { rank: 1, version: '2', type: 'BASELINE', script: '<< Flyway Baseline >>', success: true },
      { rank: 2, version: '3', type: 'SQL', script: 'V3__t3.sql', success: true },
    ],
  ],
  'node-pg-migrate': [
    'select name from pgmigrations order by id',
    ['001_t1', '002_t2', '003_t3'].map((name) => ({ name })),
  ],
}

test.for(Object.keys(folders))('%s: what the database has already is recorded, and the rest runs', async (format, {
  dir,
  sql,
  pgbosun,
}) => {
  await adoptedDatabase(sql, dir, format)
  const dry = await pgbosun(format, 'migrate', 'baseline', '2', '--dry-run')
  expect([dry.code, dry.json.error]).toEqual([0, null])
  const planned = (dry.json.steps[0].changes as { action: string; object: string }[]).filter(
    ({ action }) => action === 'record',
  )
  expect(planned).toHaveLength(format === 'flyway' ? 1 : 2)
  expect(await sql`select nspname from pg_namespace where nspname = 'pgbosun'`).toEqual([])

  const { code, json } = await pgbosun(format, 'migrate', 'baseline', '2')
  expect([code, json.error]).toEqual([0, null])
  const pending = [folders[format]!(3)[0].replace(/(\.up)?\.sql$/, '')]
  expect((await pgbosun(format, 'migrate', 'status')).json).toMatchObject({ pending, problems: [] })

  const again = await pgbosun(format, 'migrate', 'baseline', '2')
  expect([again.code, again.json.steps[0].state]).toEqual([0, 'nothing'])

  expect((await pgbosun(format, 'migrate')).json.results).toMatchObject([{ status: 'applied' }])
  const [query, rows] = histories[format]!
  expect([...(await sql.unsafe(query))]).toEqual(rows)
  expect(await sql`select to_regclass('t3') is not null as there`).toEqual([{ there: true }])
})

test.for(Object.keys(folders))('%s: is refused when a newer migration is applied, and touches nothing', async (format, {
  dir,
  sql,
  pgbosun,
  refused,
}) => {
  await adoptedDatabase(sql, dir, format)
  await sql`drop table t1, t2`
  expect((await pgbosun(format, 'migrate')).code).toBe(0)
  const [query] = histories[format]!
  const before = await sql.unsafe(query)
  const { code, kind, message } = await refused(format, 'migrate', 'baseline', '2')
  expect([code, kind]).toEqual([21, 'history'])
  expect(message).toMatch(
    format === 'flyway' ? /is not empty: V1__t1 is recorded/ : /t3, which is newer than .*t2, is already applied/,
  )
  expect(await sql.unsafe(query)).toEqual(before)
})

test('refuses a version that is not there', async ({ dir, sql, refused }) => {
  await adoptedDatabase(sql, dir, 'pgbosun')
  expect(await refused('pgbosun', 'migrate', 'baseline', '7')).toMatchObject({
    code: 2,
    message: 'there is no migration 7',
  })
  expect(await refused('pgbosun', 'migrate', 'baseline')).toMatchObject({
    code: 2,
    message: 'migrate baseline needs VERSION',
  })
})

test('records what is missing below, without what runs again', async ({ dir, sql, pgbosun }) => {
  await adoptedDatabase(sql, dir, 'pgbosun')
  await writeFiles(dir, { 'migrations/repeatable/v.sql': 'create or replace view v as select 1 as one' })
  expect((await pgbosun('pgbosun', 'migrate', 'baseline', '1')).code).toBe(0)
  const { json } = await pgbosun('pgbosun', 'migrate', 'baseline', '2')
  expect(json.results).toMatchObject([{ name: '002_t2' }])
  expect((await pgbosun('pgbosun', 'migrate')).json.results).toMatchObject([
    { name: '003_t3' },
    { name: 'repeatable/v' },
  ])
  expect(await sql`select command, phase, exit_code from pgbosun.events order by id`).toMatchObject([
    ...['migrate baseline', 'migrate baseline', 'migrate'].flatMap((command) => [
      { command, phase: 'started' },
      { command, phase: 'finished', exit_code: 0 },
    ]),
  ])
})

test('a migration that did not finish is finished or repaired first', async ({ dir, sql, pgbosun, refused }) => {
  await adoptedDatabase(sql, dir, 'pgbosun')
  await writeFiles(dir, { 'migrations/001_t1.sql': '-- pgbosun: no-transaction\nvacuum; select 1/0' })
  expect((await pgbosun('pgbosun', 'migrate')).code).toBe(20)
  expect(await refused('pgbosun', 'migrate', 'baseline', '2')).toMatchObject({
    kind: 'history',
    message: '001_t1 was started and did not finish',
    hint: 'let `pgbosun migrate` finish it first',
  })
})

test('flyway: a version may have no file', async ({ dir, sql, pgbosun }) => {
  await adoptedDatabase(sql, dir, 'flyway')
  expect((await pgbosun('flyway', 'migrate', 'baseline', '2_5')).code).toBe(0)
  expect(await sql`select version, type from flyway_schema_history`).toEqual([{ version: '2.5', type: 'BASELINE' }])
  expect((await pgbosun('flyway', 'migrate')).json.results).toMatchObject([{ name: 'V3__t3' }])
})

test('belongs to the role of the migrations, which may do nothing else', async ({ dir, database, sql, pgbosun }) => {
  const role = `owner_${database}`
  await sql.unsafe(`create role "${role}"; grant create on schema public to "${role}"`)
  await adoptedDatabase(sql, dir, 'flyway')
  await writeFiles(dir, { 'pgbosun.yaml': `migrate: { role: ${role} }\n` })
  expect((await pgbosun('flyway', 'migrate', 'baseline', '2')).json.error).toBe(null)
  expect(
    await sql`select tableowner, installed_by from pg_tables, flyway_schema_history where tablename = 'flyway_schema_history'`,
  ).toEqual([{ tableowner: role, installed_by: role }])
})

test('flyway: a new database begins with the newest baseline migration', async ({ dir, sql, pgbosun }) => {
  await adoptedDatabase(sql, dir, 'flyway')
  await sql`drop table t1, t2`
  await writeFiles(dir, {
    'migrations/B1__old.sql': 'create table wrong ();',
    'migrations/B2__base.sql':
      'create table t1 (id int); create table t2 (id int); create index concurrently t1_id on t1 (id);',
  })
  expect((await pgbosun('flyway', 'migrate')).json.results).toMatchObject([{ name: 'B2__base' }, { name: 'V3__t3' }])
  expect(
    await sql`select installed_rank as rank, version, description, type, script, checksum is not null as sum, success
      from flyway_schema_history order by 1`,
  ).toEqual([
    {
      rank: 1,
      version: '2',
      description: 'base',
      type: 'SQL_BASELINE',
      script: 'B2__base.sql',
      sum: true,
      success: true,
    },
    { rank: 2, version: '3', description: 't3', type: 'SQL', script: 'V3__t3.sql', sum: true, success: true },
  ])
  expect((await pgbosun('flyway', 'migrate', 'status')).json).toMatchObject({
    applied: ['B2__base', 'V3__t3'],
    pending: [],
    problems: [],
  })
  expect((await pgbosun('flyway', 'migrate')).json.steps[0].state).toBe('nothing')
})

test('flyway: a baseline migration that stopped halfway continues where it stopped', async ({ dir, sql, pgbosun }) => {
  const text = (last: string) => `create table t1 (id int); create index concurrently t1_id on t1 (id); ${last}`
  await writeFiles(dir, {
    'migrations/B2__base.sql': text('insert into t1 values (1/0)'),
    'migrations/V1__t1.sql': 'create table wrong ();',
    'migrations/V2__t2.sql': 'create table wrong ();',
  })
  expect((await pgbosun('flyway', 'migrate')).code).toBe(20)
  expect(await sql`select version, type, success from flyway_schema_history`).toEqual([
    { version: '2', type: 'SQL_BASELINE', success: false },
  ])
  await writeFiles(dir, { 'migrations/B2__base.sql': text('insert into t1 values (1)') })
  expect((await pgbosun('flyway', 'migrate')).json.results).toMatchObject([{ name: 'B2__base', status: 'applied' }])
  expect((await pgbosun('flyway', 'migrate', 'status')).json).toMatchObject({
    applied: ['B2__base'],
    pending: [],
    problems: [],
  })
})

test('says what it will do, and that there is nothing to do', async ({ dir, database, sql }) => {
  await adoptedDatabase(sql, dir, 'pgbosun')
  const first = await run(['migrate', 'baseline', '001'], where(dir, database, 'pgbosun'))
  expect(first.stdout).toContain('record migration 001_t1  recorded only, not run\n')
  const second = await run(['migrate', 'baseline', '001'], where(dir, database, 'pgbosun'))
  expect(second.stdout).toBe('baseline  nothing to do: everything up to this version is recorded\n')
})
