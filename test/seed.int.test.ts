import { readdir, readFile, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { SeedConfig } from '../src/config/schema.ts'
import { AppError } from '../src/errors.ts'
import { isConnectionLost } from '../src/postgres/lost.ts'
import { seedHistory } from '../src/seed/history.ts'
import { readSeeds } from '../src/seed/read.ts'
import { type Sql, uniqueName, writeFiles } from './support/postgres.ts'
import { testSeeds as test } from './support/seed.ts'

const csv = (table: string, key?: string[], mode?: 'insert' | 'upsert'): SeedConfig => ({
  file: `${table}.csv`,
  table,
  ...(key && { key }),
  ...(mode && { mode }),
})

/** The versions of all rows: an unchanged row keeps its version. */
const versions = (sql: Sql, table: string) => sql.unsafe(`select id, xmin::text, ctid::text from ${table} order by id`)

describe('an SQL seed', () => {
  test('is loaded once, and again after it has changed', async ({ load, dir, sql }) => {
    await sql`create table a (id int)`
    await writeFiles(dir, { 'a.sql': 'insert into a values (1), (2); insert into a select 3;' })
    expect(await load([{ file: 'a.sql' }])).toEqual(['a.sql 3'])
    expect(await load([{ file: 'a.sql' }])).toEqual([])
    await writeFiles(dir, { 'a.sql': 'delete from a where id = 3' })
    expect(await load([{ file: './a.sql' }])).toEqual(['a.sql 1'])
    expect(await load([{ file: 'a.sql' }], { force: true })).toEqual(['a.sql 0'])
    expect(await sql`select name, rows, tool_version from pgbosun.seeds`).toEqual([
      { name: 'a.sql', rows: '0', tool_version: '0.0.0' },
    ])
  })

  test('is loaded from a folder in the order of names, and only in its environments', async ({ load, dir, sql }) => {
    await sql`create table a (id int)`
    await writeFiles(dir, {
      'all/2.sql': 'select 1',
      'all/1.sql': 'insert into a values (1)',
      'all/readme.md': '',
      'demo.sql': 'select 1',
    })
    const entries = [{ file: 'demo.sql', when: ['dev', 'test'] }, { dir: 'all' }]
    expect(await load(entries, { environment: 'prod' })).toEqual(['all/1.sql 1', 'all/2.sql 0'])
    expect(await load(entries)).toEqual(['demo.sql 0'])
  })

  test('leaves nothing behind when it fails, and says where', async ({ load, dir, sql }) => {
    await sql`create table a (id int)`
    await writeFiles(dir, {
      '1.sql': 'insert into a values (1)',
      '2.sql': 'insert into a values (2);\nselect wrong;',
      '3.sql': 'select 1',
    })
    await expect(load([{ dir: '.' }])).rejects.toMatchObject({
      kind: 'seed',
      message: '2.sql, line 2: column "wrong" does not exist',
      place: { file: '2.sql', line: 2, column: 8 },
      excerpt: '  2 | select wrong;\n    |        ^',
      report: {
        seeds: [
          { name: '1.sql', state: 'done', rows: 1 },
          { name: '2.sql', state: 'failed', rows: 0 },
          { name: '3.sql', state: 'not-run', rows: 0 },
        ],
      },
    })
    expect(await sql`select id from a`).toEqual([{ id: 1 }])
    expect(await seedHistory(sql)).toMatchObject([{ name: '1.sql' }])
  })

  test('that is long is sent in several pieces within one transaction, and an error has its place', async ({
    load,
    dir,
    sql,
  }) => {
    await sql`create table a (id int, note text)`
    const rows = Array.from({ length: 30_000 }, (_, i) => `insert into a values (${i}, 'a note of some length');\n`)
    await writeFiles(dir, { '1.sql': `${rows.join('')}select 1;\nselect wrong from a;\n` })
    await expect(load([{ file: '1.sql' }])).rejects.toMatchObject({
      message: '1.sql, line 30002: column "wrong" does not exist',
      place: { file: '1.sql', line: 30_002, column: 8 },
    })
    expect(await sql`select from a`).toHaveLength(0)
    await writeFiles(dir, { '1.sql': rows.join('') })
    expect(await load([{ file: '1.sql' }])).toEqual(['1.sql 30000'])
  })

  test('that does not fit into a string of Node is refused, with the way out', async ({ load, dir }) => {
    await writeFiles(dir, { '1.sql': '' })
    await truncate(join(dir, '1.sql'), 600 * 1024 * 1024)
    await expect(load([{ file: '1.sql' }])).rejects.toMatchObject({
      kind: 'seed',
      message: expect.stringMatching(/^1\.sql is too large: reading its 600 MiB /),
      hint: expect.stringContaining('a CSV file'),
    })
  })

  test('does not keep its settings and its role after it', async ({ load, dir, sql }) => {
    await sql`create schema x`
    await writeFiles(dir, {
      'a.sql': "set search_path = 'x'; set role pg_monitor; set session authorization pg_monitor",
    })
    expect(await load([{ file: 'a.sql' }])).toEqual(['a.sql 0'])
  })

  test('fails as a whole when a deferred constraint fails at the end', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, parent int references a deferrable initially deferred)`
    await writeFiles(dir, { 'a.sql': 'insert into a values (1, 2)' })
    await expect(load([{ file: 'a.sql' }])).rejects.toMatchObject({ kind: 'seed', sqlstate: '23503' })
    expect(await seedHistory(sql)).toEqual([])
  })

  test('throws the error of a lost connection as it is', async ({ load, dir, sql }) => {
    await sql.unsafe(`create table a (id int primary key);
      create function f() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
      create trigger t before insert on a for each row execute function f()`)
    await writeFiles(dir, { 'a.sql': 'select pg_terminate_backend(pg_backend_pid())', 'a.csv': 'id\n1\n2\n' })
    for (const entry of [{ file: 'a.sql' }, csv('a')]) {
      const error: unknown = await load([entry]).catch((cause: unknown) => cause)
      expect(isConnectionLost(error)).toBe(true)
      expect(error).not.toBeInstanceOf(AppError)
    }
  })
})

describe('what cannot be loaded', () => {
  test.for<[string, SeedConfig]>([
    ['seed file none.sql does not exist', { file: 'none.sql' }],
    ['seed file none.csv does not exist', { file: 'none.csv', table: 'a' }],
    ['seed folder none does not exist', { dir: 'none' }],
    ['a.csv: a file of rows needs a `table`', { file: 'a.csv' }],
    ['a.sql: `key` is for files of rows only', { file: 'a.sql', key: ['id'] }],
    ['latin1.sql is not UTF-8 text', { file: 'latin1.sql' }],
  ])('%s', async ([message, entry], { dir }) => {
    await writeFiles(dir, { 'a.sql': '', 'a.csv': '', 'latin1.sql': Buffer.from([0xe9]) })
    await expect(readSeeds([entry], { baseDir: dir, environment: 'dev' })).rejects.toMatchObject({
      kind: 'usage',
      message,
    })
  })

  test('a file that is listed twice is refused', async ({ dir }) => {
    await writeFiles(dir, { 's/a.sql': '' })
    await expect(
      readSeeds([{ file: 's/a.sql' }, { file: './s/a.sql' }], { baseDir: dir, environment: 'dev' }),
    ).rejects.toMatchObject({
      kind: 'usage',
      message: 's/a.sql is listed twice under `seeds`',
    })
  })
})

describe('a CSV seed', () => {
  test('distinguishes NULL from empty text, and gives missing columns their default', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, name text, note text default 'none', "Über, x" text)`
    await writeFiles(dir, { 'a.csv': '\ufeffid,name,"Über, x"\r\n1,,"a ""b""\r\nc"\r\n2,"",ü😀\r\n' })
    expect(await load([csv('a', ['id'])])).toEqual(['a.csv 2'])
    expect(await sql`select * from a order by id`).toEqual([
      { id: 1, name: null, note: 'none', 'Über, x': 'a "b"\r\nc' },
      { id: 2, name: '', note: 'none', 'Über, x': 'ü😀' },
    ])
  })

  test('with upsert adds new rows, updates those that differ, and writes nothing else', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, name text, data json, note text not null default '')`
    await writeFiles(dir, { 'a.csv': 'id,name,data\n1,one,"{""a"": 1}"\n2,two,\n3,three,[]\n' })
    expect(await load([csv('a', ['id'])])).toEqual(['a.csv 3'])
    const before = await versions(sql, 'a')
    expect(await load([csv('a', ['id'])], { force: true })).toEqual(['a.csv 0'])
    expect(await versions(sql, 'a')).toEqual(before)

    await sql`update a set note = 'mine', name = 'broken' where id = 2`
    await sql`delete from a where id = 3`
    const third = await versions(sql, 'a')
    expect(await load([csv('a', ['id'])], { force: true })).toEqual(['a.csv 2'])
    expect(await sql`select id, name, note from a order by id`).toEqual([
      { id: 1, name: 'one', note: '' },
      { id: 2, name: 'two', note: 'mine' },
      { id: 3, name: 'three', note: '' },
    ])
    expect((await versions(sql, 'a'))[0]).toEqual(third[0])
  })

  test('with insert adds new rows and leaves existing ones alone', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, name text)`
    await sql`insert into a values (1, 'mine')`
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n2,two\n' })
    expect(await load([csv('a')])).toEqual(['a.csv 1'])
    expect(await sql`select * from a order by id`).toEqual([
      { id: 1, name: 'mine' },
      { id: 2, name: 'two' },
    ])
  })

  test('uses up no values of a sequence, and advances it past explicit ones', async ({ load, dir, sql }) => {
    await sql`create table a (id int generated always as identity primary key, old serial, code text unique)`
    await writeFiles(dir, { 'a.csv': 'id,old,code\n7,70,x\n8,80,y\n' })
    await load([csv('a', ['code'])])
    expect(await sql`insert into a (code) values ('z') returning id, old`).toEqual([{ id: 9, old: 81 }])
    await writeFiles(dir, { 'a.csv': 'code\nx\ny\nz\nnew\n' })
    expect(await load([csv('a', ['code'])])).toEqual(['a.csv 1'])
    expect(await sql`insert into a (code) values ('last') returning id`).toEqual([{ id: 11 }])
  })

  describe('advances the sequences that defaults use, whoever owns them', () => {
    const made: [what: string, ddl: string, rows: string, next: object][] = [
      [
        'one that belongs to nobody',
        "create sequence acc_seq; create table a (id bigint primary key default nextval('acc_seq'), code text)",
        'id,code\n7,x\n8,y\n',
        { id: '9' },
      ],
      [
        'one in another schema, with a strange name',
        `create schema "Other"; create sequence "Other"."My ""seq"; create table a (id int primary key default nextval('"Other"."My ""seq"'), code text)`,
        'id,code\n70,x\n',
        { id: 71 },
      ],
      [
        'one of several columns',
        `create sequence s; create table a (id int primary key default nextval('s'), other int default nextval('s'), code text)`,
        'id,other,code\n7,50,x\n',
        { id: 51, other: 52 },
      ],
      [
        'one within an expression',
        `create sequence s; create table a (id int primary key default (nextval('s') + 1000), code text)`,
        'id,code\n1007,x\n',
        { id: 2008 },
      ],
      [
        'one within a text',
        `create sequence s; create table a (id text primary key default ('INV-' || lpad(nextval('s')::text, 4, '0')), code text)`,
        'id,code\nINV-0009,x\nINV-0010,y\nnone,z\n',
        { id: 'INV-0011' },
      ],
      [
        'one of a domain',
        `create sequence s; create domain number as int default nextval('s'); create table a (id number primary key, code text)`,
        'id,code\n12,x\n',
        { id: 13 },
      ],
      [
        'one that counts down',
        `create sequence s increment -1; create table a (id int primary key default nextval('s'), code text)`,
        'id,code\n-5,x\n-2,y\n',
        { id: -6 },
      ],
      [
        'one that cannot reach the largest value',
        `create sequence s as smallint; create table a (id bigint primary key default nextval('s'), code text)`,
        'id,code\n40000,x\n11,y\n',
        { id: '12' },
      ],
      [
        'one of a numeric column',
        `create sequence s; create table a (id numeric primary key default nextval('s'), code text)`,
        'id,code\n7.5,x\n',
        { id: '9' },
      ],
    ]
    for (const [what, ddl, rows, next] of made)
      test(what, async ({ load, dir, sql }) => {
        await sql.unsafe(ddl)
        await writeFiles(dir, { 'a.csv': rows })
        await load([csv('a', ['id'])])
        expect(await sql`insert into a (code) values ('next') returning ${sql(Object.keys(next))}`).toEqual([next])
      })

    test('a CSV seed never moves sequences back', async ({ load, dir, sql }) => {
      await sql.unsafe(
        `create sequence s; create table a (id int primary key default nextval('s'), code text); select setval('s', 500)`,
      )
      await writeFiles(dir, { 'a.csv': 'id,code\n7,x\n' })
      await load([csv('a', ['id'])])
      expect(await sql`insert into a (code) values ('next') returning id`).toEqual([{ id: 501 }])
    })
  })

  test('a CSV seed with a generated column is refused', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, twice int generated always as (id * 2) stored)`
    await writeFiles(dir, { 'a.csv': 'twice,id\n99,1\n' })
    await expect(load([csv('a', ['id'])])).rejects.toMatchObject({
      message: 'a.csv: the column "twice" of public.a is generated, and cannot be written',
      place: { line: 1 },
    })
  })

  test('keeps triggers and constraints on', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key check (id < 10), name text)`
    await sql.unsafe(`create function f() returns trigger language plpgsql as $$ begin new.name = upper(new.name); return new; end $$;
      create trigger t before insert on a for each row execute function f()`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n' })
    await load([csv('a', ['id'])])
    expect(await sql`select name from a`).toEqual([{ name: 'ONE' }])
    await writeFiles(dir, { 'a.csv': 'id,name\n1,ONE\n11,x\n' })
    await expect(load([csv('a', ['id'])])).rejects.toMatchObject({ kind: 'seed', sqlstate: '23514' })
  })

  test('writes as the role, which need not be allowed to create temporary tables', async ({
    load,
    dir,
    sql,
    database,
  }) => {
    const owner = uniqueName('owner')
    await sql.unsafe(
      `create role ${owner}; create schema app authorization ${owner}; revoke temporary on database ${database} from public`,
    )
    await sql.unsafe(
      `set role ${owner}; create table app.a (id int primary key, who text default current_user); reset role`,
    )
    for (const content of ['id\n1\n', 'id\n1\n2\n']) {
      await writeFiles(dir, { 'a.csv': content })
      expect(await load([{ file: 'a.csv', table: 'app.a', key: ['id'] }], { role: owner })).toEqual(['a.csv 1'])
    }
    expect(await sql`select * from app.a order by id`).toEqual([
      { id: 1, who: owner },
      { id: 2, who: owner },
    ])
  })

  test('is refused with 12 when the session user may not act as the role', async ({ load, dir, sql }) => {
    const [owner, user] = [uniqueName('owner'), uniqueName('user')]
    await sql.unsafe(`create role ${owner}; create role ${user} login password 'x'; grant all on schema pgbosun to ${user};
      grant all on pgbosun.seeds to ${user}; create table a (id int primary key)`)
    await writeFiles(dir, { 'a.csv': 'id\n1\n' })
    const as = { name: user, password: 'x' }
    await expect(load([csv('a')], { role: owner, as })).rejects.toMatchObject({ kind: 'refused' })
    await expect(load([csv('a')], { role: 'nobody at all' })).rejects.toMatchObject({ kind: 'refused' })
  })

  const rows = Array.from({ length: 20_000 }, (_, i) => `${i + 10},name ${i}\n`).join('')

  test.for<[string, string, { message?: unknown; line?: number; column?: number }]>([
    [
      'names a line with too few values',
      'id,name\n1,a\n2\n3,c\n',
      { message: 'a.csv, line 3: 1 value, but the first line names 2 columns', line: 3 },
    ],
    [
      'names a line with too many',
      'id,name\n1,a\n2,b,c\n',
      { message: 'a.csv, line 3: 3 values, but the first line names 2 columns', line: 3, column: 5 },
    ],
    ['names it deep in a file', `id,name\n${rows}x\n${rows}`, { line: 20_002 }],
    [
      'names a value of the wrong type',
      'id,name\n1,"a\nb"\nx,b',
      { message: 'a.csv, line 4, column id: invalid input syntax for type integer: "x"', line: 4, column: 1 },
    ],
    [
      'names an open quote',
      'id,name\n1,"a\n2,b\n',
      { message: 'a.csv, line 2: the quote at column 3 is never closed', line: 2, column: 3 },
    ],
    [
      'names the quote that opens within a value',
      'id,name\n1,5" disk\n2,"b"\n',
      { message: 'a.csv, line 2: the quote at column 4 is never closed', line: 2, column: 4 },
    ],
    [
      'names the quote that swallows lines',
      'id,name\n1,5" disk\n2,3" disk,4\n',
      {
        message: 'a.csv, line 2: the quote at column 4 makes one value of everything up to a quote in line 3',
        line: 2,
        column: 4,
      },
    ],
    [
      'names the quote that would make one row of two',
      'id,name\n1,5" disk\n2,3" disk\n',
      {
        message: 'a.csv, line 2: the quote at column 4 makes one value of everything up to a quote in line 3',
        line: 2,
        column: 4,
      },
    ],
    [
      'names the quote that would be lost',
      'id,name\n1,"a, ""b"" "\n2,say "hi"\n',
      {
        message: 'a.csv, line 3: the quote at column 7 does not enclose the whole value, and would be lost',
        line: 3,
        column: 7,
      },
    ],
    [
      'refuses an unknown column',
      'id,nmae\n1,a\n',
      { message: 'a.csv: the table public.a has no column "nmae"', line: 1 },
    ],
    [
      'refuses a column that appears twice',
      'id,id\n1,1\n',
      { message: 'a.csv, line 1: the column "id" appears twice', line: 1 },
    ],
    ['refuses an empty file', '', { message: 'a.csv, line 1: the file is empty', line: 1 }],
    [
      'refuses a key that is not in the file',
      'name\na\n',
      { message: 'a.csv: the key column id is not in the file', line: 1 },
    ],
  ])('%s, into an empty table and into a full one', async ([, content, { line, column, ...wanted }], {
    load,
    dir,
    sql,
  }) => {
    await sql`create table a (id int primary key, name text)`
    await writeFiles(dir, { 'a.csv': content })
    const error = {
      kind: 'seed',
      ...wanted,
      place: { file: 'a.csv', ...(line && { line }), ...(column && { column }) },
    }
    await expect(load([csv('a', ['id'])])).rejects.toMatchObject(error)
    await sql`insert into a values (0, 'zero')`
    await expect(load([csv('a', ['id'])])).rejects.toMatchObject(error)
    expect(await sql`select * from a`).toEqual([{ id: 0, name: 'zero' }])
    expect(await seedHistory(sql)).toEqual([])
  })

  test('refuses a repeated and an empty key, with the line', async ({ load, dir, sql }) => {
    await sql`create table a (id int, name text, unique (id, name))`
    const loading = () => load([csv('a', ['id', 'name'])])
    await writeFiles(dir, { 'a.csv': 'id,name\n1,"a\nb"\n,c\n' })
    const empty = { kind: 'seed', message: 'a.csv, line 4: the key (id, name) is empty', place: { line: 4 } }
    await expect(loading()).rejects.toMatchObject(empty)
    await writeFiles(dir, { 'b.csv': 'id,name\n1,"a\nb"\n2,""\n01,"a\nb"\n' })
    const b: SeedConfig = { file: 'b.csv', table: 'a', key: ['id', 'name'] }
    const twice = {
      kind: 'seed',
      message: 'b.csv, line 5: the key (id, name) = (1, a\\u000ab) appears for the second time, after line 2',
      place: { file: 'b.csv', line: 5 },
    }
    await expect(load([b])).rejects.toMatchObject({
      sqlstate: '23505',
      ...twice,
    })

    await sql`insert into a values (0, 'zero')`
    await expect(loading()).rejects.toMatchObject(empty)
    await expect(load([b])).rejects.toMatchObject(twice)
  })

  describe('a row that a constraint refuses', () => {
    const schema = `
      create table country (code text primary key);
      insert into country values ('de'), ('fr');
      create table a (id int primary key, name text not null, email text, country text references country,
        parent int references a deferrable initially deferred, size int, check (size > 0));
      create unique index a_email on a (lower(email)) where size is distinct from 99;`
    const good = '1,one,one@x,de,2,1\n2,"t\nwo",two@x,fr,,2\n'
    const header = 'id,name,email,country,parent,size\n'

    test.for<[string, string, object]>([
      [
        'a foreign key',
        '3,three,,xx,,1\n4,four,,de,,1\n',
        {
          message: expect.stringMatching(/^a\.csv, line 5: .*"a_country_fkey"$/),
          sqlstate: '23503',
          place: { line: 5 },
        },
      ],
      [
        'a deferred one to the same table, which later rows may satisfy',
        '3,three,,de,4,1\n4,four,,de,5,1\n',
        { message: expect.stringMatching(/^a\.csv, line 6: .*"a_parent_fkey"$/), place: { line: 6 } },
      ],
      [
        'a deferred one to the same table',
        '3,three,,de,7,1\n',
        { message: expect.stringMatching(/^a\.csv, line 5: .*"a_parent_fkey"$/), sqlstate: '23503' },
      ],
      [
        'not null',
        '3,,,de,,1\n',
        {
          message: expect.stringMatching(/^a\.csv, line 5, column name: /),
          hint: 'an empty field is NULL: write a value, or "" for the empty text',
          place: { line: 5, column: 3 },
        },
      ],
      ['a check', '3,three,,de,,-1\n', { message: expect.stringMatching(/^a\.csv, line 5: .*"a_size_check"$/) }],
      [
        'a unique index on an expression, for some rows, twice in the file',
        '3,three,x@x,de,,99\n4,four,X@x,de,,1\n5,five,x@X,de,,1\n',
        {
          message: 'a.csv, line 7: the key (lower(email)) = (x@x) appears for the second time, after line 6',
          sqlstate: '23505',
          place: { line: 7 },
        },
      ],
      [
        'the primary key, twice in the file',
        '3,three,,de,,1\n2,again,,de,,1\n',
        { message: 'a.csv, line 6: the key (id) = (2) appears for the second time, after line 3', place: { line: 6 } },
      ],
      [
        'the type of a value',
        '3,three,,de,,"1\n0"\n',
        {
          message: expect.stringMatching(/^a\.csv, line 5, column size: invalid input syntax for type integer/),
          place: { line: 5, column: 14 },
        },
      ],
    ])('is named by its line: %s', async ([, rows, wanted], { load, dir, sql }) => {
      await sql.unsafe(schema)
      await writeFiles(dir, { 'a.csv': header + good + rows })
      await expect(load([csv('a', ['id'])])).rejects.toMatchObject({ kind: 'seed', ...wanted })
      await sql.unsafe("insert into a values (0, 'zero', null, null, null, 1)")
      await expect(load([csv('a', ['id'])])).rejects.toMatchObject({ kind: 'seed', ...wanted })
      expect(await sql`select id from a`).toEqual([{ id: 0 }])
      expect(await sql`select current_setting('pgbosun.culprit', true) as left`).toEqual([{ left: null }])
    })

    test('is named when it is updated, and when the table has its value already', async ({ load, dir, sql }) => {
      await sql.unsafe(
        `${schema} insert into a values (1, 'one', 'x@x', 'de', null, 1), (2, 'two', 'y@x', 'de', null, 1)`,
      )
      await writeFiles(dir, { 'a.csv': 'id,name,email,country\n1,one,x@x,de\n2,two,y@x,xx\n' })
      await expect(load([csv('a', ['id'])])).rejects.toMatchObject({ place: { line: 3 }, sqlstate: '23503' })
      await writeFiles(dir, { 'a.csv': 'id,name,email\n1,one,x@x\n3,three,X@x\n' })
      await expect(load([csv('a', ['id'])])).rejects.toMatchObject({
        message: 'a.csv, line 3: duplicate key value violates unique constraint "a_email"',
        place: { line: 3 },
      })
      await writeFiles(dir, { 'a.csv': 'id,email\n3,z@x\n' })
      await expect(load([csv('a', ['id'])])).rejects.toMatchObject({
        hint: 'the file has no column name: add it, or give it a default',
      })
    })

    test('is named to a role that owns the table, and leaves the role and the settings as they were', async ({
      load,
      dir,
      sql,
    }) => {
      const role = uniqueName('owner')
      await sql.unsafe(`create role ${role}; grant create on schema public to ${role}; set role ${role};
        create table b (id int primary key, n int references b); insert into b values (0, null); reset role`)
      await writeFiles(dir, { 'b.csv': 'id,n\n1,0\n2,9\n' })
      await expect(load([csv('b', ['id'])], { role })).rejects.toMatchObject({ place: { line: 3 } })
    })
  })

  test('refuses a key without a unique index, and a table that does not exist', async ({ load, dir, sql }) => {
    await sql`create table a (id int, name text)`
    await sql`create unique index on a (id) where name is null`
    await writeFiles(dir, { 'a.csv': 'id\n1\n', 'b.csv': 'id\n1\n' })
    await expect(load([csv('a', ['id'])])).rejects.toMatchObject({
      message: 'a.csv: the key (id) has no unique index on public.a',
    })
    await expect(load([csv('b', ['id'])])).rejects.toMatchObject({ message: 'b.csv: there is no table public.b' })
    await expect(load([csv('a', undefined, 'upsert')])).rejects.toMatchObject({
      message: 'a.csv: upsert needs a `key`',
    })
  })
})

