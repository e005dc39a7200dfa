import postgres from 'postgres'
import { describe, expect } from 'vitest'
import type { SeedConfig } from '../src/config/schema.ts'
import { type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { testSeeds as test } from './support/seed.ts'

const jsonl = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const a = (file: string, more: object = {}): SeedConfig => ({ file, table: 'a', ...more })
const all = (sql: Sql) => sql.unsafe('select * from a order by id')

describe('a JSON seed', () => {
  const schema = `create domain tags as text[];
    create table a (id bigint primary key, name text default 'none', n numeric, doc jsonb, raw json, tags tags, grid int[], docs jsonb[], ok boolean, at date)`

  test('keeps every value as it is, in both forms, into an empty table and into a full one', async ({
    load,
    dir,
    sql,
  }) => {
    await sql.unsafe(schema)
    const rows = String.raw`{"id": 9007199254740993, "name": "a\tb\n\\c \ud83d\ude00 \"q\"", "n": 1.10, "doc": {"b": [1, {"c": null}], "a": 12345678901234567890},
      "raw": "text", "tags": ["x,y", null, "q\"\\"], "grid": [[1, 2], [3, 4]], "docs": [{"a": [1]}, [2], "t", null], "ok": true, "at": "2026-01-31"}`
    const wanted = {
      id: '9007199254740993',
      name: 'a\tb\n\\c 😀 "q"',
      n: '1.10',
      doc: '{"a": 12345678901234567890, "b": [1, {"c": null}]}',
      raw: '"text"',
      grid: '{{1,2},{3,4}}',
      ok: true,
      at: '2026-01-31',
    }
    const found = () =>
      sql.unsafe(`select id, name, n, doc::text, raw::text, grid::text, ok, at::text, tags[1] as tag, tags[2] as none, tags[3] as quoted,
        docs[1]::text as d1, docs[2]::text as d2, docs[3]::text as d3, docs[4]::text as d4 from a where id > 0`)
    for (const full of [false, true]) {
      await sql.unsafe(`truncate a; ${full ? 'insert into a (id) values (0)' : ''}`)
      for (const [file, content] of [
        ['a.json', `\ufeff [ ${rows} ] `],
        ['a.jsonl', `\ufeff${rows.replaceAll(/\n\s*/g, ' ')}\r\n\n`],
      ] as const) {
        await sql.unsafe('delete from a where id > 0')
        await writeFiles(dir, { [file]: content })
        expect(await load([a(file, { key: ['id'] })], { force: true })).toEqual([`${file} 1`])
        expect(await found()).toEqual([
          { ...wanted, tag: 'x,y', none: null, quoted: 'q"\\', d1: '{"a": [1]}', d2: '[2]', d3: '"t"', d4: null },
        ])
        expect(await load([a(file, { key: ['id'] })], { force: true })).toEqual([`${file} 0`])
      }
    }
  })

  test('a key that a row lacks gets the default, or stays as it is; null is NULL', async ({ load, dir, sql }) => {
    await sql`create table a (id int generated always as identity primary key, code text unique, name text default upper('none'), n int default 7)`
    await writeFiles(dir, {
      'a.jsonl': jsonl([
        { code: 'x', n: 1 },
        { code: 'y', name: null },
        { code: 'z', name: 'zed', id: 50 },
      ]),
    })
    const entry = a('a.jsonl', { key: ['code'] })
    expect(await load([entry])).toEqual(['a.jsonl 3'])
    const rows = [
      { id: 1, code: 'x', name: 'NONE', n: 1 },
      { id: 2, code: 'y', name: null, n: 7 },
      { id: 50, code: 'z', name: 'zed', n: 7 },
    ]
    expect(await all(sql)).toEqual(rows)
    await sql`update a set name = 'mine', n = 99`
    expect(await load([entry], { force: true })).toEqual(['a.jsonl 3'])
    expect(await all(sql)).toEqual([
      { ...rows[0], name: 'mine' },
      { ...rows[1], n: 99 },
      { ...rows[2], n: 99 },
    ])
    expect(await load([entry], { force: true })).toEqual(['a.jsonl 0'])
    expect(await sql`insert into a (code) values ('next') returning id`).toEqual([{ id: 51 }])
  })

  test('that is long is read piece by piece, and rows come through whole', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, name text)`
    const rows = Array.from({ length: 30_000 }, (_, id) => ({ id, name: `näme 😀 ${id}` }))
    await writeFiles(dir, { 'a.json': JSON.stringify(rows, null, 1), 'b.jsonl': jsonl(rows) })
    expect(await load([a('a.json', { key: ['id'] })])).toEqual(['a.json 30000'])
    expect(await load([a('b.jsonl', { key: ['id'] })])).toEqual(['b.jsonl 0'])
  })

  test('of no rows loads nothing', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key)`
    await writeFiles(dir, { 'a.json': '[]', 'b.jsonl': '\n' })
    expect(await load([a('a.json'), a('b.jsonl', { key: ['id'] })], { check: true })).toEqual(['a.json 0', 'b.jsonl 0'])
  })

  test.for<[string, string, string, object]>([
    [
      'an open quote',
      'a.jsonl',
      '{"id": 1}\n{"id": 2, "name": "x\n{"id": 3}',
      { message: 'a.jsonl, line 2: the quote is never closed', place: { line: 2, column: 19 } },
    ],
    [
      'what is no JSON',
      'a.jsonl',
      '{"id": 1}\n{"id": 2, name: 3}',
      { message: 'a.jsonl, line 2: "n" where a key in double quotes is expected', place: { line: 2, column: 11 } },
    ],
    [
      'a second object on a line',
      'a.jsonl',
      '{"id": 1} {"id": 2}',
      { message: 'a.jsonl, line 1: there is something after the end of the object', place: { column: 11 } },
    ],
    [
      'an array on a line',
      'a.jsonl',
      '[1]',
      { message: 'a.jsonl, line 1: a row must be an object: {"column": value}' },
    ],
    [
      'a key twice',
      'a.json',
      '[\n {"id": 1,\n  "id": 2}]',
      { message: 'a.json, line 3: the key "id" appears twice', place: { line: 3, column: 3 } },
    ],
    [
      'an object instead of an array',
      'a.json',
      '{"id": 1}',
      { message: 'a.json, line 1: a JSON file must be an array of objects: [{"column": value}, …]' },
    ],
    [
      'an array that is never closed',
      'a.json',
      '[{"id": 1},\n',
      { message: 'a.json, line 2: the array is never closed' },
    ],
    [
      'an object that is never closed',
      'a.json',
      '[{"id": 1},\n {"id": 2',
      { message: 'a.json, line 2: the object that starts here is never closed', place: { line: 2, column: 2 } },
    ],
    [
      'a missing comma',
      'a.json',
      '[{"id": 1}\n {"id": 2}]',
      { message: 'a.json, line 2: "{" where a comma or ] is expected', place: { line: 2, column: 2 } },
    ],
    [
      'something after the array',
      'a.json',
      '[]\nx',
      { message: 'a.json, line 2: there is something after the end of the array' },
    ],
    [
      'a wrong value',
      'a.json',
      '[{"id": 1},\n {"name": "x",\n  "id": "x"}]',
      {
        message: 'a.json, line 3, column id: invalid input syntax for type integer: "x"',
        place: { line: 3, column: 9 },
      },
    ],
    [
      'a nested value in a number',
      'a.jsonl',
      '{"id": 1}\n{"id": [2]}',
      { message: 'a.jsonl, line 2, column id: invalid input syntax for type integer: "[2]"' },
    ],
    [
      'a zero byte',
      'a.jsonl',
      '{"id": 1, "name": "\\u0000"}',
      { message: 'a.jsonl, line 1: PostgreSQL cannot store \\u0000 in a text', place: { column: 19 } },
    ],
    [
      'half a character',
      'a.jsonl',
      '{"id": 1, "name": "\\ud83d"}',
      { message: 'a.jsonl, line 1: half a surrogate pair is no character' },
    ],
    [
      'an unknown key',
      'a.jsonl',
      '{"id": 1, "nmae": 1}',
      { message: 'a.jsonl: the table public.a has no column "nmae"' },
    ],
    [
      'a row without its key',
      'a.jsonl',
      '{"id": 1}\n{"name": "x"}',
      { message: 'a.jsonl, line 2: the key (id) is empty' },
    ],
    [
      'a key twice in the file',
      'a.jsonl',
      '{"id": 1}\n\n{"id": 1}',
      { message: 'a.jsonl, line 3: the key (id) = (1) appears for the second time, after line 1' },
    ],
    [
      'a row that a constraint refuses',
      'a.json',
      '[{"id": 1},\n{"id": 2,\n"name": "bad"}]',
      { message: expect.stringMatching(/^a\.json, line 2: .*"a_name_check"$/), place: { line: 2 } },
    ],
    [
      'NULL where none may be',
      'a.jsonl',
      '{"id": 1}\n{"id": 2, "must": null}',
      { message: expect.stringMatching(/^a\.jsonl, line 2, column must: null value/), place: { line: 2, column: 19 } },
    ],
  ])('is refused with the place of %s', async ([, file, content, wanted], { load, dir, sql }) => {
    await sql`create table a (id int primary key, name text check (name <> 'bad'), must int not null default 1)`
    await writeFiles(dir, { [file]: content })
    for (const full of [false, true]) {
      if (full) await sql`insert into a values (0, 'zero')`
      await expect(load([a(file, { key: ['id'] })])).rejects.toMatchObject({ kind: 'seed', ...wanted })
    }
    expect(await sql`select id from a`).toEqual([{ id: 0 }])
  })

  test('is refused when it is not UTF-8', async ({ load, dir, sql }) => {
    await sql`create table a (id int primary key, name text)`
    await writeFiles(dir, { 'a.jsonl': Buffer.from('{"id": 1, "name": "\xe9"}', 'latin1') })
    await expect(load([a('a.jsonl')])).rejects.toMatchObject({ message: 'a.jsonl is not UTF-8 text, near byte 0' })
  })
})

