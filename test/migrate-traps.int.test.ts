import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { FormatName } from '../src/config/formats.ts'
import { openFormat } from '../src/formats/open.ts'
import { until } from './support/chaos.ts'
import { runJson, start } from './support/cli.ts'
import { formats, type Part } from './support/formats.ts'
import { test as base, open, otherStrings, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Env = Record<string, string>
type Up = (
  format: FormatName,
  files?: Record<string, string>,
  options?: { env?: Env; args?: string[] },
) => ReturnType<typeof runJson>

/** `up` writes files below `migrations` and runs `migrate`. */
const test = base.extend<{ up: Up }>({
  up: async ({ dir, database }, use) =>
    use(async (format, files = {}, { env = {}, args = ['migrate'] } = {}) => {
      await writeFiles(dir, below('migrations', files))
      return runJson(args, {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format, ...env },
      })
    }),
})

const numbers = [1, 2, 3]

const below = (folder: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`${folder}/${path}`, text]))

const results = ({ json }: Awaited<ReturnType<Up>>) =>
  (json.results as { name: string; status: string }[]).map(({ name, status }) => `${name} ${status}`)
const good = ({ code, stderr }: Awaited<ReturnType<Up>>) => expect(code, stderr).toBe(0)
const tables = async (sql: Sql) =>
  (
    await sql<{ name: string }[]>`select relname as name from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relname !~ 'migrations' order by 1`
  ).map(({ name }) => name)

/** Up files of golang-migrate. */
const golang = (...texts: string[]) => Object.fromEntries(texts.map((text, i) => [`${i + 1}_m${i + 1}.up.sql`, text]))
const version = (sql: Sql) => sql`select version::int, dirty from schema_migrations`

describe('trap 1: one message or statement by statement', () => {
  test.for([
    { format: 'sqlx', file: '1_a.sql', head: '-- no-transaction\n' },
    { format: 'dbmate', file: '1_a.sql', head: '-- migrate:up transaction:false\n', tail: '\n-- migrate:down\n' },
    { format: 'goose', file: '1_a.sql', head: '-- +goose NO TRANSACTION\n-- +goose Up\n' },
    { format: 'golang-migrate', file: '1_a.up.sql', head: '' },
    { format: 'node-pg-migrate', file: '1_a.sql', head: '-- Up Migration\n' },
    { format: 'flyway', file: 'V1__a.sql', head: '' },
  ] as const)('an index is built concurrently beside other statements, which its tool cannot: $format', async ({
    format,
    file,
    head,
    ...more
  }, { up, sql }) => {
    const tail = 'tail' in more ? more.tail : ''
    const text = `create table a (id int);\ncreate index concurrently a_id on a (id);\ninsert into a values (1);\n`
    good(await up(format, { [file]: `${head}${text}${tail}` }))
    expect(await sql`select indisvalid from pg_index where indexrelid = 'a_id'::regclass`).toEqual([
      { indisvalid: true },
    ])
    expect(await sql`select id from a`).toEqual([{ id: 1 }])
  })

  test('a text that is sent whole is one transaction', async ({ up, sql }) => {
    const { code } = await up('golang-migrate', golang('create table a ();\ncreate table b ();\nselect 1/0;'))
    expect(code).toBe(20)
    expect(await tables(sql)).toEqual([])
    expect(await version(sql)).toEqual([])
  })
})

