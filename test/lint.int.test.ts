import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { type Finished, program, run, runJson } from './support/cli.ts'
import { test as base, server, urlOf, writeFiles } from './support/postgres.ts'

type Files = Record<string, string>
type Json = Awaited<ReturnType<typeof runJson>>

type Fixtures = {
  files(files: Files): Promise<void>
  /** Without a database. */
  lint(args?: string[]): Promise<Json>
  text(args?: string[]): Promise<Finished>
  /** With the test's own database. */
  withDatabase(args: string[]): Promise<Json>
}

const test = base.extend<Fixtures>({
  files: async ({ dir }, use) => use((files) => writeFiles(dir, files)),
  lint: async ({ dir }, use) => use((args = []) => runJson(['migrate', 'lint', ...args], { cwd: dir })),
  text: async ({ dir }, use) => use((args = []) => run(['migrate', 'lint', ...args], { cwd: dir })),
  withDatabase: async ({ dir, database }, use) =>
    use((args) => runJson([...args, '--log-level', 'error'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const users = { 'migrations/001_users.sql': 'create table users (id bigint primary key, email text);\n' }
const index = { 'migrations/002_index.sql': '-- ä 🐘\ncreate index users_email on users (email);\n' }

const rulesOf = ({ json }: Json) => (json.findings as { rule: string }[]).map(({ rule }) => rule)

describe('migrate lint without a database', () => {
  test('finds nothing in the sample application', async () => {
    const finished = await runJson(['migrate', 'lint'], { cwd: join(import.meta.dirname, '..') })
    expect(finished.json).toMatchObject({ ok: true, exit_code: 0, findings: [], warnings: [], files: 3 })
    expect(finished.stderr).toBe('')
  })

  test('warns with place, lock and the safe way, and ends with 0', async ({ files, lint, text, dir }) => {
    await files({ ...users, ...index })
    const { code, json } = await lint()
    expect(code).toBe(0)
    expect(json.findings).toEqual([
      {
        rule: 'index-not-concurrent',
        level: 'warn',
        file: '002_index',
        path: join(dir, 'migrations/002_index.sql'),
        line: 2,
        column: 1,
        message: 'building an index blocks writes to users',
        why: expect.any(String),
        lock: 'ShareLock',
        rewrite: '-- pgbosun: no-transaction\ncreate index concurrently users_email on users (email);',
        table: 'users',
        cost: 'build',
        size_bytes: null,
        rows: null,
        estimated_ms: null,
      },
    ])
    const { stdout, stderr, code: same } = await text()
    expect(same).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toContain(
      'migrations/002_index.sql:2:1  warn  index-not-concurrent: building an index blocks writes to users\n',
    )
    expect(stdout).toMatch(/0 errors, 1 warning in 2 files\n$/)
  })

  test('ends with 22 for an error, with the place', async ({ files, lint, text }) => {
    await files({ ...users, 'migrations/002_x.sql': 'select 1;\n\nalter tabel users add a int;\n' })
    const { code, json } = await lint()
    expect(code).toBe(22)
    expect(json.error).toMatchObject({
      kind: 'lint',
      line: 3,
      column: 7,
      message: 'syntax-error in 002_x: syntax error at or near "tabel"',
    })
    expect(rulesOf({ json } as Json)).toEqual(['syntax-error'])
    expect((await text()).stdout).toMatch(
      /^migrations\/002_x\.sql:3:7 {2}error {2}syntax-error: .*\n\n1 {2}syntax-error {2}error\n/,
    )
    const { stdout } = await text(['--explain'])
    expect(stdout).toContain('  3 | alter tabel users add a int;\n    |       ^\n')
  })

  test('takes files, also ones outside the folder, and knows what the others declare', async ({ files, lint }) => {
    await files({
      ...users,
      ...index,
      'migrations/003_orders.sql': 'create table orders (user_id uuid references users);\n',
      'elsewhere/x.sql': 'drop table users;\n',
    })
    expect(rulesOf(await lint(['migrations/003_orders.sql']))).toEqual(['fk-type-mismatch'])
    expect(rulesOf(await lint(['elsewhere/x.sql', 'migrations/002_index.sql']))).toEqual([
      'index-not-concurrent',
      'drop-table',
    ])
    expect((await lint(['nothing.sql'])).json.error).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('does not exist'),
    })
  })

  test('--since looks only at newer files, which are deployed together', async ({ files, lint }) => {
    await files({
      ...users,
      ...index,
      'migrations/003_orders.sql': 'create table orders (id bigint);\n',
      'migrations/004_more.sql': 'create index on orders (id); create index on users (id);\n',
    })
    const { json } = await lint(['--since', '002'])
    expect(json.findings).toMatchObject([{ file: '004_more', table: 'users' }])
    expect(json.files).toBe(2)
    expect(rulesOf(await lint(['--since', '4']))).toEqual([])
    expect((await lint(['--since', '9'])).json.error).toMatchObject({
      kind: 'usage',
      message: 'there is no migration 9',
    })
  })

  test('writes annotations for GitHub, with paths of the repository', async ({ files, text }) => {
    await files({ ...users, ...index })
    const { stdout, code } = await text(['--format', 'github'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^::warning file=migrations\/002_index\.sql,line=2,col=1,title=index-not-concurrent::building an index [^\n]*%0A[^\n]*\n$/,
    )
    expect((await text(['--format', 'gitlab'])).code).toBe(2)
  })

  test('obeys the levels of the configuration', async ({ files, lint }) => {
    await files({
      ...users,
      ...index,
      'pgbosun.yaml': 'migrate: { lint: { rules: { index-not-concurrent: error, unqualified-name: warn } } }',
    })
    const { code, json } = await lint()
    expect(code).toBe(22)
    expect(rulesOf({ json } as Json)).toEqual(['unqualified-name', 'index-not-concurrent', 'unqualified-name'])
  })

  test.for<[string, string, RegExp]>([
    [
      'a rule that there is not',
      'migrate: { lint: { rules: { index-not-concurent: error } } }',
      /index-not-concurent: .*did you mean index-not-concurrent\?/,
    ],
    [
      'a level that there is not',
      'migrate: { lint: { rules: { drop-table: fatal } } }',
      /migrate\.lint\.rules\.drop-table: .*"error"\|"warn"\|"off"/,
    ],
    [
      'a key that there is not',
      'migrate: { lint: { rule: {} } }',
      /migrate\.lint\.rule: unknown key; did you mean rules\?/,
    ],
  ])('refuses %s', async ([, yaml, message], { files, lint }) => {
    await files({ ...users, 'pgbosun.yaml': yaml })
    const { code, json } = await lint()
    expect(code).toBe(2)
    expect(json.error?.message).toMatch(message)
  })

  test('lints only the part of a file that is applied, at its place in the file', async ({ files, lint }) => {
    await files({
      'pgbosun.yaml': 'migrate: { format: dbmate }',
      'migrations/001_a.sql': '-- migrate:up\ncreate table t (a int);\n\n-- migrate:down\ndrop table t;\n',
      'migrations/002_b.sql': '-- migrate:up\nselect 1;\ncreate index i on t (a);\n\n-- migrate:down\ndrop index i;\n',
    })
    const { json } = await lint()
    expect(json.findings).toMatchObject([
      {
        rule: 'index-not-concurrent',
        file: '002_b',
        line: 3,
        column: 1,
        rewrite: expect.stringContaining('-- migrate:up transaction:false\n'),
      },
    ])
  })

  test('knows the transaction of a file by its format', async ({ files, lint }) => {
    await files({
      'pgbosun.yaml': 'migrate: { format: golang-migrate }',
      'migrations/1_a.up.sql': 'begin;\ncreate table t (a int);\ncommit;\n',
      'migrations/2_b.up.sql': 'create index concurrently i on t (a);\n',
      'migrations/3_c.up.sql': 'begin;\ncreate index concurrently j on t (a);\ncommit;\n',
    })
    expect(rulesOf(await lint())).toEqual(['concurrently-in-transaction'])
  })

  test('goes on without a database that cannot be reached, and says so', async ({ files, dir }) => {
    await files({ ...users, ...index })
    const { code, json } = await runJson(['migrate', 'lint'], {
      cwd: dir,
      env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/x' },
    })
    expect(code).toBe(0)
    expect(json.warnings).toEqual([expect.stringContaining('linted without the database: ')])
    expect(json.findings).toHaveLength(1)
  })
})

describe('migrate lint with a database', () => {
  test('says how big the table is, and about how long it takes', async ({ files, withDatabase, sql }) => {
    await files(users)
    await withDatabase(['migrate'])
    await sql`insert into users select n, md5(n::text) from generate_series(1, 20000) n`
    await sql`analyze users`
    await files(index)
    const { json } = await withDatabase(['migrate', 'lint'])
    expect(json.findings).toMatchObject([{ table: 'users', rows: 20_000 }])
    const [{ size_bytes, estimated_ms }] = json.findings as [{ size_bytes: number; estimated_ms: number }]
    const [{ bytes } = { bytes: 0 }] = await sql<
      { bytes: number }[]
    >`select pg_total_relation_size('users')::int as bytes`
    expect(size_bytes).toBe(bytes)
    expect(estimated_ms).toBeGreaterThan(5)
    expect(estimated_ms).toBeLessThan(100)
  })

  test('counts the partitions of a table, and knows schemas and quoted names', async ({ files, withDatabase, sql }) => {
    await sql.unsafe(`
      create schema "Odd"; create table "Odd"."T" (a int, b text) partition by range (a);
      create table "Odd".p1 partition of "Odd"."T" for values from (0) to (100);
      create table "Odd".p2 partition of "Odd"."T" for values from (100) to (200);`)
    await sql.unsafe(
      `insert into "Odd"."T" select n, repeat('x', 1000) from generate_series(1, 199) n; analyze "Odd"."T"`,
    )
    await files({ 'migrations/001_a.sql': 'alter table "Odd"."T" alter column a set not null;\n' })
    const { json } = await withDatabase(['migrate', 'lint'])
    expect(json.findings).toMatchObject([{ table: '"Odd"."T"', rows: 199 }])
    expect((json.findings as { size_bytes: number }[])[0]!.size_bytes).toBeGreaterThan(199_000)
  })

  test('what is found in applied files is a count, which `--all` shows, and fails nothing', async ({
    files,
    withDatabase,
    database,
    dir,
  }) => {
    const drop = { 'migrations/003_drop.sql': 'drop table users;\n' }
    await files({ ...users, ...index, 'pgbosun.yaml': '' })
    expect(await withDatabase(['migrate'])).toMatchObject({ code: 0 })
    await files({ ...drop, 'pgbosun.yaml': 'migrate: { lint: { rules: { index-not-concurrent: error } } }' })
    const text = (...args: string[]) =>
      run(['migrate', 'lint', ...args], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })

    const { code, stdout } = await text()
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^migrations\/003_drop\.sql:1:1 {2}warn {2}drop-table: /),
      '',
      '1  drop-table  warn',
      '0 errors, 1 warning in 3 files; 1 finding in 1 applied file: `--all` shows them',
      '',
    ])
    const all = await text('--all')
    expect(all.code).toBe(22)
    expect(all.stdout).toMatch(
      /002_index\.sql:2:1 .*\n.*003_drop.*\n\n1 {2}drop-table {2}warn\n1 {2}index-not-concurrent {2}error\n1 error, 1 warning in 3 files\n$/,
    )
    expect((await text('migrations/002_index.sql')).code).toBe(22)
    expect((await text('--format', 'github')).stdout.split('\n')).toHaveLength(2)
    expect((await text('--explain')).stdout).toContain('  why ')

    const { json } = await withDatabase(['migrate', 'lint'])
    expect(json.exit_code).toBe(0)
    expect(json.findings).toMatchObject([
      { rule: 'index-not-concurrent', applied: true },
      { rule: 'drop-table', applied: false },
    ])
  })

  test('tables of files that are not applied yet are new', async ({ files, withDatabase }) => {
    await files({ ...users, ...index })
    expect(rulesOf(await withDatabase(['migrate', 'lint']))).toEqual([])
    await withDatabase(['migrate'])
    expect(rulesOf(await withDatabase(['migrate', 'lint']))).toEqual(['index-not-concurrent'])
  })
})

