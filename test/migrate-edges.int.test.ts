import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { FormatName } from '../src/config/formats.ts'
import { until } from './support/chaos.ts'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

type Options = { format?: FormatName; args?: string[]; env?: Record<string, string> }
type Up = (files?: Record<string, string>, options?: Options) => ReturnType<typeof runJson>

/** `up` writes files below `migrations` and runs `migrate`. */
const test = base.extend<{ up: Up }>({
  up: async ({ dir, database }, use) =>
    use(async (files = {}, { format = 'pgbosun', args = ['migrate'], env = {} } = {}) => {
      await writeFiles(
        dir,
        Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])),
      )
      return runJson(args, {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format, ...env },
      })
    }),
})

type Answer = Awaited<ReturnType<Up>>
const good = ({ code, stderr }: Answer) => expect(code, stderr).toBe(0)
const results = ({ json }: Answer) =>
  (json.results as { name: string; status: string }[]).map(({ name, status }) => `${name} ${status}`)
const down = { args: ['migrate', 'down'] }
const alone = '-- pgbosun: no-transaction\n'
const invalid = (sql: Sql) => sql`select indexrelid::regclass::text as name from pg_index where not indisvalid`

/** The row that a run leaves if it is killed while the statement after the first `done` is running. */
const interrupt = (sql: Sql, done: number) =>
  sql.unsafe(`update pgbosun.migrations set progress = progress || '{"done": ${done}, "running": true}'`)