describe('trap 2: files with transactions of their own', () => {
  test('BEGIN and COMMIT around everything become our transaction, with the record in it', async ({ up, sql }) => {
    const text = (last: string) => `-- why\nBEGIN;\n\ncreate table a (id int);\n${last};\nCOMMIT;\n`
    const failed = await up('golang-migrate', golang('create table before ()', text("select 'ü', 1/0")))
    expect(failed.json.error).toMatchObject({ kind: 'migration', sqlstate: '22012', line: 5, column: 1 })
    expect(await version(sql)).toEqual([{ version: 1, dirty: false }])
    expect(await tables(sql)).toEqual(['before'])

    good(await up('golang-migrate', golang('create table before ()', text('insert into a values (1)'))))
    expect(await version(sql)).toEqual([{ version: 2, dirty: false }])
    expect(
      await sql`select (select xmin from schema_migrations) = (select xmin from pg_class where relname = 'a') as together`,
    ).toEqual([{ together: true }])
  })

  test('one that says more than BEGIN is run as it is: what fails leaves nothing, and the version is taken back', async ({
    up,
    sql,
  }) => {
    const text = (last: string) =>
      `begin isolation level serializable;\ncreate table a (level text);\n${last};\ncommit;\ncreate table b ();`
    const failed = await up('golang-migrate', golang('select 1', text('insert into a values (1/0)')))
    expect(failed.json.error).toMatchObject({ kind: 'migration', sqlstate: '22012', line: 3, column: 1 })
    expect(await version(sql)).toEqual([{ version: 1, dirty: false }])
    expect(await tables(sql)).toEqual([])
    const level = "insert into a select current_setting('transaction_isolation')"
    good(await up('golang-migrate', golang('select 1', text(level))))
    expect(await sql`select level from a`).toEqual([{ level: 'serializable' }])
    expect(await version(sql)).toEqual([{ version: 2, dirty: false }])
  })

  test('of two transactions the first stays when the second fails, the version is dirty, and the next run continues there', async ({
    up,
    sql,
  }) => {
    const text = (last: string) =>
      `begin; create table a (id int); insert into a values (1); commit;\nbegin; insert into a values (2);\n${last}; commit;`
    const failed = await up('golang-migrate', golang(text('select 1/0'), 'create table c ()'))
    expect(failed.json.error).toMatchObject({ sqlstate: '22012', line: 3, column: 1 })
    expect(failed.json.error!.hint).toContain('its first statement (of 2) took effect and will not run again')
    expect(await version(sql)).toEqual([{ version: 1, dirty: true }])
    expect(await sql`select id from a`).toEqual([{ id: 1 }])

    good(await up('golang-migrate', golang(text('select 1'))))
    expect(await sql`select id from a order by id`).toEqual([{ id: 1 }, { id: 2 }])
    expect(await version(sql)).toEqual([{ version: 2, dirty: false }])
    // The rest of the file is not what it was when it began: that is no edit.
    expect((await up('golang-migrate')).json).toMatchObject({ ok: true, results: [], warnings: [] })
  })

  test.for([
    ['a transaction that is left open', 'create table a ();\nbegin;\ncreate table b ();', 2],
    ['COMMIT AND CHAIN', 'begin;\ninsert into a values (1);\ncommit and chain;\nselect 1;\ncommit;\nselect 1', 3],
    [
      'rows for COPY in a transaction that cannot be ours',
      'begin isolation level serializable;\ncopy a from stdin;\n1\n\\.\ncommit;\nselect 1',
      2,
    ],
  ] as const)('%s is refused before anything is changed', async ([, text, line], { up, sql }) => {
    const { code, json } = await up('golang-migrate', golang('create table a (id int)', text))
    expect([code, json.error]).toEqual([22, expect.objectContaining({ kind: 'lint', line, hint: expect.any(String) })])
    expect(await tables(sql)).toEqual([])
  })

  test('our own format refuses them, as it always did', async ({ up, sql }) => {
    const { code, json } = await up('pgbosun', {
      '1_a.sql': 'create table a ();',
      '2_b.sql': 'select 1;\nbegin; commit',
    })
    expect([code, json.error!.line]).toEqual([22, 2])
    expect(await tables(sql)).toEqual([])
  })

  test.for([
    ['pgbosun', '001_a.sql', (body: string) => `-- why\nset transaction isolation level serializable;\n${body}`],
    ['pgbosun', '001_a.sql', (body: string) => `-- why\nset transaction\n isolation level SERIALIZABLE;${body}`],
    ['golang-migrate', '1_a.up.sql', (body: string) => `-- why\nbegin isolation level serializable;\n${body}commit;`],
    [
      'golang-migrate',
      '1_a.up.sql',
      (body: string) => `-- why\nbegin;set transaction isolation level serializable;\n${body}end`,
    ],
    [
      'dbmate',
      '1_a.sql',
      (body: string) => `-- migrate:up\nset transaction isolation level serializable;\n${body}-- migrate:down\n`,
    ],
  ] as const)('an isolation level holds for our transaction: %s, %s', async ([format, file, text], { up, sql }) => {
    const body = (last: string) =>
      `create table a (level text);\ninsert into a select current_setting('transaction_isolation');\n${last};\n`
    const failed = await up(format, { [file]: text(body("select 'ü', 1/0")) })
    expect(failed.json.error).toMatchObject({ kind: 'migration', sqlstate: '22012', line: 5 })
    expect(await tables(sql)).toEqual([])
    for (const last of ['select 1', 'copy a from stdin;\nrow\n\\.\nselect 1']) {
      await sql`drop table if exists a`
      await sql`drop schema if exists pgbosun cascade`
      await sql`drop table if exists schema_migrations`
      good(await up(format, { [file]: text(body(last)) }))
      expect(await sql`select level from a where level <> 'row'`).toEqual([{ level: 'serializable' }])
    }
  })

  test('rows for COPY in a transaction that is ours are loaded in it', async ({ up, sql }) => {
    const text = 'begin;\ncopy a from stdin;\n1\n2\n\\.\ninsert into a values (3);\ncommit;'
    good(await up('golang-migrate', golang('create table a (id int)', text)))
    expect(await sql`select count(*)::int as n from a`).toEqual([{ n: 3 }])
  })

  test('an interrupted file that was made one transaction starts again from the beginning', async ({ up, sql }) => {
    good(await up('golang-migrate', golang('create table a (id int)')))
    // As a run leaves it that was killed in the first statement.
    await sql.unsafe(`truncate schema_migrations; insert into schema_migrations values (2, true);
      insert into pgbosun.migration_details (seq, previous, history, id, name, sha256, status, tool_version, progress)
      values (2, 1, 'golang-migrate public.schema_migrations', '2', '2_m2', '', 'started', '0', '{"direction": "up", "done": 0, "running": true, "sha256": ""}')`)
    const second = 'insert into a values (2)'
    const failed = await up(
      'golang-migrate',
      golang('create table a (id int)', `${second};\nselect 1/0`, 'create table c ()'),
    )
    expect(failed.json.error).toMatchObject({ kind: 'migration', line: 2, column: 1 })
    expect(await tables(sql)).toEqual(['a'])
    expect(results(await up('golang-migrate', golang('create table a (id int)', second)))).toEqual([
      '2_m2 applied',
      '3_m3 applied',
    ])
    expect(await sql`select id from a`).toEqual([{ id: 2 }])
    expect(await version(sql)).toEqual([{ version: 3, dirty: false }])
    expect(await sql`select status, progress from pgbosun.migration_details where id = '2'`).toEqual([
      { status: 'applied', progress: null },
    ])
  })

  test('an interrupted file that is only recorded is not run', async ({ up, sql }) => {
    await up('pgbosun', { '1_a.sql': '-- pgbosun: no-transaction\ncreate table a ();\nselect 1/0' })
    const { code } = await up('pgbosun', {}, { args: ['migrate', '--fake'] })
    expect(code).toBe(0)
    expect(await sql`select name, status, progress from pgbosun.migrations`).toEqual([
      { name: '1_a', status: 'faked', progress: null },
    ])
  })
})

