import { expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Json = Record<string, any>
type Fixtures = {
  write: (files: Record<string, string>) => Promise<void>
  call: (...args: string[]) => Promise<{ code: number | null; json: Json }>
}

const test = base.extend<Fixtures>({
  write: async ({ dir }, use) =>
    use((files) =>
      writeFiles(dir, Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text]))),
    ),
  call: async ({ dir, database }, use) =>
    use((...args) => runJson(['migrate', ...args], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const three = Object.fromEntries(
  [1, 2, 3].flatMap((i) => [
    [`${i}_t.sql`, `create table t${i} (id int)`],
    [`${i}_t.down.sql`, `drop table t${i}`],
  ]),
)
const recorded = async (sql: Sql) =>
  (await sql`select seq, previous, name, status from pgbosun.migrations order by seq`).map((row) => [
    row.seq,
    row.previous,
    row.name,
    row.status,
  ])
const tables = async (sql: Sql) =>
  (
    await sql`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`
  ).map(({ relname }) => relname)
const objects = ({ json }: { json: Json }) =>
  json.steps[0].changes.map(({ action, object }: Json) => `${action} ${object}`)

test('undoes the newest; --steps several; --to keeps that version; 0 undoes all', async ({ write, call, sql }) => {
  await write(three)
  await call()
  expect(objects(await call('down', '--dry-run'))).toEqual(['undo migration 3_t'])
  expect(await tables(sql)).toEqual(['t1', 't2', 't3'])
  expect((await sql`select count(*)::int as n from pgbosun.events`)[0]).toEqual({ n: 2 })
  expect((await call('down')).json.results).toMatchObject([{ name: '3_t', status: 'applied' }])
  expect(await tables(sql)).toEqual(['t1', 't2'])
  expect((await sql`select count(*)::int as n from pgbosun.events`)[0]).toEqual({ n: 4 })
  expect(objects(await call('down', '--steps', '2'))).toEqual(['undo migration 2_t', 'undo migration 1_t'])
  expect(await recorded(sql)).toEqual([])
  await call()
  expect(objects(await call('down', '--to', '001'))).toEqual(['undo migration 3_t', 'undo migration 2_t'])
  expect(objects(await call('down', '--to', '0'))).toEqual(['undo migration 1_t'])
  expect(objects(await call('down'))).toEqual([])
})

test('what undoing left behind is said where it is in the way, also of redo', async ({ write, call, sql }) => {
  await write({ '1_t.sql': 'create table t (id int); create table u (id int)', '1_t.down.sql': 'drop table t' })
  await call()
  const hint =
    '1_t was undone, but the script that undoes it left this behind: drop it by hand, and correct that script'
  expect((await call('redo')).json.error).toMatchObject({ sqlstate: '42P07', hint })
  expect((await call()).json.error).toMatchObject({ sqlstate: '42P07', hint })
  await sql`drop table u`
  expect((await call()).json.error).toBe(null)
  await write({ '2_t.sql': 'create table t (id int)' })
  expect((await call()).json.error?.hint).toContain('from an earlier file or made by hand')
})

test('an isolation level holds for the transaction that undoes', async ({ write, call, sql }) => {
  await sql`create table levels (level text)`
  const level = "insert into levels select current_setting('transaction_isolation');"
  const isolated = `set transaction isolation level repeatable read;\n${level}`
  await write({ '1_a.sql': isolated, '1_a.down.sql': `${isolated}\ncopy levels from stdin;\ncopied\n\\.\n` })
  await write({ '2_b.sql': level, '2_b.down.sql': isolated })
  expect((await call()).code).toBe(0)
  expect((await call('down', '--to', '0')).code).toBe(0)
  const levels = (await sql`select level from levels`).map((row) => row.level)
  expect(levels).toEqual(['repeatable read', 'read committed', 'repeatable read', 'repeatable read', 'copied'])
})

test('what cannot be undone is exit 2 before anything is changed', async ({ write, call, sql }) => {
  await write({ ...three, '2_t.down.sql': '', '4_u.sql': 'create table u ()' })
  await call()
  const { code, json } = await call('down', '--steps', '2')
  expect([code, json.error.message, json.error.hint]).toEqual([
    2,
    '4_u cannot be undone: there is no script that undoes it',
    'write 4_u.down.sql',
  ])
  expect((await call('down', '--steps', '0')).code).toBe(2)
  expect((await call('down', '--to', '77')).code).toBe(2)
  expect(await tables(sql)).toEqual(['t1', 't2', 't3', 'u'])
})

test('a failing script leaves everything as it was, and is named with its place', async ({ write, call, sql, dir }) => {
  await write({ ...three, '3_t.down.sql': 'drop table t3;\ndrop table nothing' })
  await call()
  const { code, json } = await call('down', '--steps', '2')
  expect(code).toBe(20)
  expect(json.error).toMatchObject({
    message: 'undoing 3_t failed: table "nothing" does not exist',
    file: `${dir}/migrations/3_t.down.sql`,
    line: 2,
    column: 1,
  })
  expect(json.results).toMatchObject([
    { name: '3_t', status: 'failed' },
    { name: '2_t', status: 'not-run' },
  ])
  expect(await tables(sql)).toEqual(['t1', 't2', 't3'])
})

test('the chain stays whole when a version in its middle goes', async ({ write, call, sql, dir, database }) => {
  await write({ '1_t.sql': three['1_t.sql']!, '3_t.sql': three['3_t.sql']!, '3_t.down.sql': three['3_t.down.sql']! })
  await call()
  await write(three)
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_OUT_OF_ORDER: 'apply' }
  expect((await run(['migrate'], { cwd: dir, env })).code).toBe(0)
  expect((await call('down')).code).toBe(0)
  expect(await recorded(sql)).toEqual([
    [1, null, '1_t', 'applied'],
    [3, 1, '2_t', 'applied'],
  ])
  expect((await call()).code).toBe(0)
  expect(await recorded(sql)).toEqual([
    [1, null, '1_t', 'applied'],
    [3, 1, '2_t', 'applied'],
    [4, 3, '3_t', 'applied'],
  ])
})

test('redo undoes the newest and applies it again, also when it was edited, and nothing else', async ({
  write,
  call,
  sql,
}) => {
  await write(three)
  await call('--to', '2')
  await write({ '2_t.sql': 'create table t2 (id bigint)' })
  const { code, json } = await call('redo')
  expect([code, json.error]).toEqual([0, null])
  expect(objects({ json })).toEqual(['undo migration 2_t', 'apply migration 2_t'])
  expect(await tables(sql)).toEqual(['t1', 't2'])
  expect(
    await sql`select atttypid::regtype::text as type from pg_attribute where attrelid = 't2'::regclass and attnum = 1`,
  ).toEqual([{ type: 'bigint' }])
})

test('a script outside a transaction that stopped goes on, and keeps `up` from running', async ({
  write,
  call,
  sql,
}) => {
  await write({
    '1_t.sql': 'create table t (id int); create index t_id on t (id)',
    '1_t.down.sql': '-- pgbosun: no-transaction\ndrop index concurrently t_id;\ndrop table t, nothing',
  })
  await call()
  const failed = await call('down')
  expect([failed.code, failed.json.error.line]).toEqual([20, 3])
  const refused = await call()
  expect([refused.code, refused.json.error.message]).toEqual([
    21,
    '1_t was being undone outside a transaction, which did not finish',
  ])
  await write({ '1_t.down.sql': '-- pgbosun: no-transaction\ndrop index concurrently t_id;\ndrop table t' })
  expect((await call('down')).json.error).toBe(null)
  expect(await tables(sql)).toEqual([])
  expect(await recorded(sql)).toEqual([])
})

test('repeatable files run after the others, and again when they changed', async ({ write, call, sql }) => {
  const view = (n: number) => `create or replace view v as select ${n} as n from t1;\n`
  await write({
    ...three,
    'repeatable/b.sql': view(1),
    'repeatable/a.sql': "create or replace function f() returns int language sql as 'select 1'",
  })
  expect(objects(await call('--to', '2'))).toEqual([
    'create schema pgbosun',
    'apply migration 1_t',
    'apply migration 2_t',
  ])
  const { json: status } = await call('status')
  expect(status.pending).toEqual(['3_t', 'repeatable/a', 'repeatable/b'])
  expect(objects(await call())).toEqual([
    'apply migration 3_t',
    'apply migration repeatable/a',
    'apply migration repeatable/b',
  ])
  expect(objects(await call())).toEqual([])
  await write({ 'repeatable/b.sql': view(1).replaceAll('\n', '\r\n') })
  expect(objects(await call())).toEqual([])
  await write({
    'repeatable/b.sql': view(2),
    'repeatable/a.sql': 'create or replace function f() returns int\nlanguage sql as 1/',
  })
  const failed = await call()
  expect(failed.json.error).toMatchObject({ kind: 'migration', line: 2 })
  expect(failed.json.results).toMatchObject([
    { name: 'repeatable/a', status: 'failed' },
    { name: 'repeatable/b', status: 'not-run' },
  ])
  await write({ 'repeatable/a.sql': "create or replace function f() returns int language sql as 'select 2'" })
  expect((await call()).json.results).toMatchObject([{ name: 'repeatable/a' }, { name: 'repeatable/b' }])
  expect(await sql`select n, f() from v right join (select 1) x on true`).toEqual([{ n: null, f: 2 }])
  await write({ '4_bad.sql': 'select 1/0', 'repeatable/b.sql': view(3) })
  expect((await call()).json.results).toMatchObject([
    { name: '4_bad', status: 'failed' },
    { name: 'repeatable/b', status: 'not-run' },
  ])
})

test('statementTimeout ends a statement that runs too long', async ({ write, dir, database }) => {
  await write({ '1_t.sql': 'select pg_sleep(5)' })
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_STATEMENT_TIMEOUT: '200ms' }
  const { code, json } = await runJson(['migrate'], { cwd: dir, env })
  expect(code).toBe(20)
  expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '57014' })
  expect(json.error?.hint).toContain('migrate.statementTimeout')
})
