import postgres from 'postgres'
import { expect } from 'vitest'
import { AppError } from '../src/errors.ts'
import { pgbosun } from '../src/formats/pgbosun.ts'
import { readMigrations } from '../src/formats/read.ts'
import { applyMigrations } from '../src/migrate/apply/apply.ts'
import type { ApplyOptions } from '../src/migrate/apply/running.ts'
import { readHistory } from '../src/migrate/history/history.ts'
import { ownHistoryTable } from '../src/migrate/history/history-table.ts'
import { planMigrations } from '../src/migrate/plan/plan.ts'
import { refuseProblems } from '../src/migrate/plan/verify.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { createState } from '../src/state/state.ts'
import { test as base, otherStrings, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Files = Record<string, string>

const historyTable = ownHistoryTable(pgbosun)
const policy = { ...pgbosun.policy, ahead: 'warn', compare: pgbosun.compare, format: 'pgbosun', own: true } as const
type Migrate = (options?: Partial<ApplyOptions> & { dryRun?: boolean }) => Promise<string[]>
type Fixtures = { files: (files: Files) => Promise<void>; work: Sql; migrate: Migrate }

/** `files` writes migrations, `migrate` applies what is pending on the session `work` and names what it applied. */
const test = base.extend<Fixtures>({
  files: async ({ dir }, use) => use((files) => writeFiles(dir, files)),
  work: async ({ database }, use) => {
    const options = { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true, connection: { role: 'none' } }
    const work = postgres(urlOf(database), options as postgres.Options<Record<string, never>>) as Sql
    await use(work)
    await work.end({ timeout: 1 })
  },
  migrate: async ({ dir, work }, use) =>
    use(async ({ dryRun, ...options } = {}) => {
      const { files } = await readMigrations([dir])
      const plan = planMigrations(files, await readHistory(work, historyTable), policy)
      refuseProblems(plan.problems)
      if (dryRun) return plan.steps.map(({ name }) => name)
      const results = await applyMigrations({
        sql: work,
        plan,
        historyTable,
        role: undefined,
        path: ['$user', 'public'],
        lockTimeoutMs: 5_000,
        toolVersion: '0.1.0',
        beforeChange: async () =>
          void (await createState(work, { needs: ['migrations', 'migration_details'], readers: [] })),
        guard() {},
        ...options,
      })
      expect(results.every(({ status }) => status === 'applied')).toBe(true)
      return results.map(({ name }) => name)
    }),
})

const failureOf = async (run: Promise<unknown>): Promise<AppError> => {
  const error = await run.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!(error instanceof AppError)) throw error ?? new Error('it did not fail')
  return error
}
const recorded = async (sql: Sql) =>
  (await readHistory(sql, historyTable)).applied.map(({ name, status }) => `${name} ${status}`)
const tablesOf = async (sql: Sql) =>
  (
    await sql<
      { name: string }[]
    >`select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by oid`
  ).map(({ name }) => name)
const statusesOf = (error: AppError) => (error.report?.results as { status: string }[]).map(({ status }) => status)

const five = {
  '001_a.sql': 'create table a (id int)',
  '002_b.sql': 'create table b (id int);',
  '003_c.sql': 'create table c (id int);',
  '004_d.sql': 'create table d (id int); -- the end',
  '005_e.sql': 'create table e (id int)',
}

test('applies files in the order of their numbers, then finds nothing to do', async ({ files, migrate, sql }) => {
  await files({
    '10_c.sql': 'alter table a rename to c',
    '9_b.sql': 'alter table a add b int',
    '001_a.sql': 'create table a ()',
  })
  expect(await migrate()).toEqual(['001_a', '9_b', '10_c'])
  expect(await migrate()).toEqual([])
  expect(await tablesOf(sql)).toEqual(['c'])
  expect(
    await sql`select seq, previous, version, name, status, applied_by, tool_version from pgbosun.migrations order by seq`,
  ).toEqual(
    ['001_a', '9_b', '10_c'].map((name, i) => ({
      seq: i + 1,
      previous: i === 0 ? null : i,
      version: String(Number.parseInt(name, 10)),
      name,
      status: 'applied',
      applied_by: 'postgres',
      tool_version: '0.1.0',
    })),
  )
})