describe('sync', () => {
  const sync = (more: object = {}): SeedConfig => a('a.csv', { mode: 'sync', key: ['id'], ...more })
  const lsn = async (sql: Sql) => (await sql`select pg_current_wal_lsn()::text as lsn`)[0]!.lsn
  const table = "create table a (id int primary key, name text, origin text default 'seed')"

  test('adds, updates and deletes rows, and compares at every run', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n2,two\n3,three\n' })
    expect(await load([sync()])).toEqual(['a.csv 3'])
    expect(await load([sync()])).toEqual([])
    await sql`update a set name = 'broken' where id = 1`
    await sql`delete from a where id = 2`
    await sql`insert into a values (9, 'extra')`
    expect(await load([sync()])).toEqual(['a.csv 3'])
    expect(await sql`select id, name from a order by id`).toEqual([
      { id: 1, name: 'one' },
      { id: 2, name: 'two' },
      { id: 3, name: 'three' },
    ])
    await sql`update a set origin = 'of no column of the file'`
    expect(await load([sync()])).toEqual([])
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n' })
    expect(await load([sync()])).toEqual(['a.csv 2'])
  })

  test('writes no WAL when nothing differs', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n2,two\n' })
    await load([sync({ scope: "origin = 'seed'" })])
    await sql`vacuum a`
    await sql`checkpoint`
    // Something else of the server may write in between: then it is tried again.
    const grown: boolean[] = []
    for (let i = 0; i < 5 && !grown.includes(false); i++) {
      const before = await lsn(sql)
      expect(await load([sync({ scope: "origin = 'seed'" })])).toEqual([])
      grown.push((await lsn(sql)) !== before)
    }
    expect(grown).toContain(false)
  })

  test('leaves rows out of its scope alone, and refuses to write them', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a values (7, 'mine', 'user'), (8, 'old', 'seed')`)
    await writeFiles(dir, { 'a.csv': 'id,name,origin\n1,one,seed\n' })
    const scoped = sync({ scope: "origin in ('seed', 'x') and id < 100" })
    expect(await load([scoped])).toEqual(['a.csv 2'])
    await sql`insert into a values (10, 'another', 'user')`
    expect(await load([scoped])).toEqual([])
    expect(await sql`select id from a order by id`).toEqual([{ id: 1 }, { id: 7 }, { id: 10 }])
    await writeFiles(dir, { 'a.csv': 'id,name,origin\n1,one,seed\n2,two,user\n' })
    await expect(load([scoped])).rejects.toMatchObject({
      message: "a.csv, line 3: the row is not in the scope: origin in ('seed', 'x') and id < 100",
      place: { line: 3 },
    })
    await expect(load([sync({ scope: 'nothing = 1' })])).rejects.toMatchObject({
      message: '`scope` names the column "nothing", which public.a does not have'.replace(/^/, 'a.csv: '),
    })
  })

  test('refuses to delete more than it may, before anything is written', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a select i, 'n' from generate_series(1, 100) i`)
    const rows = (from: number) =>
      `id,name\n${Array.from({ length: 101 - from }, (_, i) => `${from + i},n\n`).join('')}200,new\n`
    await writeFiles(dir, { 'a.csv': rows(12) })
    await expect(load([sync()])).rejects.toMatchObject({
      kind: 'seed',
      message: 'a.csv: 11 rows of 100 in public.a would be deleted, but `maxDeletes` is 10 %',
      hint: 'if the file is right: `pgbosun seed --accept-deletes`, or raise `maxDeletes`',
    })
    expect(await sql`select from a`).toHaveLength(100)
    await expect(load([sync({ maxDeletes: 10 })])).rejects.toMatchObject({ message: /but `maxDeletes` is 10 rows$/ })
    expect(await load([sync({ maxDeletes: '11%' })])).toEqual(['a.csv 12'])
    await writeFiles(dir, { 'a.csv': 'id,name\n' })
    await expect(load([sync()])).rejects.toMatchObject({ kind: 'seed' })
    expect(await load([sync()], { acceptDeletes: true })).toEqual(['a.csv 90'])
  })

  test('deletes none where `maxDeletes` is none', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a values (1, 'one'), (2, 'two')`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n' })
    await expect(load([sync({ maxDeletes: 0 })])).rejects.toMatchObject({
      message: 'a.csv: 1 row of 2 in public.a would be deleted, but `maxDeletes` is 0 rows',
    })
    await expect(load([sync({ maxDeletes: '0%' })])).rejects.toMatchObject({ message: /`maxDeletes` is 0 %$/ })
    expect(await load([sync({ maxDeletes: 1 })])).toEqual(['a.csv 1'])
  })

  test('does not take over a row that is outside its scope', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a values (1, 'of a user', 'user')`)
    await writeFiles(dir, { 'a.csv': 'id,name,origin\n2,two,seed\n1,one,seed\n' })
    await expect(load([sync({ scope: "origin = 'seed'" })])).rejects.toMatchObject({
      message: "a.csv, line 3: the row with its key is not in the scope: origin = 'seed'",
      hint: 'give the row another key, or widen `scope`',
    })
    expect(await sql`select name, origin from a`).toEqual([{ name: 'of a user', origin: 'user' }])
  })

  test('remembers the file that was loaded, though another one was planned', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    const write = (name: string) => writeFiles(dir, { 'a.csv': `id,name\n1,${name}\n` })
    await write('one')
    await load([sync()])
    await write('two')
    await load([sync()], { between: () => write('three') })
    await write('two')
    expect(await load([sync()])).toEqual(['a.csv 1'])
    expect(await sql`select name from a`).toEqual([{ name: 'two' }])
  })

  test('of no rows, for a table without a key, are loaded once', async ({ load, dir, sql }) => {
    await sql.unsafe('create table a (id int)')
    await writeFiles(dir, { 'a.json': '[]\n' })
    expect(await load([{ file: 'a.json', table: 'a' }])).toEqual(['a.json 0'])
    expect(await load([{ file: 'a.json', table: 'a' }])).toEqual([])
  })

  test('deletes no row of a table that inherits', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; create table b () inherits (a); insert into b values (2, 'of b')`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n' })
    await expect(load([sync()])).rejects.toMatchObject({
      message: 'a.csv: sync would also delete rows of the tables that inherit from public.a',
    })
    expect(await sql`select name from a`).toEqual([{ name: 'of b' }])
  })

  test('is refused where another file loads the same table, without a scope', async ({ load, dir }) => {
    await writeFiles(dir, { 's/1_a.csv': 'id\n1\n', 's/dev/2_a.csv': 'id\n2\n' })
    await expect(load([{ dir: 's', mode: 'sync' }])).rejects.toMatchObject({
      kind: 'usage',
      message: 's/1_a.csv would delete the rows of s/dev/2_a.csv: both load public.a',
    })
  })

  /** Whether another session waits for a lock. */
  const waits = async (sql: Sql) =>
    expect
      .poll(async () => sql`select from pg_locks where not granted`.then((rows) => rows.length), { timeout: 10_000 })
      .toBeGreaterThan(0)

  test.for([
    [
      'an update',
      'id,name\n1,new\n2,two\n',
      "insert into a values (1, 'one'), (2, 'two')",
      "update a set name = 'x' where id = 1",
      '',
    ],
    ['the first copy', 'id,name\n1,new\n2,two\n', '', "savepoint s; insert into a values (1, 'x')", 'rollback to s;'],
  ] as const)('does not remember as right what somebody else inserts during %s', async ([, file, before, held, undo], {
    load,
    dir,
    sql,
    database,
  }) => {
    await sql.unsafe(`${table}; ${before}`)
    await writeFiles(dir, { 'a.csv': file })
    const other = postgres(urlOf(database), { max: 1, onnotice() {} })
    try {
      await other.unsafe(`begin; insert into a values (9, 'of somebody else'); ${held}`)
      const loading = load([sync()])
      await waits(sql)
      await other.unsafe(`${undo} commit`)
      await loading
    } finally {
      await other.end({ timeout: 0 })
    }
    expect(await sql`select id from a order by id`).toEqual([{ id: 1 }, { id: 2 }, { id: 9 }])
    expect(await load([sync()])).toEqual(['a.csv 1'])
    expect(await sql`select id, name from a order by id`).toEqual([
      { id: 1, name: 'new' },
      { id: 2, name: 'two' },
    ])
    expect(await load([sync()])).toEqual([])
  })

  test('does not remember as right that somebody else deletes a row meanwhile', async ({
    load,
    dir,
    sql,
    database,
  }) => {
    await sql.unsafe(`${table}; insert into a values (1, 'one'), (2, 'two')`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,new\n2,two\n' })
    const other = postgres(urlOf(database), { max: 1, onnotice() {} })
    try {
      await other.unsafe("begin; delete from a where id = 2; update a set name = 'x' where id = 1")
      const loading = load([sync()])
      await waits(sql)
      await other.unsafe('commit')
      await loading
    } finally {
      await other.end({ timeout: 0 })
    }
    expect(await load([sync()])).toEqual(['a.csv 1'])
    expect(await sql`select id from a order by id`).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('settles where a trigger keeps a row from being written', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a values (1, 'kept');
      create function f() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger t before insert or update on a for each row execute function f()`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n2,two\n' })
    await load([sync()])
    expect(await load([sync()])).toEqual([])
  })

  test('is refused at the start where two of one table have the same scope', async ({ load, dir }) => {
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n', 'b.csv': 'id,name\n2,two\n' })
    const other = a('b.csv', { mode: 'sync', key: ['id'], scope: "ORIGIN  = 'seed'" })
    await expect(load([sync({ scope: "origin = 'seed'" }), other])).rejects.toMatchObject({
      kind: 'usage',
      message: 'a.csv and b.csv would delete the rows of each other: both load public.a in the same scope',
    })
  })

  const both = [
    sync({ scope: "origin = 'seed'" }),
    a('b.csv', { mode: 'sync', key: ['id'], scope: "origin in ('seed', 'b')" }),
  ]

  test('is refused when it has written a row in the scope of another one', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n', 'b.csv': 'id,name,origin\n2,two,b\n' })
    const refused = {
      kind: 'seed',
      message: "a.csv has written 1 row in the scope of b.csv, which would delete it: origin in ('seed', 'b')",
    }
    await expect(load(both)).rejects.toMatchObject(refused)
    expect(await all(sql)).toEqual([])
    await load([both[1]!])
    await expect(load(both)).rejects.toMatchObject(refused)
    expect(await all(sql)).toHaveLength(1)
  })

  test('is refused when it would delete a row in the scope of another one', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n', 'b.csv': 'id,name,origin\n2,two,b\n' })
    await load([both[0]!])
    await expect(load(both)).rejects.toMatchObject({
      kind: 'seed',
      message: "b.csv would delete 1 row in the scope of a.csv: origin = 'seed'",
    })
    expect(await sql`select id from a`).toEqual([{ id: 1 }])
    await writeFiles(dir, { 'b.csv': 'id,name,origin\n2,two,b\n' })
    expect(await load([both[0]!, a('b.csv', { mode: 'sync', key: ['id'], scope: "origin = 'b'" })])).toEqual([
      'b.csv 1',
    ])
  })

  test('in its scope, no other file of the table writes a row', async ({ load, dir, sql }) => {
    await sql.unsafe(table)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n', 'b.csv': 'id,name\n2,two\n' })
    for (const mode of ['insert', 'upsert'])
      await expect(load([sync({ scope: "origin = 'seed'" }), a('b.csv', { mode })])).rejects.toMatchObject({
        kind: 'seed',
        message: "b.csv has written 1 row in the scope of a.csv, which would delete it: origin = 'seed'",
      })
    expect(await sql`select id from a`).toEqual([{ id: 1 }])
  })

  test('of a JSON file without rows deletes what there is', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; insert into a values (1), (2), (3)`)
    await writeFiles(dir, { 'a.json': '[]' })
    expect(await load([a('a.json', { mode: 'sync' })])).toEqual(['a.json 3'])
    expect(await load([a('a.json', { mode: 'sync' })])).toEqual([])
  })

  test('runs no function of a type in its scope', async ({ load, dir, sql }) => {
    await sql.unsafe(`create type kind as (n int); create function f(kind) returns text language sql as $$ select 'x' $$;
      create cast (kind as text) with function f(kind) as implicit; create table a (id int primary key, k kind)`)
    await writeFiles(dir, { 'a.csv': 'id\n1\n' })
    await expect(load([sync({ scope: "k like 'x%'" })])).rejects.toMatchObject({
      message: 'a.csv: `scope` cannot use the column "k": its type has casts of its own',
    })
  })

  test('settles where a trigger changes what is written', async ({ load, dir, sql }) => {
    await sql.unsafe(`${table}; create function f() returns trigger language plpgsql as $$ begin new.name = upper(new.name); return new; end $$;
      create trigger t before insert or update on a for each row execute function f()`)
    await writeFiles(dir, { 'a.csv': 'id,name\n1,one\n' })
    expect(await load([sync()])).toEqual(['a.csv 1'])
    expect(await load([sync()])).toEqual([])
  })
})

describe('a folder', () => {
  test('has files of all kinds, named after their tables, and one subfolder for each environment', async ({
    load,
    dir,
    sql,
  }) => {
    await sql.unsafe(`create schema billing; create table a (id int primary key, name text); create table billing.plans (id int primary key);
      create table "2fa" (id int primary key)`)
    await writeFiles(dir, {
      's/010_a.csv': 'id,name\n1,one\n',
      's/020_billing.plans.jsonl': '{"id": 1}\n',
      's/030-2fa.json': '[{"id": 1}]',
      's/040_more.sql': "update a set name = 'sql' where id = 1",
      's/readme.md': '',
      's/.hidden.sql': 'wrong',
      's/dev/010_a.csv': 'id,name\n2,dev\n',
      's/prod/010_a.csv': 'id,name\n3,prod\n',
    })
    expect(await load([{ dir: 's' }], { check: true })).toEqual([
      's/010_a.csv 1',
      's/020_billing.plans.jsonl 1',
      's/030-2fa.json 1',
      's/040_more.sql 1',
      's/dev/010_a.csv 1',
    ])
    expect(await load([{ dir: 's' }], { environment: 'prod', check: true })).toEqual(['s/prod/010_a.csv 1'])
    expect(await all(sql)).toEqual([
      { id: 1, name: 'sql' },
      { id: 2, name: 'dev' },
      { id: 3, name: 'prod' },
    ])
    await sql`update a set name = 'x'`
    const updated = await load([{ dir: 's', mode: 'upsert' }, a('s/010_a.csv', { mode: 'insert' })], { force: true })
    expect(updated).toContain('s/dev/010_a.csv 1')
    expect(updated.at(-1)).toBe('s/010_a.csv 0')
  })

  test('refuses a name without a table, and folders within that of an environment', async ({ load, dir }) => {
    await writeFiles(dir, { 'x/a.b.c.csv': '', 'y/dev/deep/a.csv': '' })
    await expect(load([{ dir: 'x' }])).rejects.toMatchObject({
      kind: 'usage',
      message: 'x/a.b.c.csv does not name its table',
    })
    await expect(load([{ dir: 'y' }])).rejects.toMatchObject({
      kind: 'usage',
      message: 'y/dev/deep is a folder within the folder of an environment',
    })
  })
})

describe('before anything is loaded', () => {
  test.for<[string, string, string]>([
    ['b.csv', 'id\n1\n2\n1\n', 'b.csv, line 4: the key (id) = (1) appears for the second time, after line 2'],
    ['b.csv', 'id\n1\n""\n\n', 'b.csv, line 4: the key (id) is empty'],
    ['b.csv', 'id,x\n', 'b.csv: the table public.b has no column "x"'],
    ['b.csv', 'name\n', 'b.csv: the key column id is not in the file'],
    ['b.jsonl', '{"id": 1}\n{"id": 1', 'b.jsonl, line 2: the JSON ends too early: a comma or } is missing'],
  ])('a later seed is checked: %s %j', async ([file, content, message], { load, dir, sql }) => {
    await sql`create table a (id int primary key)`
    await sql`create table b (id text primary key, name text)`
    await writeFiles(dir, { 'a.csv': 'id\n1\n', [file]: content })
    const loading = load([a('a.csv'), { file, table: 'b', key: ['id'] }], { check: true })
    await expect(loading).rejects.toMatchObject({ kind: 'seed', message })
    expect(await sql`select from a`).toHaveLength(0)
  })

  test('what an SQL seed creates is not missed', async ({ load, dir, sql }) => {
    await writeFiles(dir, { '1.sql': 'create table if not exists public.a (id int primary key)', 'a.csv': 'id\n1\n' })
    expect(await load([{ file: '1.sql' }, a('a.csv')], { check: true })).toEqual(['1.sql 0', 'a.csv 1'])
    expect(await sql`select from a`).toHaveLength(1)
  })
})

describe('seeds whose tables refer to each other', () => {
  const entries = ['a', 'b', 'c'].map((table): SeedConfig => ({ file: `${table}.csv`, table, key: ['id'] }))

  test('are loaded in the order of their foreign keys', async ({ load, dir, sql }) => {
    await sql.unsafe(`create table c (id int primary key); create table b (id int primary key);
      create table a (id int primary key, c int references c, up int references a)`)
    await writeFiles(dir, { 'a.csv': 'id,c,up\n1,1,2\n2,1,1\n', 'b.csv': 'id\n1\n', 'c.csv': 'id\n1\n' })
    expect(await load(entries, { check: true })).toEqual(['c.csv 1', 'a.csv 2', 'b.csv 1'])
  })

  const cycle = (deferrable: string) => `create table a (id int primary key, b int);
    create table b (id int primary key, a int constraint "b's a" references a ${deferrable});
    alter table a add constraint a_b foreign key (b) references b; create table c (id int primary key)`
  const files = { 'a.csv': 'id,b\n1,1\n2,1\n', 'b.csv': 'id,a\n1,2\n', 'c.csv': 'id\n1\n' }

  test('in a circle are loaded together, if a foreign key is deferrable', async ({ load, dir, sql }) => {
    await sql.unsafe(cycle('deferrable'))
    await writeFiles(dir, files)
    expect(await load(entries, { check: true })).toEqual(['b.csv 1', 'a.csv 2', 'c.csv 1'])
    await writeFiles(dir, { 'a.csv': 'id,b\n1,1\n2,1\n3,2\n', 'b.csv': 'id,a\n1,2\n2,4\n' })
    await expect(load(entries, { check: true })).rejects.toMatchObject({
      kind: 'seed',
      sqlstate: '23503',
      message: expect.stringMatching(/^b\.csv, line 3: .*"b's a"$/),
      report: { seeds: [{ state: 'failed' }, { state: 'not-run' }] },
    })
    expect(await sql`select from a`).toHaveLength(2)
  })

  test('in a circle that cannot be deferred are named, with what makes it possible', async ({ load, dir, sql }) => {
    await sql.unsafe(cycle(''))
    await writeFiles(dir, files)
    await expect(load(entries, { check: true })).rejects.toMatchObject({
      kind: 'seed',
      hint: expect.stringMatching(/alter table "public"\."(a|b)" alter constraint "(a_b|b's a)" deferrable$/),
    })
    await writeFiles(dir, { 'a.csv': 'id,b\n1,\n2,\n' })
    expect(await load(entries, { check: true })).toEqual(['a.csv 2', 'b.csv 1', 'c.csv 1'])
  })
})

describe('what a table may be', () => {
  test('a partitioned one with hostile names, row security and a domain, owned by another role', async ({
    load,
    dir,
    sql,
  }) => {
    const role = uniqueName(`o"w'n;$$`)
    const quoted = `"${role.replaceAll('"', '""')}"`
    const [table, column] = [`t"a'b;$$\n${'é'.repeat(20)}`, `c"'; drop table x; --\n$$`]
    const ident = (name: string) => `"${name.replaceAll('"', '""')}"`
    await sql.unsafe(`create role ${quoted}; grant create on schema public to ${quoted}; set role ${quoted};
      create domain positive as int check (value > 0);
      create table ${ident(table)} (id int, ${ident(column)} positive, part int, primary key (id, part)) partition by list (part);
      create table p1 partition of ${ident(table)} for values in (1); create table p2 partition of ${ident(table)} default;
      alter table ${ident(table)} enable row level security; reset role`)
    const header = `id,"${column.replaceAll('"', '""')}",part\n`
    const entry: SeedConfig = { file: 'a.csv', table: ident(table), mode: 'sync', key: ['id', 'part'] }
    await writeFiles(dir, { 'a.csv': `${header}1,5,1\n2,6,2\n` })
    expect(await load([entry], { role, check: true })).toEqual(['a.csv 2'])
    expect(await load([entry], { role, check: true })).toEqual([])
    await writeFiles(dir, { 'a.csv': `${header}1,7,1\n2,0,2\n` })
    await expect(load([entry], { role, check: true })).rejects.toMatchObject({ place: { line: 3 } })
    await writeFiles(dir, {
      'a.jsonl': `${JSON.stringify({ id: 2, [column]: 9, part: 2 })}\n${JSON.stringify({ id: 3, part: 3 })}\n`,
    })
    const json: SeedConfig = { file: 'a.jsonl', table: ident(table), mode: 'upsert' }
    expect(await load([json], { role, check: true })).toEqual(['a.jsonl 2'])
    expect(await sql.unsafe(`select id, ${ident(column)} as n from ${ident(table)} order by id`)).toEqual([
      { id: 1, n: 5 },
      { id: 2, n: 9 },
      { id: 3, n: null },
    ])
  })

  test('a load that takes too long leaves nothing', async ({ load, dir, sql, database }) => {
    await sql.unsafe(`create table a (id int primary key); create function f() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return new; end $$;
      create trigger t before insert on a for each row execute function f(); alter database ${database} set statement_timeout = '200ms'`)
    await writeFiles(dir, { 'a.csv': 'id\n1\n', 'a.jsonl': '{"id": 1}\n' })
    for (const file of ['a.csv', 'a.jsonl'])
      await expect(load([a(file)])).rejects.toMatchObject({ kind: 'seed', sqlstate: '57014', place: { file } })
    expect(await sql`select from a`).toHaveLength(0)
    expect(await sql`select from pgbosun.seeds`).toHaveLength(0)
  })

  test('an unchanged file writes no row, locks none and moves no sequence', async ({ load, dir, sql }) => {
    await sql`create table a (id serial primary key, code text unique)`
    await writeFiles(dir, { 'a.csv': 'id,code\n3,x\n4,y\n' })
    await load([a('a.csv', { key: ['id'] })])
    const state = () =>
      sql`select id, xmin::text, xmax::text, ctid::text, (select last_value from a_id_seq) from a order by id`
    const before = await state()
    expect(await load([a('a.csv', { key: ['id'] })], { force: true })).toEqual(['a.csv 0'])
    expect(await state()).toEqual(before)
  })
})
