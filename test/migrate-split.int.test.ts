import { expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { test as base, open, type Sql, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Up = (files?: Record<string, string>) => Promise<{ code: number | null; json: Record<string, any> }>

/** `up` writes migrations and runs `migrate`. */
const test = base.extend<{ up: Up }>({
  up: async ({ dir, database }, use) =>
    use(async (files = {}) => {
      await writeFiles(
        dir,
        Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])),
      )
      const { code, json } = await runJson(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      return { code, json }
    }),
})

const alone = '-- pgbosun: no-transaction\n'
const rows = async (sql: Sql) =>
  (await sql`select name, status, progress from pgbosun.migrations order by seq`).map(({ name, status, progress }) => [
    name,
    status,
    progress?.done ?? null,
  ])
const invalid = (sql: Sql) => sql`select indexrelid::regclass::text as name from pg_index where not indisvalid`

test('a file outside a transaction may hold several statements', async ({ up, sql }) => {
  const { code, json } = await up({
    '1_a.sql': `${alone}create table a (id int, b int);
      set search_path = public; create index concurrently on a (id);
      begin; insert into a values (1); insert into a values (2); commit;
      create index concurrently a_b on a (b); vacuum a; do $$ begin perform 1; end $$`,
  })
  expect([code, json.error]).toEqual([0, null])
  expect(await rows(sql)).toEqual([['1_a', 'applied', null]])
  expect(await sql`select count(*)::int as n from a`).toEqual([{ n: 2 }])
})

test('a statement that cannot be in a transaction takes its file out of one, and says so', async ({ up, sql }) => {
  const { json } = await up({ '1_a.sql': 'create table a (id int); create index concurrently a_id on a (id)' })
  expect(json.steps[0].changes.at(-1).reason).toBe('not applied yet, outside a transaction (CREATE INDEX CONCURRENTLY)')
  expect(await sql`select indisvalid from pg_index where indexrelid = 'a_id'::regclass`).toEqual([{ indisvalid: true }])
})

test('a failure in the middle keeps what took effect, and the next run continues after it', async ({ up, sql }) => {
  const text = (third: string) =>
    `${alone}set search_path = x, public;\ncreate table a (id int);\n${third};\ncreate table c ()`
  await sql`create schema x`
  const failed = await up({ '1_a.sql': text('insert into a values (1/0)'), '2_b.sql': 'create table b ()' })
  expect(failed.json.error).toMatchObject({ kind: 'migration', sqlstate: '22012', line: 4, column: 1 })
  expect(failed.json.error.hint).toContain('its first 2 statements (of 4) took effect and will not run again')
  expect(await rows(sql)).toEqual([['1_a', 'started', 2]])

  const changed = await up({ '1_a.sql': text('select 1').replace('(id int)', '(id bigint)') })
  expect([changed.code, changed.json.error.message]).toEqual([
    21,
    '1_a was changed above the point where it stopped: its first 2 statements already ran',
  ])
  expect((await up({ '1_a.sql': text('insert into a values (1)') })).code).toBe(0)
  expect(await rows(sql)).toEqual([
    ['1_a', 'applied', null],
    ['2_b', 'applied', null],
  ])
  // The setting of the first statement was there for the last one.
  expect(await sql`select to_regclass('x.c') is not null as there`).toEqual([{ there: true }])
})

test('the role of the migrations owns what a split file makes, and does not write the history', async ({
  dir,
  database,
  sql,
}) => {
  const role = `owner_${database}`
  await sql.unsafe(`create role "${role}"; grant create on schema public to "${role}"`)
  await writeFiles(dir, {
    'migrations/1_a.sql': `${alone}create table a (id int); create index concurrently a_id on a (id); reset role; create table b ()`,
  })
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_ROLE: role }
  expect((await run(['migrate'], { cwd: dir, env })).code).toBe(0)
  expect(
    await sql`select relname, pg_get_userbyid(relowner) as owner from pg_class where relname in ('a', 'b') order by 1`,
  ).toEqual([
    { relname: 'a', owner: role },
    // Leaving the role leads to the login of the run, and what that makes goes to the owner.
    { relname: 'b', owner: role },
  ])
  expect(await sql`select applied_by from pgbosun.migrations`).toEqual([{ applied_by: 'postgres' }])
})

test('what an earlier attempt left of an index is dropped, and the index is built', async ({ up, sql }) => {
  await sql.unsafe('create table a (id int); insert into a values (1), (1)')
  await expect(sql.unsafe('create unique index concurrently a_id on a (id)')).rejects.toThrow(/could not create/)
  expect(await invalid(sql)).toHaveLength(1)
  await sql`delete from a`
  expect((await up({ '1_a.sql': `${alone}create unique index concurrently if not exists a_id on a (id)` })).code).toBe(
    0,
  )
  expect(await invalid(sql)).toHaveLength(0)
  expect(await sql`select indisvalid from pg_index where indexrelid = 'a_id'::regclass`).toEqual([{ indisvalid: true }])
})

test('an index of that name that is valid is kept', async ({ up, sql }) => {
  await sql.unsafe('create table a (id int); create index a_id on a (id)')
  const { json } = await up({ '1_a.sql': `${alone}create index concurrently a_id on a (id)` })
  expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '42P07' })
  expect(await rows(sql)).toEqual([])
})

test('a statement that was running when the run ended is recognised: the finished one is not run again', async ({
  up,
  sql,
  database,
}) => {
  const files = {
    '1_a.sql': `${alone}create table a (id int);\ncreate index concurrently on a (id);\ncreate table c ()`,
  }
  // The first attempt stops at the third statement, after which the record is put back to where a kill in the second would leave it.
  await sql`create table c ()`
  expect((await up(files)).code).toBe(20)
  const [row] = await sql`select progress from pgbosun.migrations`
  const again = open(database)
  await again.unsafe(
    `update pgbosun.migrations set progress = progress || '{"done": 1, "running": true, "indexes": []}'`,
  )
  await again.end()
  await sql`drop table c`
  // The record of one finished statement has another checksum than that of two: take it from a run that stopped there.
  expect(row!.progress.done).toBe(2)
  const first = `${alone}create table a (id int)`
  const { hash } = await import('node:crypto')
  await sql.unsafe(`update pgbosun.migrations set progress = progress || '{"sha256": "${hash('sha256', first)}"}'`)
  expect((await up()).code).toBe(0)
  expect(await sql`select count(*)::int as n from pg_index where indrelid = 'a'::regclass`).toEqual([{ n: 1 }])
})

test('what the server says is shown with the file that it came from', async ({ dir, database }) => {
  await writeFiles(dir, {
    'migrations/1_a.sql': 'select 1',
    'migrations/2_b.sql': "do $$ begin raise warning 'careful'; end $$",
    'migrations/3_c.sql': 'create table if not exists c (); create table if not exists c ()',
    'migrations/4_d.sql': `${alone}vacuum; drop table if exists nothing_there`,
  })
  const { code, stderr } = await run(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  expect(code).toBe(0)
  const said = stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
  expect(said.map(({ level, migration, msg }) => [level, migration, msg])).toEqual([
    ['warn', '2_b', '2_b: warning: careful'],
    ['info', '3_c', '3_c: notice: relation "c" already exists, skipping'],
    ['info', '4_d', '4_d: notice: table "nothing_there" does not exist, skipping'],
  ])
})