test('continues the chain in a later run, and writes how long each file took', async ({ files, migrate, sql }) => {
  await files({ '1_a.sql': 'select pg_sleep(0.05)' })
  await migrate()
  await files({ '2_b.sql': 'select pg_sleep(0.05)' })
  await migrate()
  const rows = await sql<
    { seq: number; duration_ms: number }[]
  >`select seq, duration_ms from pgbosun.migrations order by seq`
  expect(rows.map(({ seq }) => seq)).toEqual([1, 2])
  for (const { duration_ms } of rows) expect(duration_ms).toBeGreaterThanOrEqual(49)
})

test('a dry run writes nothing, not even the state', async ({ files, migrate, sql }) => {
  await files(five)
  expect(await migrate({ dryRun: true })).toHaveLength(5)
  expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
  expect(await tablesOf(sql)).toEqual([])
})

test('a syntax error in the third of five: two applied, none of the rest, with line, column and caret', async ({
  files,
  migrate,
  sql,
  dir,
}) => {
  await files({ ...five, '003_c.sql': "-- ünïcödé 😀\r\ncreate table c ();\r\nselect '😀'; creat table wrong ();" })
  const error = await failureOf(migrate())
  expect(error).toMatchObject({
    kind: 'migration',
    message: expect.stringContaining('003_c failed: syntax error'),
    sqlstate: '42601',
    place: { file: `${dir}/003_c.sql`, line: 3, column: 13 },
  })
  expect(error.excerpt?.split('\n')[1]).toMatch(/^ +\| {14}\^$/)
  expect(statusesOf(error)).toEqual(['applied', 'applied', 'failed', 'not-run', 'not-run'])
  expect(await tablesOf(sql)).toEqual(['a', 'b'])
  expect(await recorded(sql)).toEqual(['001_a applied', '002_b applied'])

  await files(five)
  expect(await migrate()).toEqual(['003_c', '004_d', '005_e'])
})

test('a run-time error undoes its own file only, and shows DETAIL', async ({ files, migrate, sql }) => {
  await files({ ...five, '003_c.sql': 'create table c (id int primary key);\ninsert into c values (1), (1);' })
  const error = await failureOf(migrate())
  expect(error).toMatchObject({ kind: 'migration', sqlstate: '23505', hint: expect.any(String) })
  expect(error.excerpt).toContain('DETAIL: Key (id)=(1) already exists.')
  expect(await tablesOf(sql)).toEqual(['a', 'b'])
  expect(await recorded(sql)).toEqual(['001_a applied', '002_b applied'])
})

test('a run-time error of a single statement is placed there', async ({ files, migrate }) => {
  await files({ '1_a.sql': '-- first\n\n  do $$ begin raise exception $m$no$m$; end $$;' })
  expect(await failureOf(migrate())).toMatchObject({ sqlstate: 'P0001', place: { line: 3, column: 3 } })
})

test('an error in the first file leaves nothing', async ({ files, migrate, sql }) => {
  await files({ ...five, '001_a.sql': 'create table a (id nosuchtype)' })
  expect(await failureOf(migrate())).toMatchObject({
    kind: 'migration',
    sqlstate: '42704',
    place: { line: 1, column: 20 },
  })
  expect(await tablesOf(sql)).toEqual([])
  expect(await recorded(sql)).toEqual([])
})

test('refuses a file with its own COMMIT before anything is written', async ({ files, migrate, sql }) => {
  await files({ ...five, '005_e.sql': 'begin;\ncreate table e ();\ncommit;' })
  const error = await failureOf(migrate())
  expect(error).toMatchObject({ kind: 'lint', place: { line: 1, column: 1 } })
  expect(statusesOf(error)).toEqual(Array(5).fill('not-run'))
  expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
})

test.for([
  ['search_path', "select pg_catalog.set_config('search_path', '', false)"],
  ['role', 'create role ROLE; set role ROLE'],
  ['session authorization', 'create role ROLE; set session authorization ROLE'],
  ['the reading of strings', `${otherStrings()}; set client_encoding = 'LATIN1'`],
  ['temporary tables', 'create temp table b (temporary int)'],
] as const)('a file leaves nothing of %s to the next one', async ([, text], { migrate, files, sql }) => {
  const role = uniqueName('leak')
  await files({
    '1_a.sql': text.replaceAll('ROLE', role),
    '2_b.sql': `create table b (t text); insert into b values ('ü\\')`,
  })
  await migrate()
  expect(await sql`select t from public.b`).toEqual([{ t: 'ü\\' }])
  expect(await sql`select tableowner from pg_tables where tablename = 'b' and schemaname = 'public'`).toEqual([
    { tableowner: 'postgres' },
  ])
})

