import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { installTools } from './support/tools.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Json = Record<string, any>
type Fixtures = {
  /** Runs a command with the configuration of the test's folder, from another folder. */
  pgbosun: (...args: string[]) => Promise<{ code: number | null; json: Json; stdout: string }>
  refused: (env: Record<string, string>, ...args: string[]) => ReturnType<typeof fails>
}

const test = base.extend<Fixtures>({
  pgbosun: async ({ dir, database }, use) =>
    use((...args) =>
      runJson([...args, '--config', join(dir, 'pgbosun.json')], { cwd: '/', env: { DATABASE_URL: urlOf(database) } }),
    ),
  refused: async ({ dir, database }, use) =>
    use((env, ...args) => fails(args, { cwd: dir, env: { DATABASE_URL: urlOf(database), ...env } })),
})

const tools = await installTools()
const dbmateItself = tools?.find(({ format }) => format === 'dbmate')

const config = (migrate: object) => ({ 'pgbosun.json': JSON.stringify({ migrate }) })
const sections = (up: string, down = '') => `-- migrate:up\n${up}\n-- migrate:down\n${down}\n`

/** Two folders whose files belong together by turns. */
const two = {
  'core/001_users.sql': sections('create table users (id int);', 'drop table users;'),
  'core/003_orders.sql': sections('create table orders (id int);', 'drop table orders;'),
  'billing/002_bills.sql': sections('create table bills (id int);', 'drop table bills;'),
}