const tables = {
  users:
    'id telegram_id username first_name last_name language_code is_bot is_premium created_at updated_at metadata email_verified phone_verified',
  games:
    'id user_id algorithm_type bet_amount outcome multiplier payout_amount house_edge session_id seed created_at metadata',
  transactions:
    'id user_id transaction_type amount balance_before balance_after status reference_id created_at metadata',
  notifications: 'id user_id notification_type title message is_read read_at created_at metadata',
  audit_logs:
    'id user_id action entity_type entity_id before_state after_state ip_address user_agent created_at metadata',
  outbox: 'id user_id outbox_type status payload attempts next_retry_at created_at updated_at metadata',
  settings: 'id setting_key setting_value created_at updated_at',
}
const indexed = {
  users: ['telegram_id', 'created_at', 'email_verified'],
  games: ['user_id', 'created_at', 'session_id'],
  transactions: ['user_id', 'created_at', 'transaction_type'],
  notifications: ['user_id', 'created_at', 'is_read'],
  audit_logs: ['user_id', 'created_at', 'action', 'entity_type,entity_id'],
  outbox: ['user_id', 'status', 'created_at', 'next_retry_at'],
  settings: ['setting_key'],
}
const money = ['bet_amount', 'payout_amount', 'amount', 'balance_before', 'balance_after']