test('leaves its own session clean after the last file', async ({ files, migrate, work }) => {
  await files({ '1_a.sql': `set search_path = ''; set lock_timeout = '7s'; set role pg_monitor` })
  await migrate()
  const [row] =
    await work`select current_user as u, current_setting('search_path') as p, current_setting('lock_timeout') as l`
  expect(row).toEqual({ u: 'postgres', p: '"$user", public', l: '0' })
})

test('runs files as the role, and records them as the session user', async ({ files, migrate, sql, database }) => {
  const owner = uniqueName('Own "er')
  await sql.unsafe(
    `create role ${quoteIdent(owner)}; alter database ${database} owner to ${quoteIdent(owner)}; grant create on schema public to ${quoteIdent(owner)}`,
  )
  await files({
    '1_a.sql': 'create table a ()',
    '2_b.sql': '-- pgbosun: no-transaction\ncreate table b ()',
    '3_c.sql': 'create table c (); wrong',
  })
  expect(await failureOf(migrate({ role: owner }))).toMatchObject({ kind: 'migration', place: { line: 1, column: 20 } })
  expect(await sql`select tablename, tableowner from pg_tables where schemaname = 'public' order by 1`).toEqual([
    { tablename: 'a', tableowner: owner },
    { tablename: 'b', tableowner: owner },
  ])
  expect(await sql`select distinct applied_by from pgbosun.migrations`).toEqual([{ applied_by: 'postgres' }])
})

test('a role that is not there is refused, not blamed on a file', async ({ files, migrate }) => {
  await files(five)
  expect(await failureOf(migrate({ role: 'no such role' }))).toMatchObject({ kind: 'refused', message: /no such role/ })
})

test('a missing privilege of a statement is the file’s failure', async ({ files, migrate }) => {
  await files({ '1_a.sql': 'set local role pg_monitor; create table pgbosun.mine ()' })
  expect(await failureOf(migrate())).toMatchObject({ kind: 'migration', sqlstate: '42501' })
})

test('an edited file is found, other line endings are not an edit', async ({ files, migrate }) => {
  await files({ '1_a.sql': 'create table a ();\n-- x\n', '2_b.sql': 'select 1' })
  await migrate()
  await files({ '1_a.sql': '\uFEFFcreate table a ();\r\n-- x\r\n' })
  expect(await migrate()).toEqual([])
  await files({ '1_a.sql': 'create table a ();\n-- y\n' })
  expect(await failureOf(migrate())).toMatchObject({ kind: 'history', message: '1_a was changed after it was applied' })
})

test('creates an index concurrently in the middle of other files', async ({ files, migrate, sql }) => {
  await files({
    '1_a.sql': 'create table a (id int)',
    '2_index.sql': '-- why\n-- pgbosun: no-transaction\ncreate index concurrently a_id on a (id); -- done\n',
    '3_b.sql': 'create table b ()',
  })
  expect(await migrate()).toEqual(['1_a', '2_index', '3_b'])
  expect(await sql`select indisvalid from pg_index where indexrelid = 'a_id'::regclass`).toEqual([{ indisvalid: true }])
  expect(await recorded(sql)).toEqual(['1_a applied', '2_index applied', '3_b applied'])
})

test('an index that fails leaves nothing behind, and is repeated once the cause is fixed', async ({
  files,
  migrate,
  sql,
}) => {
  await files({
    '1_a.sql': 'create table a (id int); insert into a values (1), (1)',
    '2_index.sql': '-- pgbosun: no-transaction\ncreate unique index concurrently a_id on a (id)',
    '3_b.sql': 'create table b ()',
  })
  const error = await failureOf(migrate())
  expect(error).toMatchObject({ kind: 'migration', sqlstate: '23505', place: { line: 2, column: 1 } })
  expect(statusesOf(error)).toEqual(['applied', 'failed', 'not-run'])
  expect(await recorded(sql)).toEqual(['1_a applied'])
  expect(await sql`select from pg_index where not indisvalid`).toHaveLength(0)
  await sql.unsafe('delete from a')
  expect(await migrate()).toEqual(['2_index', '3_b'])
})

test('a file that was started, nobody knows how far, is refused until somebody decides', async ({
  files,
  migrate,
  sql,
}) => {
  await files({ '1_a.sql': '-- pgbosun: no-transaction\nvacuum', '2_b.sql': 'select 1' })
  await createState(sql, { needs: ['migrations'], readers: [] })
  await sql.unsafe(
    `insert into pgbosun.migrations (seq, version, name, sha256, status, tool_version) values (1, 1, '1_a', '', 'started', '0')`,
  )
  expect(await failureOf(migrate())).toMatchObject({
    kind: 'history',
    message: '1_a was started outside a transaction and did not finish',
  })
})