describe('a dump of pg_dump', () => {
  test.skipIf(!client)('has no findings', async ({ files, lint, sql, database }) => {
    const sample = ['001_create_initial_schema', '002_add_verification_columns', '003_add_updated_at_triggers']
    for (const name of sample)
      await sql.unsafe(readFileSync(join(import.meta.dirname, `../migrations/${name}.sql`), 'utf8'))
    await sql.unsafe(`
      insert into users (telegram_id, username) values (1, 'drop table users;'), (2, E'\\\\i tab\\t ü');
      create table parts (id int, at date not null, note varchar(20)) partition by range (at);
      create table parts_1 partition of parts for values from ('2026-01-01') to ('2027-01-01');
      alter table games add constraint later check (payout_amount < 1e9) not valid;
      create materialized view counts as select count(*) from users;
      create type mood as enum ('sad', 'happy'); create domain positive as int check (value > 0);
      create table odd (id serial primary key, mood mood default 'sad', n positive, g int generated always as (1) stored);`)
    const dump = execFileSync(join(client?.dir ?? '', 'pg_dump'), ['--dbname', urlOf(database)], { encoding: 'utf8' })
    await files({ 'migrations/001_dump.sql': dump })
    const { code, json } = await lint()
    expect(code).toBe(0)
    expect(json.findings).toEqual([])
  })
})