describe('trap 3: what a file leaves in the session', () => {
  /** Every one of them would hurt the next file, or what we record, if it stayed. */
  const leaks = (role: string) => [
    "select pg_catalog.set_config('search_path', '', false);",
    `set role ${role};`,
    `set session authorization ${role};`,
    "set search_path = evil, pg_catalog; select evil.t('x');",
    'select pg_advisory_unlock_all();',
    `${otherStrings()};`,
    "set client_encoding = 'LATIN1';",
    "set names 'LATIN1';",
    'create temp table seen (wrong int); create temp table migrations (wrong int);',
    'create temp table schema_migrations (wrong int); create temp table pg_class (wrong int);',
    "set lock_timeout = 1; set statement_timeout = '1h'; set default_transaction_read_only = on;",
    'set session_replication_role = replica;',
    "set default_transaction_isolation = 'serializable'; set datestyle = 'german'; set timezone = 'Asia/Tokyo';",
    "set application_name = 'somebody else'; set synchronous_commit = off; set row_security = off;",
    'reset all; reset session authorization;',
    'prepare p as select 1; declare c cursor with hold for select 1; listen l;',
    "do $$ begin perform set_config('search_path', 'evil', false); end $$;",
  ]

  const check = `insert into seen select current_user, session_user, current_setting('search_path'), 'C:\\temp', 'ü',
    current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('session_replication_role'),
    to_char(date '2026-02-01', 'YYYY'), current_setting('default_transaction_isolation'), current_setting('TimeZone') = 'Asia/Tokyo',
    current_setting('application_name') like 'pgbosun %',
    (select count(*) from pg_locks where locktype = 'advisory' and classid = 1885823607 and pid = pg_backend_pid())`

  /** Things that stand before those of pg_catalog where the search_path says so. */
  const evil = `create schema evil;
    create function evil.t(text) returns text language sql as 'select $1';
    create function evil.clock_timestamp() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
    create function evil.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$;
    create function evil.never(int, int) returns boolean language sql as 'select false';
    create operator evil.= (leftarg = int, rightarg = int, procedure = evil.never);
    create table evil.seen (wrong int)`

  const seen = `create table seen (me text, session text, path text, slash text, umlaut text, lock_timeout text, statement_timeout text,
    replication text, year text, isolation text, tokyo boolean, ours boolean, marks int)`

  const ways = [
    { format: 'pgbosun', head: '', tail: '', alone: 'in transactions' },
    { format: 'pgbosun', head: '-- pgbosun: no-transaction\n', tail: '', alone: 'outside transactions' },
    { format: 'dbmate', head: '-- migrate:up\n', tail: '\n-- migrate:down\n', alone: 'in transactions' },
    {
      format: 'dbmate',
      head: '-- migrate:up transaction:false\n',
      tail: '\n-- migrate:down\n',
      alone: 'outside transactions',
    },
  ] as const

  test.for(ways)('does not reach the next one, nor what is recorded: $format, $alone', async ({ format, head, tail }, {
    up,
    sql,
    database,
  }) => {
    const role = uniqueName('leak')
    await sql.unsafe(`create role ${role}; grant all on database ${database} to ${role}`)
    const texts = [`${seen}; ${evil}`, ...leaks(role).flatMap((leak) => [leak, check]), 'discard all;', check]
    const files = Object.fromEntries(
      texts.map((text, i) => [`${String(i + 1).padStart(3, '0')}_m.sql`, `${head}${text}${tail}`]),
    )
    const run = await up(format, files)
    good(run)
    expect(results(run)).toHaveLength(texts.length)
    const rows = await sql`select s.*, count(*)::int as n from public.seen s
      group by me, session, path, slash, umlaut, lock_timeout, statement_timeout, replication, year, isolation, tokyo, ours, marks`
    expect(rows).toEqual([
      {
        me: 'postgres',
        session: 'postgres',
        path: '"$user", public',
        slash: 'C:\\temp',
        umlaut: 'ü',
        lock_timeout: '5s',
        statement_timeout: '0',
        replication: 'origin',
        year: '2026',
        isolation: 'read committed',
        tokyo: false,
        ours: true,
        marks: expect.any(Number),
        n: leaks(role).length + 1,
      },
    ])
    expect(rows[0]!.marks).toBeGreaterThan(0)
    const table = format === 'pgbosun' ? 'migrations' : 'migration_details'
    expect(
      await sql.unsafe(`select count(*)::int as n, bool_and(applied_at > now() - interval '10 minutes') as recent,
        bool_and(applied_by = 'postgres') as ours from pgbosun.${table} where status = 'applied' and progress is null`),
    ).toEqual([{ n: texts.length, recent: true, ours: true }])
    if (format === 'dbmate')
      expect(await sql`select count(*)::int as n from public.schema_migrations`).toEqual([{ n: texts.length }])
    expect((await up(format)).json.results).toEqual([])
  })

  test('what a file outside transactions sets holds for the rest of it', async ({ up, sql }) => {
    const role = uniqueName('within')
    await sql.unsafe(`create role ${role}; grant create on schema public to ${role}; create schema x`)
    good(
      await up('pgbosun', {
        '1_a.sql': `-- pgbosun: no-transaction\nset search_path = x, public;\ncreate table here ();\nset role ${role};\ncreate table public.theirs ();
          vacuum;\nreset role;\ncreate table again ();\nset client_encoding = 'LATIN1';\n${otherStrings()};\ncreate table texts as select 'ü\\' as t;`,
      }),
    )
    expect(
      await sql`select c.oid::regclass::text as name, pg_get_userbyid(relowner) as owner from pg_class c
        where relname in ('here', 'theirs', 'again', 'texts') order by 1`,
    ).toEqual([
      { name: 'theirs', owner: role },
      { name: 'x.again', owner: 'postgres' },
      { name: 'x.here', owner: 'postgres' },
      { name: 'x.texts', owner: 'postgres' },
    ])
    expect(await sql`select t from x.texts`).toEqual([{ t: 'ü\\' }])
  })

  test('DISCARD ALL does not make the login own what comes after it', async ({ up, sql, database }) => {
    const role = uniqueName('owner')
    await sql.unsafe(
      `create role ${role}; grant all on schema public to ${role}; grant all on database ${database} to ${role}`,
    )
    good(
      await up(
        'pgbosun',
        { '1_a.sql': 'create table a ();\ndiscard all;\ncreate table b ();' },
        { env: { PGBOSUN_MIGRATE_ROLE: role } },
      ),
    )
    expect(await sql`select tablename, tableowner from pg_tables where schemaname = 'public' order by 1`).toEqual([
      { tablename: 'a', tableowner: role },
      { tablename: 'b', tableowner: role },
    ])
  })

  test.for([
    'pgbosun',
    'dbmate',
    'sqlx',
  ] as const)('a file that disables foreign keys does not let what follows a failure run: %s', async (format, {
    up,
    sql,
  }) => {
    const section = (text: string) => (format === 'dbmate' ? `-- migrate:up\n${text}\n-- migrate:down\n` : text)
    const { code } = await up(format, {
      '1_a.sql': section('set session_replication_role = replica; create table a ()'),
      '2_b.sql': section('set session_replication_role = replica; create table b (); select 1/0'),
      '3_c.sql': section('create table c ()'),
    })
    expect(code).toBe(20)
    expect(await tables(sql)).toEqual(['a'])
  })

  test('a login for which foreign keys are switched off is refused', async ({ up, sql, database }) => {
    await sql.unsafe(`alter database ${database} set session_replication_role = replica`)
    const { code, json } = await up('pgbosun', { '1_a.sql': 'select 1/0', '2_b.sql': 'create table b ()' })
    expect([code, json.error]).toEqual([
      12,
      expect.objectContaining({ message: expect.stringContaining('session_replication_role') }),
    ])
    expect(await tables(sql)).toEqual([])
  })
})

