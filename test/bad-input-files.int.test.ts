import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { run } from './support/cli.ts'
import { clusterNames, fails, objectsOf } from './support/fails.ts'
import { test as base, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** Writes the files and runs a command, which must fail. */
  refused: (files: Record<string, string>, command?: string) => ReturnType<typeof fails>
  options: { cwd: string; env: Record<string, string> }
}

const test = base.extend<Fixtures>({
  options: async ({ dir, database }, use) => use({ cwd: dir, env: { DATABASE_URL: urlOf(database) } }),
  refused: async ({ dir, options }, use) =>
    use(async (files, command = 'up') => {
      await writeFiles(dir, files)
      return fails(command.split(' '), options)
    }),
})

const history = (sql: Sql) =>
  sql`select name, status from pgbosun.migrations order by seq`.then((rows) =>
    rows.map(({ name, status }) => `${name} ${status}`),
  )

describe('a syntax error in the third of five files', () => {
  const five = {
    'migrations/001_a.sql': 'create table a (id int)',
    'migrations/002_b.sql': 'create table b (id int)',
    'migrations/003_c.sql':
      "create table c (name text);\n\n-- ü\ninsert into c values ('ü😀'); alter tabel c add x int;\n",
    'migrations/004_d.sql': 'create table d (id int)',
    'migrations/005_e.sql': 'create table e (id int)',
  }

  test('is 20: two are applied, none of the rest, with line, column and caret', async ({
    refused,
    sql,
    dir,
    options,
  }) => {
    const failure = await refused(five)
    const file = join(dir, 'migrations/003_c.sql')
    expect(failure).toMatchObject({ code: 20, kind: 'migration', sqlstate: '42601', file, line: 4, column: 36 })
    expect(failure.message).toBe('003_c failed: syntax error at or near "tabel"')
    expect(failure.hint).toContain('look at the caret')
    expect(failure.stderr).toContain(
      [
        `  at ${file}:4:36`,
        "  4 | insert into c values ('ü😀'); alter tabel c add x int;",
        // one blank more than code points: the emoji is two wide
        `    | ${' '.repeat(36)}^`,
        '',
      ].join('\n'),
    )
    const statuses = ['applied', 'applied', 'failed', 'not-run', 'not-run']
    expect((failure.json.results as { status: string }[]).map(({ status }) => status)).toEqual(statuses)
    expect(await history(sql)).toEqual(['001_a applied', '002_b applied'])
    expect(await objectsOf(sql)).toEqual(['a', 'b', 'schema pgbosun'])

    await writeFiles(dir, { 'migrations/003_c.sql': 'create table c (id int)' })
    expect((await run(['up'], options)).code).toBe(0)
    expect(await objectsOf(sql)).toEqual(['a', 'b', 'c', 'd', 'e', 'schema pgbosun'])
  })

  test('is told to people on stdout, too, and the audit trail has only what happened', async ({
    dir,
    options,
    sql,
  }) => {
    await writeFiles(dir, five)
    const { stdout } = await run(['up'], options)
    expect(stdout).toMatch(/failed after [\d.]+ m?s: 2 applied, 1 failed, 2 not run\n$/)
    const [row] = await sql`
      select exit_code, jsonb_path_query_array(detail, '$.changes[*].object') as changes, detail ->> 'error' as error
        from pgbosun.events where phase = 'finished'`
    expect(row).toEqual({
      exit_code: 20,
      changes: ['schema pgbosun', 'migration 001_a', 'migration 002_b'],
      error: '003_c failed: syntax error at or near "tabel"',
    })
  })
})