describe('the sample application', () => {
  const root = join(import.meta.dirname, '..')
  const migrate = async (sql: Sql) => {
    for (const name of (await readdir(join(root, 'migrations'))).sort())
      await sql.unsafe(await readFile(join(root, 'migrations', name), 'utf8'))
  }

  test('has exactly its tables, columns and indexes', async ({ sql }) => {
    await migrate(sql)
    const columns = await sql`select table_name, string_agg(column_name, ' ' order by ordinal_position) as names
      from information_schema.columns where table_schema = 'public' group by 1`
    expect(Object.fromEntries(columns.map((row) => [row.table_name, row.names]))).toEqual(tables)
    const indexes = await sql`select i.indrelid::regclass::text as table_name,
        (select string_agg(attname, ',' order by attnum) from pg_attribute where attrelid = i.indexrelid) as columns
      from pg_index i join pg_class c on c.oid = i.indrelid
      where c.relnamespace = 'public'::regnamespace and not indisprimary order by i.indexrelid`
    expect(Object.groupBy(indexes, (row) => row.table_name)).toEqual(
      Object.fromEntries(
        Object.entries(indexed).map(([table, names]) => [
          table,
          expect.arrayContaining(names.map((columns) => ({ table_name: table, columns }))),
        ]),
      ),
    )
    expect(indexes).toHaveLength(Object.values(indexed).flat().length)
  })

  test('keeps money exact, instants with their zone, and a comment on every table', async ({ sql }) => {
    await migrate(sql)
    expect(
      await sql`select distinct data_type from information_schema.columns where table_schema = 'public' and column_name in ${sql(money)}`,
    ).toEqual([{ data_type: 'numeric' }])
    expect(
      await sql`select distinct data_type, column_default from information_schema.columns where table_schema = 'public' and column_name in ('created_at', 'updated_at')`,
    ).toEqual([{ data_type: 'timestamp with time zone', column_default: 'CURRENT_TIMESTAMP' }])
    expect(
      await sql`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and obj_description(oid, 'pg_class') is null`,
    ).toEqual([])
    expect(
      await sql`select conrelid::regclass::text as "table", confdeltype as "action" from pg_constraint
                 where contype = 'f' and connamespace = 'public'::regnamespace order by 1`,
    ).toEqual([
      { table: 'audit_logs', action: 'n' },
      ...['games', 'notifications', 'outbox', 'transactions'].map((table) => ({ table, action: 'c' })),
    ])
  })

  test('loads its seeds, and records when a row was changed', async ({ sql, load, dir }) => {
    await migrate(sql)
    const read = async (name: string) => readFile(join(root, 'seeds', name))
    await writeFiles(dir, {
      'seeds/settings.csv': await read('settings.csv'),
      'seeds/dev/demo_user.sql': await read('dev/demo_user.sql'),
    })
    const entries: SeedConfig[] = [
      { file: 'seeds/settings.csv', table: 'settings', key: ['setting_key'] },
      { dir: 'seeds/dev', when: ['dev'] },
    ]
    expect(await load(entries, { environment: 'prod' })).toEqual(['seeds/settings.csv 6'])
    expect(await load(entries)).toEqual(['seeds/dev/demo_user.sql 2'])
    expect(await load(entries, { force: true })).toEqual(['seeds/settings.csv 0', 'seeds/dev/demo_user.sql 0'])
    expect(await sql`select setting_value ->> 'max' as max from settings where setting_key = 'bet_limits'`).toEqual([
      { max: '1000' },
    ])
    await sql`update users set username = 'other'`
    expect(await sql`select 1 from users where updated_at > created_at`).toHaveLength(1)
  })
})