/** Ends the backend of a REINDEX in its middle, as a crash does. */
async function interruptedReindex(sql: Sql, database: string, statement: string): Promise<void> {
  const [reader, worker] = [openOne(database), openOne(database)]
  await reader.unsafe('begin isolation level repeatable read; select 1')
  await worker.unsafe('set search_path = s')
  const ended = worker.unsafe(statement).catch((error: Error) => error)
  await until('it waits for the other transaction', async () => {
    const rows = await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = ${database} and query ~ '^reindex' and wait_event_type = 'Lock'`
    return rows.length > 0
  })
  expect(await ended).toBeInstanceOf(Error)
  await reader.end({ timeout: 1 })
  await worker.end({ timeout: 1 })
}

describe('what an interrupted statement left', () => {
  test.for([
    ['reindex table concurrently a', 13],
    ['reindex (verbose, concurrently on) table "a"', 14],
    ['reindex schema concurrently s', 13],
  ] as const)('%s: the invalid copies are dropped, also that of TOAST', async ([statement, since], {
    up,
    sql,
    database,
    skip,
  }) => {
    skip(server().major < since, `PostgreSQL ${server().major} does not know it`)
    await sql.unsafe('create schema s; create table s.a (id int primary key, long text)')
    await interruptedReindex(sql, database, statement)
    expect((await invalid(sql)).map(({ name }) => name.replace(/\d+/, 'N')).sort()).toEqual([
      'pg_toast.pg_toast_N_index_ccnew',
      's.a_pkey_ccnew',
    ])
    const text = (second: string) => `${alone}set search_path = s;\n${second};\n${statement}`
    expect((await up({ '1_a.sql': text('select 1/0') })).code).toBe(20)
    const sha256 = hash('sha256', text('select 1').slice(0, -statement.length - 2))
    await sql.unsafe(
      `update pgbosun.migrations set progress = progress || '{"done": 2, "running": true, "sha256": "${sha256}"}'`,
    )
    good(await up({ '1_a.sql': text('select 1') }))
    expect(await invalid(sql)).toEqual([])
    expect(await sql`select from pg_class where relname ~ '_cc(new|old)'`).toHaveLength(0)
  })

  test.for([
    ['Ärger', 'a name with letters that PostgreSQL does not fold'],
    [`i_${'ü'.repeat(40)}`, 'a name that it cuts off'],
    ['"Quoted ""name"""', 'a quoted name'],
  ] as const)('an invalid index is found and built again: %s, %s', async ([name], { up, sql }) => {
    await sql.unsafe('create table a (id int); insert into a values (1), (1)')
    await expect(sql.unsafe(`create unique index concurrently ${name} on a (id)`)).rejects.toThrow()
    expect(await invalid(sql)).toHaveLength(1)
    await sql`delete from a`
    good(await up({ '1_a.sql': `create unique index concurrently ${name} on a (id)` }))
    expect(await invalid(sql)).toEqual([])
    expect(await sql`select from pg_index where indrelid = 'a'::regclass`).toHaveLength(1)
  })

  test('a valid index that was there before is not taken for the one that was being built', async ({ up, sql }) => {
    await sql.unsafe('create table a (id int, x int); create index a_x on a (id)')
    const text = `${alone}select 1;\ncreate index concurrently a_x on a (x)`
    expect((await up({ '1_a.sql': text })).code).toBe(20)
    await sql.unsafe(`update pgbosun.migrations set progress = progress || '{"running": true, "indexes": ["a_x"]}'`)
    expect((await up()).json.error).toMatchObject({ sqlstate: '42P07' })
  })

  test('a DO without COMMIT is one transaction with the record of it, one with COMMIT is noted before', async ({
    up,
    sql,
  }) => {
    const look = `insert into seen select progress ->> 'running' from pgbosun.migrations`
    good(
      await up({
        '1_a.sql': `${alone}create table seen (running text);\ndo $$ begin ${look}; end $$;\ndo $$ begin ${look}; commit; end $$`,
      }),
    )
    expect(await sql`select running from seen`).toEqual([{ running: 'false' }, { running: 'true' }])
  })

  test('a CALL that was running is run again, and the log says so', async ({ up, sql }) => {
    await sql.unsafe(
      `create table calls (n int); create procedure p() language plpgsql as $$ begin insert into calls values (1); commit; end $$`,
    )
    const failed = await up({ '1_a.sql': `${alone}select 1;\ncall p(1)` })
    expect(failed.code).toBe(20)
    await interrupt(sql, 1)
    const run = await up({ '1_a.sql': `${alone}select 1;\ncall p()` })
    good(run)
    expect(run.stderr).toContain('1_a: running its interrupted CALL P again')
    expect(await sql`select count(*)::int as n from calls`).toEqual([{ n: 1 }])
  })
})

describe('the rest of an interrupted file', () => {
  test('may be changed, and is no edit afterwards', async ({ up, sql }) => {
    for (const format of ['pgbosun', 'sqlx', 'flyway'] as const) {
      const file = format === 'flyway' ? 'V1__a.sql' : '1_a.sql'
      const head = { pgbosun: alone, sqlx: '-- no-transaction\n', flyway: '' }[format]
      const text = (last: string) =>
        `${head}create table ${format}_a (id int);\ncreate index concurrently on ${format}_a (id);\n${last}`
      const options = { format, env: { PGBOSUN_MIGRATE_DIR: `migrations/${format}` } }
      expect((await up({ [`${format}/${file}`]: text('select 1/0') }, options)).code).toBe(20)
      good(await up({ [`${format}/${file}`]: text('select 1') }, options))
      const again = await up({}, options)
      expect([again.code, again.json.results, again.json.warnings], again.stderr).toEqual([0, [], []])
    }
    expect(await sql`select success from flyway_schema_history`).toEqual([{ success: true }])
    expect(await sql`select success from _sqlx_migrations`).toEqual([{ success: true }])
  })

  test('of a repeatable one is run where it stopped, and from its beginning when it was changed', async ({
    up,
    sql,
  }) => {
    await sql`create table ran (what text)`
    const text = (last: string) =>
      `${alone}insert into ran values ('first');\n${last};\ninsert into ran values ('last')`
    const failed = await up({ 'repeatable/r.sql': text("select 1 / (select count(*) from ran where what = 'go')") })
    expect(failed.json.error).toMatchObject({ sqlstate: '22012', line: 3, column: 1 })
    await sql`insert into ran values ('go')`
    good(await up())
    expect(await sql`select what from ran`).toEqual(['first', 'go', 'last'].map((what) => ({ what })))

    expect((await up({ 'repeatable/r.sql': text('select 1/0') })).code).toBe(20)
    good(await up({ 'repeatable/r.sql': text('select 2') }))
    expect(await sql`select what, count(*)::int as n from ran group by 1 order by 1`).toEqual([
      { what: 'first', n: 3 },
      { what: 'go', n: 1 },
      { what: 'last', n: 2 },
    ])
    expect((await up()).json.results).toEqual([])
  })
})

describe('the place of a failure', () => {
  test('in the first repeatable file, after versioned ones', async ({ up, dir }) => {
    const { json } = await up({ '1_a.sql': 'create table a ()', 'repeatable/v.sql': 'select 1;\n\n  selekt 2;' })
    expect(json.error).toMatchObject({
      sqlstate: '42601',
      file: `${dir}/migrations/repeatable/v.sql`,
      line: 3,
      column: 3,
    })
  })

  test('after a file that was tried again', async ({ up, sql, database }) => {
    await sql`create table t (id int)`
    const holder = openOne(database)
    await holder.unsafe('begin; lock table t')
    const waiting = () => sql`select from pg_locks where relation = 't'::regclass and not granted`
    const ended = expect
      .poll(waiting)
      .not.toEqual([])
      .then(() => sleep(600)) // longer than its lock timeout, from when it waits
      .then(() => holder.end())
    const { json, stderr } = await up(
      {
        '1_a.sql': `${alone}select 1;\nalter table t add column a int;\nselect 2`,
        '2_b.sql': 'select 1;\nselect 2;\n\n select 1/0;',
      },
      { env: { PGBOSUN_MIGRATE_LOCK_TIMEOUT: '200ms' } },
    )
    await ended
    expect(stderr).toContain('1_a could not get a lock in time')
    expect(json.error).toMatchObject({ sqlstate: '22012', line: 4, column: 2 })
  })

  test.for([
    ['dbmate', (n: number, text: string) => [`${n}_m.sql`, `-- migrate:up\n${text}\n-- migrate:down\n`], 1],
    ['golang-migrate', (n: number, text: string) => [`${n}_m.up.sql`, text], 0],
  ] as const)('in the 75th of 100: %s', async ([format, file, linesBefore], { up, sql }) => {
    const numbers = Array.from({ length: 100 }, (_, i) => 1001 + i)
    const text = (n: number) => `create table t${n} ();\n-- ü`
    const files = (bad: string) =>
      Object.fromEntries(numbers.map((n) => file(n, n === 1075 ? `select 'ü';\n${bad}` : text(n))))
    for (const { bad, sqlstate, column } of [
      { bad: " select 'ü', from x;", sqlstate: '42601', column: 14 },
      { bad: ' select 1/0;', sqlstate: '22012', column: 2 },
    ]) {
      const run = await up(files(bad), { format })
      expect(run.json.error).toMatchObject({ kind: 'migration', sqlstate, line: linesBefore + 2, column })
      expect(run.json.error!.message).toContain('1075_m failed')
      expect(await sql`select count(*)::int as n from pg_class where relname ~ '^t1[0-9]{3}$'`).toEqual([{ n: 74 }])
    }
    expect(results(await up(files(text(1075)), { format }))).toHaveLength(26)
  })

  test('in the rows of a COPY, also of a script that undoes', async ({ up, dir }) => {
    const copy = 'select 1;\ncopy a from stdin;\n1\n2\nthree\n\\.\nselect 2;'
    const failed = await up({ '1_a.sql': 'create table a (id int)', '2_b.sql': copy, '2_b.down.sql': copy })
    expect(failed.json.error).toMatchObject({ sqlstate: '22P02', file: `${dir}/migrations/2_b.sql`, line: 5 })
    good(await up({ '2_b.sql': 'select 1' }))
    const undone = await up({}, down)
    expect(undone.json.error).toMatchObject({ sqlstate: '22P02', file: `${dir}/migrations/2_b.down.sql`, line: 5 })
  })

  test('at the commit after the rows of a COPY: the file failed, and not its record', async ({ up, dir }) => {
    const text =
      'create table a (id int primary key, b int references a deferrable initially deferred);\ncopy a from stdin;\n1\t2\n\\.\n'
    const { code, json } = await up({ '1_a.sql': text })
    expect(code).toBe(20)
    expect(json.error).toMatchObject({ kind: 'migration', sqlstate: '23503', file: `${dir}/migrations/1_a.sql` })
    expect(json.error!.message).toContain('1_a failed')
    good(
      await up({
        '1_a.sql': 'create table a (id int)',
        '2_b.sql': 'select 1',
        '2_b.down.sql': text.replaceAll(/\ba\b/g, 'c'),
      }),
    )
    const undone = await up({}, down)
    expect(undone.json.error).toMatchObject({ kind: 'migration', sqlstate: '23503' })
  })

  test('in a script outside a transaction that undoes', async ({ up, dir }) => {
    const undo = `${alone}insert into a values (1);\nvacuum a;\nselect 1/0;`
    good(await up({ '1_a.sql': 'create table a (id int)', '2_b.sql': 'select 1', '2_b.down.sql': undo }))
    const { json } = await up({}, down)
    expect(json.error).toMatchObject({ sqlstate: '22012', file: `${dir}/migrations/2_b.down.sql`, line: 4, column: 1 })
    expect(json.error!.hint).toContain('its first 2 statements (of 3) took effect and will not run again')
  })
})

describe('undoing outside transactions', () => {
  const goose = (n: number, undo: string) => ({
    [`${n}_m.sql`]: `-- +goose NO TRANSACTION\n-- +goose Up\ncreate table t${n} (id int);\n-- +goose Down\n${undo}\n`,
  })

  test('several that its tool applied', async ({ up, sql }) => {
    const options = { format: 'goose' as const }
    const undo = (n: number) => `insert into log values (${n});\nvacuum;\ndrop table t${n};`
    await sql.unsafe(`create table log (n int); create table t1 (id int); create table t2 (id int); create table t3 (id int);
      create table goose_db_version (id integer primary key generated by default as identity,
        version_id bigint not null, is_applied boolean not null, tstamp timestamp not null default now());
      insert into goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true), (3, true)`)
    const files = { ...goose(1, undo(1)), ...goose(2, undo(2)), ...goose(3, undo(3)) }
    expect((await up(files, options)).json.results).toEqual([])
    const run = await up({}, { ...options, args: ['migrate', 'down', '--to', '0'] })
    expect(results(run), run.stderr).toEqual(['3_m applied', '2_m applied', '1_m applied'])
    expect(await sql`select version_id::int as v from goose_db_version`).toEqual([{ v: 0 }])
    expect(await sql`select n from log order by n`).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }])
    expect(results(await up({}, options))).toEqual(['1_m applied', '2_m applied', '3_m applied'])
  })

  test('continues where it stopped, unless what already ran was changed', async ({ up, sql }) => {
    const undo = (first: string, second: string) => ({ '1_a.down.sql': `${alone}${first};\n${second};\ndrop table a` })
    const insert = 'insert into a values (1)'
    good(await up({ '1_a.sql': 'create table a (id int)', ...undo(insert, 'select 1/0') }))
    expect((await up({}, down)).code).toBe(20)
    expect((await up()).code).toBe(21)
    const changed = await up(undo('insert into a values (2)', 'select 1'), down)
    expect([changed.code, changed.json.error!.message]).toEqual([
      21,
      expect.stringContaining('was changed above the point'),
    ])
    expect(await sql`select id from a`).toEqual([{ id: 1 }])
    good(await up(undo(insert, 'create table kept as select * from a'), down))
    expect(await sql`select id from kept`).toEqual([{ id: 1 }])
    expect(await sql`select from pgbosun.migrations`).toHaveLength(0)
    expect(results(await up())).toEqual(['1_a applied'])
  })

  test('of what its tool applied, and nothing took effect: it is still what the tool applied', async ({ up, sql }) => {
    const options = { format: 'goose' as const }
    await sql.unsafe(`create table t1 (id int); create table goose_db_version (id integer primary key generated by default as identity,
        version_id bigint not null, is_applied boolean not null, tstamp timestamp not null default now());
      insert into goose_db_version (version_id, is_applied) values (0, true), (1, true)`)
    expect((await up(goose(1, 'select 1/0;'), { ...options, ...down })).code).toBe(20)
    const status = await up({}, { ...options, args: ['migrate', 'status'] })
    expect(status.json).toMatchObject({ applied: ['1_m'], problems: [] })
    expect((await up({}, options)).json).toMatchObject({ results: [], warnings: [] })
    good(await up(goose(1, 'drop table t1;'), { ...options, ...down }))
  })
})

describe('who may do what', () => {
  /** A login that is no superuser, a member of the role that owns the database and its schema. */
  async function makeLogin(sql: Sql, database: string) {
    const [login, owner] = [uniqueName('login'), uniqueName('owner')]
    await sql.unsafe(`create role ${owner}; create role ${login} login noinherit password 'geheim' in role ${owner};
      alter database ${database} owner to ${owner}; alter schema public owner to ${owner}; revoke all on schema public from public;
      grant all on schema public to ${owner}`)
    const url = urlOf(database, { name: login, password: 'geheim' })
    return { login, owner, env: { DATABASE_URL: url, PGBOSUN_MIGRATE_ROLE: owner } }
  }

  const section = (format: FormatName, text: string, option = '', undo = 'select 1;') =>
    format === 'dbmate' ? `-- migrate:up${option}\n${text}\n-- migrate:down${option}\n${undo}` : text

  test.for([
    'pgbosun',
    'dbmate',
  ] as const)('a login that is only a member of the owner migrates and undoes: %s', async (format, {
    up,
    sql,
    database,
  }) => {
    const { login, owner, env } = await makeLogin(sql, database)
    const split = `${format === 'pgbosun' ? alone : ''}create table b (id int);\ncreate index concurrently b_id on b (id);\nvacuum b;`
    const run = await up(
      {
        '1_a.sql': section(format, 'create table a (id int)'),
        '2_b.sql': section(format, split, ' transaction:false', 'drop index concurrently b_id;\ndrop table b;'),
        '3_c.sql': section(format, 'insert into a values (1)', '', 'delete from a;'),
        ...(format === 'pgbosun' && {
          '2_b.down.sql': `${alone}drop index concurrently b_id;\ndrop table b`,
          '3_c.down.sql': 'delete from a',
        }),
      },
      { format, env },
    )
    good(run)
    expect(
      await sql`select distinct pg_get_userbyid(relowner) as owner from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'i')`,
    ).toEqual([{ owner }])
    const table = format === 'pgbosun' ? 'migrations' : 'migration_details'
    expect(await sql.unsafe(`select distinct applied_by from pgbosun.${table}`)).toEqual([{ applied_by: login }])
    const undone = await up({}, { format, env, args: ['migrate', 'down', '--steps', '2'] })
    good(undone)
    expect(await sql`select to_regclass('b') as there`).toEqual([{ there: null }])
    good(await up({}, { format, env }))
    expect((await up({}, { format, env })).json.results).toEqual([])
  })

  test('the role of the migrations needs nothing in our schema, and cannot write there', async ({
    up,
    sql,
    database,
  }) => {
    const role = uniqueName('worker')
    await sql.unsafe(
      `create role ${role}; grant all on schema public to ${role}; grant create on database ${database} to ${role}`,
    )
    const env = { PGBOSUN_MIGRATE_ROLE: role }
    good(await up({ '1_a.sql': 'create table a ()', '2_b.sql': `${alone}create table b ();\nvacuum b` }, { env }))
    for (const text of ['delete from pgbosun.migrations', `${alone}delete from pgbosun.migrations`]) {
      const refused = await up({ '3_c.sql': text }, { env })
      expect(refused.json.error).toMatchObject({ kind: 'migration', sqlstate: '42501' })
    }
    expect(await sql`select name from pgbosun.migrations order by seq`).toEqual([{ name: '1_a' }, { name: '2_b' }])
  })

  test('a history that belongs to somebody else is named, and nothing is run', async ({ up, sql, database }) => {
    const { env } = await makeLogin(sql, database)
    await sql.unsafe(`create table public.schema_migrations (version varchar primary key)`)
    const refused = await up({ '1_a.sql': section('dbmate', 'create table a ()') }, { format: 'dbmate', env })
    expect([refused.code, refused.json.error!.message]).toEqual([12, expect.stringContaining('schema_migrations')])

    const [owner] = await sql<
      { name: string }[]
    >`select pg_get_userbyid(datdba) as name from pg_database where datname = ${database}`
    await sql.unsafe(`grant select on public.schema_migrations to ${owner!.name}`)
    const readOnly = await up({}, { format: 'dbmate', env })
    expect([readOnly.code, readOnly.json.error]).toEqual([
      21,
      expect.objectContaining({
        kind: 'history',
        sqlstate: '42501',
        message: expect.stringContaining('public.schema_migrations'),
      }),
    ])
    expect(await sql`select to_regclass('public.a') as there`).toEqual([{ there: null }])
    await sql.unsafe(`grant insert, delete on public.schema_migrations to ${owner!.name}`)
    good(await up({}, { format: 'dbmate', env }))
  })
})