describe('trap 5: the identity of a version is that of the tool', () => {
  test('numbers beyond 2^53 are told apart, and are in order', async ({ up, sql }) => {
    const big = ['9007199254740992', '9007199254740993', '9223372036854775807']
    for (const format of ['sqlx', 'goose', 'golang-migrate'] as const) {
      const name = (digits: string) => (format === 'golang-migrate' ? `${digits}_m.up.sql` : `${digits}_m.sql`)
      const text = (i: number) => `create table ${format.slice(0, 3)}${i} ();`
      const files = Object.fromEntries(
        big.map((digits, i) => [
          `${format}/${name(digits)}`,
          format === 'goose' ? `-- +goose Up\n${text(i)}` : text(i),
        ]),
      )
      const env = { PGBOSUN_MIGRATE_DIR: `migrations/${format}` }
      const run = await up(format, files, { env })
      good(run)
      expect(results(run)).toEqual(big.map((digits) => `${digits}_m applied`))
      expect(results(await up(format, {}, { env }))).toEqual([])
    }
    expect(await sql`select version::text from _sqlx_migrations order by version`).toEqual(
      big.map((version) => ({ version })),
    )
  })

  test('of dbmate it is a string: 1 and 0001 are two, and 10 comes before 2', async ({ up, sql }) => {
    const section = (n: number) => `-- migrate:up\ncreate table t${n} ();\n-- migrate:down\n`
    const run = await up('dbmate', {
      '1_a.sql': section(1),
      '0001_b.sql': section(2),
      '10_c.sql': section(3),
      '2_d.sql': section(4),
    })
    expect(results(run)).toEqual(['0001_b applied', '10_c applied', '1_a applied', '2_d applied'])
    expect(await sql`select version from schema_migrations order by 1`).toHaveLength(4)
  })

  test('of Flyway it is a list of numbers: 1.10 comes after 1.9, and 1.0 is 1', async ({ up, sql }) => {
    const run = await up('flyway', { 'V1.10__c.sql': 'select 3', 'V1.9__b.sql': 'select 2', 'V1.0__a.sql': 'select 1' })
    expect(results(run)).toEqual(['V1.0__a applied', 'V1.9__b applied', 'V1.10__c applied'])
    expect(await sql`select version from flyway_schema_history order by installed_rank`).toEqual([
      { version: '1.0' },
      { version: '1.9' },
      { version: '1.10' },
    ])
  })
})