describe('a list of folders', () => {
  test('is one set of migrations, relative to the configuration: plan and up', async ({ dir, sql, pgbosun }) => {
    await writeFiles(dir, { ...two, ...config({ dir: ['core', './billing/'], format: 'dbmate' }) })
    const planned = (await pgbosun('plan')).json.steps.find(({ name }: Json) => name === 'migrate')
    expect(planned.changes.map(({ object }: Json) => object).slice(-3)).toEqual([
      'migration 001_users',
      'migration 002_bills',
      'migration 003_orders',
    ])
    expect((await pgbosun('up')).json.error).toBe(null)
    expect(await sql`select version from schema_migrations order by version`).toEqual([
      { version: '001' },
      { version: '002' },
      { version: '003' },
    ])
    const again = await pgbosun('up')
    expect(again.json.steps.every(({ state }: Json) => state === 'nothing')).toBe(true)
  })

  test('is what `migrate new`, `status` and `down` work on', async ({ dir, sql, pgbosun }) => {
    await writeFiles(dir, { ...two, ...config({ dir: ['core', 'billing'], format: 'dbmate' }) })
    expect((await pgbosun('migrate')).json.error).toBe(null)
    const made = (await pgbosun('migrate', 'new', 'later')).json
    expect(made.files).toEqual([join(dir, 'core/004_later.sql')])
    const { json: status } = await pgbosun('migrate', 'status')
    expect(status.applied).toEqual(['001_users', '002_bills', '003_orders'])
    expect(status.pending).toEqual(['004_later'])
    rmSync(made.files[0])

    expect((await pgbosun('migrate', 'down', '--to', '001')).json.error).toBe(null)
    expect(await sql`select version from schema_migrations`).toEqual([{ version: '001' }])
    expect((await sql`select to_regclass('bills') is null as gone`)[0]).toEqual({ gone: true })
  })

  test('a file that fails, a lint finding and an edited file are shown with the path that they have', async ({
    dir,
    sql,
    pgbosun,
  }) => {
    const bad = 'create table b (id int);\nalter tabel b add x int;\n'
    await writeFiles(dir, {
      'core/1_a.sql': 'create table a (id int);',
      'more/2_b.sql': bad,
      ...config({ dir: ['core', 'more'] }),
    })
    const failed = await pgbosun('up')
    expect(failed).toMatchObject({
      code: 20,
      json: { error: { kind: 'migration', file: join(dir, 'more/2_b.sql'), line: 2, column: 7 } },
    })
    await writeFiles(dir, { 'more/2_b.sql': 'create table b (id int);', 'core/3_c.sql': 'drop table a;' })
    const { json: linted } = await pgbosun('migrate', 'lint', '--all')
    expect(linted.files).toBe(3)
    expect(linted.findings.map(({ path }: Json) => path)).toEqual([join(dir, 'core/3_c.sql')])
    const { json: other } = await pgbosun('migrate', 'lint', join(dir, 'more/2_b.sql'))
    expect([other.files, other.findings]).toEqual([1, []])
    rmSync(join(dir, 'core/3_c.sql'))
    expect((await pgbosun('up')).json.error).toBe(null)
    expect((await pgbosun('migrate', 'verify', '--shadow')).json.error).toBe(null)
    await sql`alter table b add y int`
    const { json: drifted } = await pgbosun('migrate', 'verify', '--shadow')
    expect(drifted.error.message).toContain('y')
    await sql`alter table b drop y`

    await writeFiles(dir, { 'more/2_b.sql': 'create table b (id bigint);' })
    expect((await pgbosun('up')).json.error).toMatchObject({ kind: 'history', message: expect.stringContaining('2_b') })
    expect((await pgbosun('migrate', 'repair', '--yes')).json.error).toBe(null)
    expect((await pgbosun('up')).json.error).toBe(null)
  })

  test('of Flyway is recorded as Flyway does it: each script relative to its own location', async ({
    dir,
    sql,
    pgbosun,
  }) => {
    await writeFiles(dir, {
      'core/a/V1__users.sql': 'create table users (id int);',
      'billing/V2__bills.sql': 'create table bills (id int);',
      'billing/deep/er/R__views.sql': 'create or replace view v as select 1 as one;',
      ...config({ dir: ['billing', 'core'], format: 'flyway' }),
    })
    expect((await pgbosun('migrate')).json.error).toBe(null)
    expect(await sql`select script, type from flyway_schema_history order by installed_rank`).toEqual([
      { script: 'a/V1__users.sql', type: 'SQL' },
      { script: 'V2__bills.sql', type: 'SQL' },
      { script: 'deep/er/R__views.sql', type: 'SQL' },
    ])
    // Flyway itself would find the same if the file were in another location of the list.
    expect((await pgbosun('migrate')).json.error).toBe(null)
  })

  test('of another database is set below `databases`', async ({ dir, database, pgbosun }) => {
    const second = uniqueName('second')
    await writeFiles(dir, {
      'core/1_a.sql': 'create table a (id int);',
      'more/2_b.sql': 'create table b (id int);',
      'pgbosun.json': JSON.stringify({
        databases: { [database]: { migrate: { dir: 'core' } }, [second]: { migrate: { dir: ['core', 'more'] } } },
      }),
    })
    expect((await pgbosun('up')).json.error).toBe(null)
    const connection = open(second)
    expect(await connection`select name from pgbosun.migrations order by seq`).toEqual([
      { name: '1_a' },
      { name: '2_b' },
    ])
    await connection.end()
  })

  test('is adopted as a whole, into a folder beside the first', async ({ dir, sql, pgbosun, refused }) => {
    await writeFiles(dir, { ...two, ...config({ dir: ['core', 'billing'], format: 'dbmate' }) })
    expect((await pgbosun('migrate')).json.error).toBe(null)
    const env = { PGBOSUN_MIGRATE_DIR: 'core,billing', PGBOSUN_MIGRATE_FORMAT: 'dbmate' }
    expect(await refused(env, 'migrate', 'adopt', '--from', 'dbmate', '--into', 'billing/new')).toMatchObject({
      code: 2,
      message: `the new files cannot be written to ${join(dir, 'billing/new')}, because the old ones are in ${join(dir, 'billing')}`,
    })
    const { json } = await pgbosun('migrate', 'adopt', '--from', 'dbmate', '--yes')
    expect(json).toMatchObject({ error: null, configuration: { 'migrate.dir': 'core-pgbosun' } })
    expect(readdirSync(join(dir, 'core-pgbosun')).filter((name) => !name.includes('.down.'))).toEqual([
      '001_users.sql',
      '002_bills.sql',
      '003_orders.sql',
    ])
    await writeFiles(dir, config({ dir: 'core-pgbosun' }))
    expect((await pgbosun('migrate', 'status')).json.pending).toEqual([])
    expect(await sql`select name, status from pgbosun.migrations order by seq`).toEqual([
      { name: '001_users', status: 'adopted' },
      { name: '002_bills', status: 'adopted' },
      { name: '003_orders', status: 'adopted' },
    ])
  })

  test('is looked at together where the format is to be detected', async ({ dir, pgbosun, refused }) => {
    await writeFiles(dir, {
      ...two,
      'old/1_a.sql': '-- +goose Up\nselect 1;\n',
      ...config({ dir: ['core', 'billing'], format: 'auto' }),
    })
    const { json } = await pgbosun('migrate', 'status')
    expect(json.pending).toEqual(['001_users', '002_bills', '003_orders'])
    expect(await refused({ PGBOSUN_MIGRATE_DIR: 'core,old', PGBOSUN_MIGRATE_FORMAT: 'auto' }, 'up')).toMatchObject({
      code: 2,
      message: expect.stringContaining(
        `the files of ${join(dir, 'core')} and ${join(dir, 'old')} contradict each other`,
      ),
    })
    expect(await refused({ PGBOSUN_MIGRATE_DIR: 'old,core', PGBOSUN_MIGRATE_FORMAT: 'goose' }, 'up')).toMatchObject({
      code: 2,
      message:
        'the configuration: migrate.dir (PGBOSUN_MIGRATE_DIR): the format takes one folder; only pgbosun, dbmate, flyway, node-pg-migrate take several',
    })
  })

  test('is refused where the format that is detected takes one folder', async ({ dir, refused }) => {
    await writeFiles(dir, { 'a/1_a.sql': '-- +goose Up\nselect 1;\n', 'b/2_b.sql': '-- +goose Up\nselect 1;\n' })
    expect(await refused({ PGBOSUN_MIGRATE_DIR: 'a,b', PGBOSUN_MIGRATE_FORMAT: 'auto' }, 'up')).toMatchObject({
      code: 2,
      message: `migrate.dir has 2 folders, but the format goose takes one: ${join(dir, 'a')}, ${join(dir, 'b')}`,
    })
  })

  test('must be there, all of it: nothing is changed while one folder is missing or has only other SQL', async ({
    dir,
    sql,
    refused,
  }) => {
    await writeFiles(dir, { 'core/1_a.sql': sections('create table a (id int);'), 'odd/notes.sql': 'select 1' })
    const where = (list: string, format = 'dbmate') => ({ PGBOSUN_MIGRATE_DIR: list, PGBOSUN_MIGRATE_FORMAT: format })
    for (const command of ['up', 'plan', 'migrate status', 'migrate lint', 'migrate wait-for'])
      expect(await refused(where('core,none'), ...command.split(' '))).toMatchObject({
        code: 2,
        message: expect.stringContaining(join(dir, 'none')),
      })
    expect(await refused(where('core,none', 'auto'), 'up')).toMatchObject({
      code: 2,
      message: `the migrations folder ${join(dir, 'none')} does not exist`,
      hint: 'set migrate.dir (PGBOSUN_MIGRATE_DIR), or create it',
    })
    expect(await refused(where('core,odd'), 'up')).toMatchObject({
      code: 2,
      message: `no file in ${join(dir, 'odd')} is a migration in the format dbmate, but there is SQL: notes.sql`,
    })
    expect(await refused(where('core,filesystem:more', 'flyway'), 'up')).toMatchObject({
      code: 2,
      hint: 'write the path alone, without the prefix that Flyway has for its locations',
    })
    expect(await refused(where('core,core/../core'), 'up')).toMatchObject({
      code: 2,
      message: `migrate.dir has ${join(dir, 'core')} twice`,
    })
    expect(await refused(where('core,none'), 'migrate', 'new', 'x')).toMatchObject({
      code: 2,
      message: expect.stringContaining(`${join(dir, 'none')} cannot be read: it does not exist`),
    })
    expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toEqual([])
  })

  test('of which the first folder does not exist yet gets it from `migrate new`', async ({ dir, pgbosun }) => {
    await writeFiles(dir, { 'old/007_a.sql': 'select 7;', ...config({ dir: ['new', 'old'] }) })
    expect((await pgbosun('migrate', 'new', 'b')).json).toMatchObject({ file: join(dir, 'new/008_b.sql') })
    expect(readFileSync(join(dir, 'new/008_b.sql'), 'utf8')).toContain('008_b')
  })
})