describe('plan and up', () => {
  const orders = { 'migrations/003_orders.sql': 'create table orders (user_id uuid references users);\n' }

  test('plan warns of what is pending, and only of that', async ({ files, withDatabase }) => {
    await files({ ...users, 'migrations/002_drop.sql': 'alter table users drop column email;\n' })
    const fresh = await withDatabase(['plan'])
    expect(fresh.json).toMatchObject({ exit_code: 0, warnings: [] })
    await files({ 'migrations/002_drop.sql': 'select 1' })
    await withDatabase(['migrate'])
    await files({ 'migrations/003_index.sql': index['migrations/002_index.sql'] })
    const { json } = await withDatabase(['migrate', '--dry-run'])
    expect(json.warnings).toEqual([
      expect.stringMatching(/003_index\.sql:2:1 index-not-concurrent: building an index blocks writes to users \(\d/),
    ])
  })

  test('plan refuses what is certain to fail', async ({ files, withDatabase }) => {
    await files({ ...users, ...orders })
    const { code, json } = await withDatabase(['plan'])
    expect(code).toBe(22)
    expect(json.error).toMatchObject({ kind: 'lint', line: 1, hint: expect.stringContaining('42804') })
    expect(json.findings).toHaveLength(1)
  })

  test('up lints only where the configuration makes an error of something', async ({ files, withDatabase, sql }) => {
    await files({ ...users, ...index })
    await withDatabase(['migrate', 'up'])
    await files({
      'migrations/003_drop.sql': 'drop table users;\n',
      'pgbosun.yaml': 'migrate: { lint: { rules: { drop-table: error } } }',
    })
    const refused = await withDatabase(['up'])
    expect(refused.code).toBe(22)
    expect(refused.json.error).toMatchObject({
      message: 'drop-table in 003_drop: the table users is dropped with its data',
    })
    expect(await sql`select to_regclass('users') is not null as there`).toEqual([{ there: true }])
    await files({ 'pgbosun.yaml': 'migrate: { lint: { rules: { drop-table: warn } } }' })
    expect((await withDatabase(['up'])).code).toBe(0)
  })
})

describe('a statement that is newer than the grammar', () => {
  const repack = 'create table t (id int primary key);\nrepack (concurrently) t;\ncreate table u (id bigint);\n'
  const at = (dir: string, more: Record<string, string> = {}) => ({ cwd: dir, env: more })
  const isKnown = server().major >= 19

  test('is an error, or a warning if `lint.server` is newer, as in `plan`', async ({ files, dir, database }) => {
    await files({ 'migrations/001_t.sql': repack })
    const lint = (env: Record<string, string> = {}) => runJson(['migrate', 'lint'], at(dir, env))
    const syntax = ({ json }: Json) =>
      (json.findings as { rule: string }[]).filter(({ rule }) => rule === 'syntax-error')
    const older = await lint()
    expect([older.code, syntax(older)]).toMatchObject([22, [{ level: 'error', line: 2, column: 1 }]])
    const newer = await lint({ PGBOSUN_LINT_SERVER: '19' })
    expect(newer.code).toBe(0)
    expect(syntax(newer)).toMatchObject([{ level: 'warn', line: 2, column: 1 }])
    for (const server of ['18', '13']) expect(await lint({ PGBOSUN_LINT_SERVER: server })).toMatchObject({ code: 22 })
    for (const server of ['12', '19.1', 'new'])
      expect(await lint({ PGBOSUN_LINT_SERVER: server })).toMatchObject({ code: 2 })

    const env = { DATABASE_URL: urlOf(database) }
    const plan = (more: Record<string, string> = {}) => runJson(['plan'], at(dir, { ...env, ...more }))
    expect(await plan()).toMatchObject({ code: isKnown ? 0 : 22 })
    const planned = await plan({ PGBOSUN_LINT_SERVER: '19' })
    expect(planned).toMatchObject({
      code: 0,
      json: { warnings: expect.arrayContaining([expect.stringMatching(/001_t\.sql:2:1 syntax-error/)]) },
    })
    expect(JSON.stringify(planned.json.steps)).toContain('outside a transaction (REPACK (CONCURRENTLY))')
  })

  test('is run as the server knows it, outside a transaction', async ({ files, dir, database, sql }) => {
    await files({ 'migrations/001_t.sql': repack })
    const { code, json } = await runJson(['up'], at(dir, { DATABASE_URL: urlOf(database) }))
    const made = await sql`select to_regclass('t') is not null as t, to_regclass('u') is not null as u`
    if (isKnown) {
      expect([code, json.error, made]).toEqual([0, null, [{ t: true, u: true }]])
    } else {
      expect([code, made]).toEqual([20, [{ t: true, u: false }]])
      expect(json.error).toMatchObject({ sqlstate: '42601', line: 2, column: 1 })
    }
  })

  test.skipIf(!isKnown)('may be in a transaction where it can be', async ({ files, dir, database, sql }) => {
    await files({ 'migrations/001_t.sql': 'create table t (id int primary key);\nrepack t;\nselect 1;\n' })
    const { json } = await runJson(['up'], at(dir, { DATABASE_URL: urlOf(database), PGBOSUN_LINT_SERVER: '19' }))
    expect(json.error).toBe(null)
    expect(await sql`select status, progress from pgbosun.migrations`).toEqual([{ status: 'applied', progress: null }])
  })
})

describe('the parser', () => {
  /** The files that a run loads, by their paths. */
  async function loaded(args: string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
    const hook = join(cwd, 'hook.cjs')
    await writeFiles(cwd, {
      'hook.cjs': `
        const fs = require('node:fs'), Module = require('node:module')
        const seen = []
        const load = Module._load
        Module._load = function (request, ...rest) { seen.push(request); return load.call(this, request, ...rest) }
        const compile = WebAssembly.instantiate
        WebAssembly.instantiate = function (...args) { seen.push('WebAssembly'); return compile.apply(this, args) }
        process.on('exit', () => fs.writeFileSync('loaded', seen.join('\\n')))`,
    })
    await execa(process.execPath, ['--require', hook, program, ...args, '--log-level', 'error'], {
      cwd,
      env,
      extendEnv: false,
      reject: false,
    })
    return readFileSync(join(cwd, 'loaded'), 'utf8')
  }

  test('the parser is loaded by lint', async ({ dir, files }) => {
    await files(users)
    expect(await loaded(['migrate', 'lint'], dir)).toContain('WebAssembly')
  })

  test('is not loaded by up, with or without something to do', async ({ dir, files, database }) => {
    await files({ ...users, ...index })
    const env = { DATABASE_URL: urlOf(database) }
    for (const args of [['up'], ['up'], ['migrate'], ['migrate', 'status'], ['plan']]) {
      const list = await loaded(args, dir, env)
      expect(list, args.join(' ')).not.toMatch(/WebAssembly|libpg-query|pg-query\.js/)
    }
  })

  test('linting stays below 200 MB', async ({ dir, files }) => {
    await files(
      Object.fromEntries(
        Array.from({ length: 200 }, (_, i) => [
          `migrations/${i + 1}_t.sql`,
          `create table t${i} (id bigint primary key, a text, b int);\n`,
        ]),
      ),
    )
    await writeFiles(dir, {
      'hook.cjs': `process.on('exit', () => require('node:fs').writeFileSync('rss', String(process.resourceUsage().maxRSS)))`,
    })
    await execa(process.execPath, ['--require', join(dir, 'hook.cjs'), program, 'migrate', 'lint'], {
      cwd: dir,
      extendEnv: false,
    })
    expect(Number(readFileSync(join(dir, 'rss'), 'utf8')) * 1024).toBeLessThan(200e6)
  })
})