describe('a file that cannot be sent is refused before anything is touched', () => {
  test.for<[string, string, number, string, string, number]>([
    [
      'an open comment',
      'create table b (id int);\n  /* to do\nselect 1;',
      20,
      '002_b ends inside a comment',
      'close the comment',
      2,
    ],
    [
      'a comment in an open comment',
      'select 1; /* a /* b */',
      20,
      '002_b ends inside a comment',
      'close the comment',
      1,
    ],
    ['an open string', "select 'x", 20, '002_b ends inside a string', 'close the string', 1],
    ['an open dollar quote', 'do $$ begin', 20, '002_b ends inside a dollar-quoted string', 'close the', 1],
    [
      'its own BEGIN',
      'begin;\ncreate table b ();\ncommit;',
      22,
      '002_b has its own BEGIN',
      'remove BEGIN and COMMIT',
      1,
    ],
    ['its own COMMIT', 'create table b ();\ncommit;', 22, '002_b has its own COMMIT', 'remove BEGIN and COMMIT', 2],
    ['its own ROLLBACK', '-- x\n\nrollback', 22, '002_b has its own ROLLBACK', 'remove BEGIN and COMMIT', 3],
    [
      'a command of psql',
      'select 1;\n\\connect other',
      20,
      '002_b contains the psql command \\connect',
      'only psql understands',
      2,
    ],
  ])('%s', async ([, text, code, message, hint, line], { refused, sql, dir }) => {
    const failure = await refused({ 'migrations/001_a.sql': 'create table a (id int)', 'migrations/002_b.sql': text })
    expect(failure).toMatchObject({ code, file: join(dir, 'migrations/002_b.sql'), line })
    expect(failure.message).toContain(message)
    expect(failure.hint).toContain(hint)
    expect(failure.stderr).toMatch(/\n {4}\| +\^\n/)
    expect(await objectsOf(sql)).toEqual([])
  })

  test('also before roles and databases are created', async ({ dir, sql }) => {
    const name = uniqueName('early')
    await writeFiles(dir, {
      'pgbosun.yaml': `databases: { ${name}: { owner: ${name}_owner } }`,
      'migrations/001_a.sql': 'begin; select 1; commit;',
    })
    const env = { DATABASE_URL: urlOf(name) }
    for (const command of ['plan', 'up']) expect(await fails([command], { cwd: dir, env })).toMatchObject({ code: 22 })
    expect(await clusterNames(sql, name)).toEqual([])
  })

  test('a file edited after it was applied is 21, before new roles are created', async ({
    dir,
    database,
    options,
    refused,
    sql,
  }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id int)' })
    expect((await run(['up'], options)).code).toBe(0)
    const failure = await refused({
      'migrations/001_a.sql': 'create table a (id bigint)',
      'pgbosun.yaml': `roles: { ${database}_new: {} }`,
    })
    expect(failure).toMatchObject({ code: 21, kind: 'history', message: '001_a was changed after it was applied' })
    expect(failure.hint).toContain('put the change into a new migration')
    expect(await clusterNames(sql, `${database}_new`)).toEqual([])
  })
})

describe('names of migrations that cannot be are 2', () => {
  test('two files of one version are 2', async ({ refused, sql, dir }) => {
    const failure = await refused({ 'migrations/001_a.sql': 'select 1', 'migrations/1_b.sql': 'select 1' })
    expect(failure).toMatchObject({
      code: 2,
      message: `001_a.sql and 1_b.sql in ${join(dir, 'migrations')} have the same version 1`,
    })
    expect(failure.hint).toContain('a version of its own')
    expect(await objectsOf(sql)).toEqual([])
  })

  test('all that are malformed, at once', async ({ refused, dir }) => {
    const odd = ['2.sql', '3_.sql', '5_ü.sql', '6 x.sql', '99999999999999999999_x.sql', 'create_users.sql', 'v4_x.sql']
    const files = ['1_a.sql', ...odd].map((name) => [`migrations/${name}`, 'select 1'])
    const failure = await refused(Object.fromEntries(files))
    expect(failure).toMatchObject({ code: 2, file: join(dir, 'migrations', '2.sql') })
    expect(failure.message).toContain('not named like 001_create_users.sql: 2.sql, 3_.sql, 5_ü.sql and 4 more')
    expect(failure.json.files).toEqual(odd)
    expect(failure.hint).toContain('name it with a number')
  })

  test('a folder that was named and is not there', async ({ refused }) => {
    const failure = await refused({ 'pgbosun.yaml': 'migrate: { dir: nowhere }' })
    expect(failure).toMatchObject({ code: 2, message: expect.stringContaining('nowhere does not exist') })
    expect(failure.hint).toContain('PGBOSUN_MIGRATE_DIR')
  })

  test('a file that is not UTF-8 is 2', async ({ refused, dir }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': Buffer.from("select 'f\xfcr'", 'latin1') })
    const failure = await refused({})
    expect(failure).toMatchObject({ code: 2, message: expect.stringContaining('001_a.sql is not UTF-8') })
  })
})