test('config show has the list, and where it comes from', async ({ dir }) => {
  await writeFiles(dir, { 'x/1_a.sql': '', 'pgbosun.yaml': 'migrate: { dir: [a, b] }\ndatabase: {}\n' })
  const show = async (env: Record<string, string> = {}) =>
    (await run(['config', 'show'], { cwd: dir, env })).stdout.split('\n').find((line) => line.startsWith('migrate.dir'))
  expect(await show()).toBe('migrate.dir: ["a","b"]  (file)')
  expect(await show({ PGBOSUN_MIGRATE_DIR: 'c, d' })).toBe('migrate.dir: ["c","d"]  (PGBOSUN_MIGRATE_DIR)')
  expect(await show({ PGBOSUN_MIGRATE_DIR: 'c' })).toBe('migrate.dir: c  (PGBOSUN_MIGRATE_DIR)')
})

test.skipIf(!dbmateItself)(
  'dbmate itself takes several folders for what we take them for',
  async ({ dir, database, sql, pgbosun }) => {
    const itself = (...args: string[]) =>
      dbmateItself!.run(['--migrations-dir', 'billing', ...args], { cwd: dir, url: urlOf(database) })
    const files = Object.entries(two).map(([path, text]) => [path.replace('core/', 'migrations/'), text])
    await writeFiles(dir, {
      ...Object.fromEntries(files),
      ...config({ dir: ['migrations', 'billing'], format: 'dbmate' }),
    })
    const up = await itself('up')
    expect(up.output.match(/Applied: \S+/g)).toEqual([
      'Applied: 001_users.sql',
      'Applied: 002_bills.sql',
      'Applied: 003_orders.sql',
    ])
    const { json } = await pgbosun('migrate', 'status')
    expect([json.applied, json.pending, json.problems]).toEqual([['001_users', '002_bills', '003_orders'], [], []])
    await writeFiles(dir, { 'billing/0035_late.sql': sections('create table late (id int);', 'drop table late;') })
    expect((await pgbosun('migrate')).json.error).toBe(null)
    expect((await itself('status')).output).toMatch(/Applied: 4\nPending: 0/)
    expect((await itself('rollback')).output).toContain('Rolled back: 003_orders.sql')
    expect(await sql`select version from schema_migrations order by version`).toEqual([
      { version: '001' },
      { version: '002' },
      { version: '0035' },
    ])
  },
)