test('a connection lost on the way is passed on as it is, and history equals reality', async ({
  files,
  migrate,
  sql,
}) => {
  const many = Object.fromEntries(
    Array.from({ length: 250 }, (_, i) => [`${i + 1}_t.sql`, `create table t${i + 1} (); -- ${'x'.repeat(2_000)}`]),
  )
  await files({ ...many, '120_t.sql': 'create table t120 (); select pg_terminate_backend(pg_backend_pid())' })
  await expect(migrate()).rejects.toMatchObject({ code: expect.stringMatching(/^57P01$|^CONNECTION|^ECONNRESET$/) })
  expect(await recorded(sql)).toHaveLength(119)
  expect(await tablesOf(sql)).toHaveLength(119)
})

test('an error that names a lost connection, from a session that lives on, is one of the migration', async ({
  files,
  migrate,
  sql,
}) => {
  const body = `begin raise exception 'could not connect to server "far"' using errcode = '08001'; end`
  await files({ '1_a.sql': 'create table a ()', '2_b.sql': `do $$ ${body} $$` })
  expect(await failureOf(migrate())).toMatchObject({ kind: 'migration', sqlstate: '08001' })
  expect(await recorded(sql)).toHaveLength(1)
})

test('300 files go through, and a failure at 150 leaves exactly 149', async ({ files, migrate, sql }) => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, i) => [`${i + 1}_t.sql`, `create table t${i + 1} (id int)`]),
  )
  await files({ ...many, '150_t.sql': 'create table t150 (id int); select 1/0' })
  const error = await failureOf(migrate())
  expect(error).toMatchObject({
    kind: 'migration',
    sqlstate: '22012',
    message: expect.stringContaining('150_t failed'),
  })
  expect(await tablesOf(sql)).toEqual(Array.from({ length: 149 }, (_, i) => `t${i + 1}`))
  expect((await readHistory(sql, historyTable)).applied.map(({ seq, name }) => [seq, name])).toEqual(
    Array.from({ length: 149 }, (_, i) => [i + 1, `${i + 1}_t`]),
  )

  await files(many)
  const seen: number[] = []
  expect(await migrate({ onProgress: (done) => seen.push(done) })).toHaveLength(151)
  expect(seen).toEqual(Array.from({ length: 151 }, (_, i) => i + 1))
  expect(await tablesOf(sql)).toHaveLength(300)
})

test('sends nothing more once the lock is lost, and tells what was applied', async ({ files, migrate, sql }) => {
  await files(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i + 1}_t.sql`, `create table t${i + 1} ()`])))
  let calls = 0
  const guard = () => {
    if (++calls > 8) throw new AppError('unreachable', 'the lock was lost')
  }
  const error = await failureOf(migrate({ guard }))
  expect(error.kind).toBe('unreachable')
  const applied = statusesOf(error).filter((status) => status === 'applied').length
  expect(applied).toBe(7)
  expect(await tablesOf(sql)).toHaveLength(applied)
})

test('a table that is locked for too long ends the run with its name', async ({ files, migrate, sql }) => {
  await files({ '1_a.sql': 'create table a ()' })
  await migrate()
  await files({ '2_b.sql': 'select 1;\nalter table a add b int' })
  await sql.begin(async (holder) => {
    await holder`lock table a`
    expect(await failureOf(migrate({ lockTimeoutMs: 50 }))).toMatchObject({
      kind: 'locked',
      sqlstate: '55P03',
      message: expect.stringContaining('2_b'),
    })
  })
  expect(await migrate()).toEqual(['2_b'])
})

test('a plan made before somebody else migrated is not applied', async ({ files, migrate, sql }) => {
  await files(five)
  const beforeChange = async () => {
    await createState(sql, { needs: ['migrations'], readers: [] })
    await sql.unsafe(
      `insert into pgbosun.migrations (seq, version, name, sha256, status, tool_version) values (1, 1, '001_a', '', 'applied', '0')`,
    )
  }
  expect(await failureOf(migrate({ beforeChange }))).toMatchObject({
    kind: 'history',
    message: /history changed/,
  })
  expect(await tablesOf(sql)).toEqual([])
})