describe('a seed that is wrong', () => {
  const table = { 'migrations/001_users.sql': 'create table users (id int primary key, name text)' }
  const seeds = 'seeds: [{ file: seeds/users.csv, table: users, key: [id] }]'
  const rows = (sql: Sql) => sql`select * from users`

  test.for<[string, string, number, string]>([
    ['a value too many', 'id,name\n1,a\n2,b,c\n3,d\n', 3, '3 values, but the first line names 2 columns'],
    ['a value too few', 'id,name\n1,a\n2\n3,d\n', 3, '1 value, but the first line names 2 columns'],
    ['a value of another type', 'id,name\n1,a\ntwo,b\n', 3, 'invalid input syntax'],
    ['an open quote', 'id,name\n1,a\n2,"b\n', 3, 'the quote at column 3 is never closed'],
    ['a key twice', 'id,name\n1,a\n2,b\n1,c\n', 4, 'appears for the second time, after line 2'],
  ])('%s is 40 with file and line, and nothing of it stays', async ([, csv, line, message], { refused, sql }) => {
    const failure = await refused({ ...table, 'pgbosun.yaml': seeds, 'seeds/users.csv': csv })
    expect(failure).toMatchObject({ code: 40, kind: 'seed', file: 'seeds/users.csv', line })
    expect(failure.message).toContain(`seeds/users.csv, line ${line}`)
    expect(failure.message).toContain(message)
    expect(failure.hint.length).toBeGreaterThan(10)
    expect(await rows(sql)).toEqual([])
  })

  test('a column that the table does not have is 40 and lists those it has', async ({ refused }) => {
    const failure = await refused({ ...table, 'pgbosun.yaml': seeds, 'seeds/users.csv': 'id,nmae\n1,a\n' })
    expect(failure).toMatchObject({
      code: 40,
      message: expect.stringContaining('"nmae"'),
      hint: 'use its columns: id, name',
    })
  })

  test('a file that does not exist is 2 before anything is touched', async ({ refused, sql }) => {
    const failure = await refused({ ...table, 'pgbosun.yaml': seeds })
    expect(failure).toMatchObject({ code: 2, message: expect.stringContaining('seeds/users.csv does not exist') })
    expect(await objectsOf(sql)).toEqual([])
  })
})

describe('hundreds of files', () => {
  const names = Array.from({ length: 300 }, (_, i) => String(i + 1).padStart(3, '0'))
  const filesOf = (text: (name: string) => string) =>
    Object.fromEntries(names.map((name) => [`migrations/${name}_a.sql`, text(name)]))

  test('with wrong names: the message has three of them, the JSON document all', async ({ refused }) => {
    const wrong = Object.fromEntries(names.map((name) => [`migrations/x${name}.sql`, '']))
    const { message, json } = await refused(wrong)
    expect(message).toContain(': x001.sql, x002.sql, x003.sql and 297 more')
    expect(message.length).toBeLessThan(300)
    expect(json.files).toHaveLength(300)
  })

  test('changed after they were applied: the reason is last, and short', async ({ refused, dir, options, sql }) => {
    await writeFiles(
      dir,
      filesOf((name) => `create table t${name} (id int)`),
    )
    const applied = await run(['migrate'], options)
    expect(applied.stdout.split('\n')).toHaveLength(24)
    expect(applied.stdout).toContain('migrate  301 changes\n')
    expect(applied.stdout).toContain('\n           and 281 more\n')
    expect(await history(sql)).toHaveLength(300)

    const changed = { ...filesOf((name) => `create table t${name} (id bigint)`), 'migrations/301_b.sql': 'select 1' }
    const { stderr, json } = await refused(changed, 'migrate')
    expect(json.problems).toHaveLength(300)
    expect(stderr.split('\n').slice(0, 5)).toEqual([
      'error: 001_a was changed after it was applied',
      '  also: 002_a was changed after it was applied',
      '  also: 003_a was changed after it was applied',
      '  also: 004_a was changed after it was applied',
      '  and 296 more',
    ])
    const checked = await run(['check', '--json'], options)
    expect(checked.stderr.split('\n').length).toBeLessThan(10)
    expect(JSON.parse(checked.stdout)).toMatchObject({ exit_code: 50, errors: { length: 301 } })
  })

  test('that would be applied, and one that cannot be: only the first are listed before the reason', async ({
    dir,
    options,
  }) => {
    await writeFiles(dir, { ...filesOf(() => 'select 1'), 'migrations/300_a.sql': 'select 1; commit' })
    const { code, stdout } = await run(['migrate'], options)
    expect({ code, lines: stdout.split('\n').slice(0, 5) }).toEqual({
      code: 22,
      lines: [
        'migrate  301 changes',
        '           create schema pgbosun  keeps the history',
        '           apply migration 001_a  not applied yet',
        '           apply migration 002_a  not applied yet',
        '           and 298 more',
      ],
    })
    const planned = await run(['plan'], options)
    expect(planned.stdout).toContain('and 298 more')
  })

  test('that break a rule: one warning in the log for all, each in the JSON document', async ({ dir, options }) => {
    await writeFiles(
      dir,
      filesOf((name) => `create table t${name} (id int); create index on t${name} (id); vacuum t${name}`),
    )
    const { stderr, stdout } = await run(['plan', '--json'], options)
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, warnings: { length: 600 } })
    const lines = stderr.trim().split('\n')
    expect(lines.map((line) => / (not-idempotent|concurrently-not-alone): /.exec(line)?.[1]).sort()).toEqual([
      'concurrently-not-alone',
      'not-idempotent',
    ])
    for (const line of lines) expect(line).toMatch(/003_a\.sql:.*; and 297 more"/)
  })
})