const parts: Part[] = [
  { up: "create table a (id int, t text);\n-- ü\ninsert into a values (1, 'x');", down: 'drop table a;' },
  { up: 'create table b (id int);', down: 'drop table b;' },
]
const both = (format: (typeof formats)[number]) => [1, 2].map((n) => `${format.title(n)} applied`)

describe('trap 6: line ends', () => {
  for (const format of formats.filter(({ name }) => name !== 'graphile-migrate')) {
    test(`a checkout with CRLF applies, and with LF is the same: ${format.name}`, async ({ up, sql }) => {
      const files = format.files(parts)
      const windows = Object.fromEntries(
        Object.entries(files).map(([path, text]) => [path, text.replaceAll('\n', '\r\n')]),
      )
      expect(results(await up(format.name, windows))).toEqual(both(format))
      expect(await sql`select id, t from a`).toEqual([{ id: 1, t: 'x' }])
      const { code, json, stderr } = await up(format.name, files)
      expect([code, json.results], stderr).toEqual([0, []])
    })
  }

  test('graphile-migrate refuses CRLF, and so do we', async ({ up, sql }) => {
    const format = formats.find(({ name }) => name === 'graphile-migrate')!
    const files = Object.entries(format.files(parts)).map(([path, text]) => [path, text.replaceAll('\n', '\r\n')])
    const { code, json } = await up('graphile-migrate', Object.fromEntries(files))
    expect([code, json.error!.message]).toEqual([2, expect.stringContaining('CRLF')])
    expect(await tables(sql)).toEqual([])
  })
})