describe('a file that was written for something else', () => {
  test.for([
    'create table {{ schema }}.t (id int)',
    'create table t (\n  id int,\n  {% if more %} name text {% endif %}\n)',
    "select '{{ n }}'::int",
  ])('a template is named as such: %s', async (text, { refused }) => {
    const { code, hint } = await refused({ 'migrations/001_a.sql': text })
    expect(code).toBe(20)
    expect(hint).toMatch(/^`\{. … .\}` belongs to a template of another program: .*render it first$/)
  })

  test('what took effect before is said too', async ({ refused }) => {
    const text = '-- pgbosun: no-transaction\ncreate table t (id int);\nselect {{ x }}'
    const { hint } = await refused({ 'migrations/001_a.sql': text })
    expect(hint).toMatch(/^its first statement \(of 2\) took effect .*; `\{\{ … \}\}` belongs to a template/)
  })

  test('also as a seed', async ({ refused }) => {
    const { code, hint } = await refused({
      'pgbosun.yaml': 'seeds: [{ file: a.sql }]',
      'a.sql': 'select 1;\nselect {{ x }}',
    })
    expect([code, hint]).toEqual([40, expect.stringContaining('render it first')])
  })

  test('a block that commits: the hint has the line that lets it', async ({ refused, dir, options, sql }) => {
    const text = 'do $$ begin create table a (id int); commit; end $$;'
    const { code, sqlstate, hint } = await refused({ 'migrations/001_a.sql': text })
    expect([code, sqlstate]).toEqual([20, '2D000'])
    expect(hint).toContain('begins with the line `-- pgbosun: no-transaction`')
    await writeFiles(dir, { 'migrations/001_a.sql': `-- pgbosun: no-transaction\n${text}` })
    expect((await run(['up'], options)).code).toBe(0)
    expect(await objectsOf(sql)).toContain('a')

    const inside = await refused({
      'migrations/002_b.sql': `-- pgbosun: no-transaction
        create procedure p() language plpgsql as $$ begin commit; end $$;
        create function f() returns void language plpgsql as $$ begin call p(); end $$;
        select f();`,
    })
    expect(inside.sqlstate).toBe('2D000')
    expect(inside.hint).toContain('only end transactions if no function and no BEGIN is around it')
  })
})

describe('no warning of ours is logged as if a file had caused it', () => {
  const copied =
    'create table a (id int primary key, b int references a deferrable initially deferred);\ncopy a from stdin;\n1\t2\n\\.\n'
  test.for<[string, string, string]>([
    [
      'an index that cannot be built concurrently',
      'create table t as select 1 as x from generate_series(1, 2);\ncreate unique index concurrently t_x on t (x)',
      '23505',
    ],
    ['a statement outside a transaction', '-- pgbosun: no-transaction\nselect 1 / 0', '22012'],
    ['a transaction of the file', '-- pgbosun: no-transaction\nbegin;\nselect 1 / 0;\ncommit', '22012'],
    ['a commit that fails', copied, '23503'],
  ])('after %s', async ([, text, sqlstate], { dir, options }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': text })
    const first = await run(['migrate', '--json'], options)
    expect(JSON.parse(first.stdout).error).toMatchObject({ sqlstate })
    expect(first.stderr).not.toContain('25P01')
    await writeFiles(dir, { 'migrations/001_a.sql': 'select 1' })
    const again = await run(['migrate', '--json'], options)
    expect(again.stderr).not.toContain('25P01')
  })
})