describe('trap 7: folders as Kubernetes mounts a ConfigMap', () => {
  for (const format of formats) {
    test(`links are followed, and names with a dot are not files: ${format.name}`, async ({ up, dir }) => {
      const files = format.files(parts)
      const folder = join(dir, 'migrations', format.name === 'graphile-migrate' ? 'committed' : '.')
      await writeFiles(
        join(folder, '..2026_11_21_00_00_00.123'),
        Object.fromEntries(Object.entries(files).map(([path, text]) => [path.replace(/^committed\//, ''), text])),
      )
      await symlink('..2026_11_21_00_00_00.123', join(folder, '..data'))
      for (const path of Object.keys(files)) {
        const name = path.replace(/^committed\//, '')
        await symlink(join('..data', name), join(folder, name))
      }
      expect(results(await up(format.name))).toEqual(both(format))
      expect(results(await up(format.name))).toEqual([])
    })
  }
})

describe('traps 8 and 9: what we cannot honour stops everything before it begins', () => {
  test.for([
    { format: 'goose', file: '00002_m2.go', text: 'package migrations\n' },
    { format: 'node-pg-migrate', file: '1700000000002_m2.js', text: 'exports.up = () => {}\n' },
    { format: 'node-pg-migrate', file: '1700000000002_m2.ts', text: 'export const up = () => {}\n' },
    { format: 'flyway', file: 'V2__m2.java', text: 'class V2__m2 {}\n' },
    { format: 'flyway', file: 'U1__m1.sql', text: 'drop table a;\n' },
    { format: 'flyway', file: 'beforeMigrate.sql', text: 'select 1;\n' },
  ] as const)('$format: $file', async ({ format, file, text }, { up, sql }) => {
    const files = formats.find(({ name }) => name === format)!.files(parts.slice(0, 1))
    const { code, json } = await up(format, { ...files, [file]: text })
    expect([code, json.error]).toEqual([
      2,
      expect.objectContaining({ kind: 'usage', message: expect.stringContaining(file) }),
    ])
    expect(await tables(sql)).toEqual([])
    expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toHaveLength(0)
  })

  for (const format of formats) {
    test(`a psql command is refused with its line: ${format.name}`, async ({ up, sql, dir }) => {
      const files = format.files([parts[0]!, { up: 'select 1;\n\\i other.sql;\n', down: 'select 1;' }])
      const { code, json } = await up(format.name, files)
      const path = format.path(2)
      const line = files[path]!.split('\\i')[0]!.split('\n').length
      expect([code, json.error]).toEqual([
        20,
        expect.objectContaining({ kind: 'migration', file: `${dir}/migrations/${path}`, line, column: 1 }),
      ])
      expect(await tables(sql)).toEqual([])
    })
  }
})

describe('trap 10: a new value of an enum', () => {
  test('cannot be used in the file that adds it, and can in the next', async ({ up, sql }) => {
    const add = "alter type state add value 'paid';"
    const failed = await up('pgbosun', {
      '1_a.sql': "create type state as enum ('new'); create table a (s state)",
      '2_b.sql': `${add}\ninsert into a values ('paid')`,
    })
    expect(failed.json.error).toMatchObject({
      kind: 'migration',
      sqlstate: '55P04',
      line: 2,
      hint: expect.stringMatching(/own|next|second|another/),
    })
    good(await up('pgbosun', { '2_b.sql': add, '3_c.sql': "insert into a values ('paid')" }))
    expect(await sql`select s from a`).toEqual([{ s: 'paid' }])
  })
})

describe('trap 11: a database that is ahead of the files', () => {
  const three = [...parts, { up: 'create table c ();', down: 'drop table c;' }]
  for (const format of formats) {
    test(`is warned of, and refused where that is wanted: ${format.name}`, async ({ up, dir, sql }) => {
      good(await up(format.name, format.files(three)))
      await mkdir(join(dir, 'older'))
      await writeFiles(dir, below('older', format.files(three.slice(0, 2))))
      const older = { PGBOSUN_MIGRATE_DIR: 'older' }
      const rows = await format.rows(sql)
      const warned = await up(format.name, {}, { env: older })
      expect([warned.code, warned.json.results], warned.stderr).toEqual([0, []])
      expect(warned.json.warnings).toEqual([expect.stringContaining('ahead of the files')])
      const refused = await up(format.name, {}, { env: { ...older, PGBOSUN_MIGRATE_AHEAD: 'error' } })
      expect(refused.code, refused.stderr).toBe(21)
      expect(await format.rows(sql)).toEqual(rows)
    })
  }
})

describe('trap 12: the lock of the tool itself', () => {
  /** The key of a format's tool in a database; undefined if it has no lock. */
  async function keyOf(name: FormatName, database: string) {
    const { native } = await openFormat(name)
    if (!native?.lockKey) {
      expect(['pgbosun', 'dbmate']).toContain(name)
      return undefined
    }
    const [schema = '', table] = native.table.split('.')
    return native.lockKey(
      table === undefined ? { database, schema: 'public', table: schema } : { database, schema, table },
    )
  }

  for (const format of formats) {
    test(`is waited for, and held while we work: ${format.name}`, async ({ up, sql, database }) => {
      const key = await keyOf(format.name, database)
      if (key === undefined) return
      const holder = open(database)
      await holder.unsafe(`select pg_advisory_lock(${key})`)
      const slow = [...parts, { up: `create table locked as select pg_try_advisory_lock(${key}) as free;`, down: '' }]
      const refused = await up(format.name, format.files(slow), { env: { PGBOSUN_LOCK_TIMEOUT: '1s' } })
      expect([refused.code, refused.json.error!.message]).toEqual([11, expect.stringContaining(format.name)])
      expect(await tables(sql)).toEqual([])
      await holder.end()
      good(await up(format.name))
      expect(await sql`select free from locked`).toEqual([{ free: false }])
    })

    test(`what the tool did while it held it counts: ${format.name}`, async ({ sql, database, dir }) => {
      const key = await keyOf(format.name, database)
      if (key === undefined) return
      await sql`create table counted (n int)`
      const inserts = numbers.map((n) => ({
        up: `insert into counted values (${n});`,
        down: `delete from counted where n = ${n};`,
      }))
      const files = format.files(inserts)
      await writeFiles(dir, below('migrations', files))

      /** Starts a command of ours while the tool works, which then does the rest and ends. */
      async function meanwhile(args: string[], rest: () => Promise<unknown>) {
        const tool = open(database)
        await tool.unsafe(`select pg_advisory_lock(${key})`)
        const ours = start([...args, '--json'], {
          cwd: dir,
          env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format.name },
        })
        let log = ''
        ours.child.stderr?.on('data', (chunk) => (log += chunk))
        await until('we wait for the tool', () => log.includes(`waiting for the lock of ${format.name}`))
        await rest()
        await tool.end()
        const { code, stdout, stderr } = await ours.finished
        expect(code, stderr).toBe(0)
        return (JSON.parse(stdout).results as { name: string }[]).map(({ name }) => name)
      }
      const apply = async (n: number) => {
        await sql`insert into counted values (${n})`
        await sql.unsafe(format.record(n, files))
      }
      const counted = async () => (await sql<{ n: number }[]>`select n from counted order by n`).map(({ n }) => n)

      await sql.unsafe(format.ddl)
      if (format.name === 'golang-migrate') await sql`insert into schema_migrations values (1, true)`
      const applied = await meanwhile(['migrate'], async () => {
        for (const n of numbers.slice(0, 2)) await apply(n)
      })
      expect([applied, await counted()]).toEqual([[format.title(3)], numbers])
      if (!format.down) return

      const { native, read } = await openFormat(format.name)
      const [, second, third] = read(join(dir, 'migrations'), { placeholders: {}, environment: {}, database, user: '' })
      const undone = await meanwhile(['migrate', 'down'], async () => {
        await sql`delete from counted where n = 3`
        await sql.unsafe(native!.unrecord(native!.table, third!, second))
      })
      expect([undone, await counted()]).toEqual([[format.title(2)], [1]])
      expect(await format.rows(sql)).toEqual(format.expected([1], files))
    })
  }
})
