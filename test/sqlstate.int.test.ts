import { describe, expect } from 'vitest'
import { isConnectionLost } from '../src/postgres/lost.ts'
import { isServerError, type ServerError } from '../src/postgres/server-error.ts'
import { hintFor, renderServerError } from '../src/postgres/sqlstate.ts'
import { excerptOf } from '../src/sql/place.ts'
import { open, type Sql, test } from './support/postgres.ts'

/** What the server says to a text that must fail. */
async function failureOf(sql: Sql, text: string): Promise<ServerError> {
  const error = await sql.unsafe(text).then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (!isServerError(error)) throw new Error(`no error of the server: ${error}`)
  return error
}

const hintOf = async (sql: Sql, text: string) => hintFor(sql, await failureOf(sql, text))

describe('a hint', () => {
  test('names both columns and types of a foreign key that does not fit', async ({ sql }) => {
    const hint = await hintOf(
      sql,
      'create table users (id uuid primary key); create table games (user_id integer references users (id))',
    )
    expect(hint).toBe('the types must match: column user_id is integer, column id is uuid; declare user_id as uuid')
  })

  test('shows the values of an enum that exists already', async ({ sql }) => {
    await sql.unsafe(`create type mood as enum ('sad', 'it''s ok')`)
    expect(await hintOf(sql, `create type mood as enum ('happy')`)).toMatchInlineSnapshot(
      `"the type mood exists with the values 'sad', 'it''s ok': leave the statement out, or add what is missing with \`alter type "mood" add value\`"`,
    )
  })

  test.for([
    ['create table t (a int, b int, a text)', 'the statement itself has the column a twice'],
    ['create view v as select 1 as a, 2 as a', 'the statement itself has the column a twice'],
    ['create table t (a int); insert into t (a, a) values (1, 2)', 'the statement itself has the column a twice'],
    ['create table t (a int); alter table t add a int', 'a was not there before: this file creates it twice'],
    ['create table t (); alter table t add b int, add b int', 'b was not there before: this file creates it twice'],
    ['create table t (); create index i on t ((1)); create table t ()', 't was not there before: this file'],
    ['create type mood as enum (); create type mood as enum ()', 'mood was not there before: this file'],
    ['create table t (a int constraint ck check (a > 0)); alter table t add constraint ck check (a > 1)', 'ck was not'],
    ['create function f() returns int return 1; create function f() returns int return 2', 'f was not there before'],
    ['create schema s; create schema s', 's was not there before: this file creates it twice'],
  ] as const)('for what the text itself has twice does not blame the database: %s', async ([text, wanted], { sql }) => {
    const hint = await hintOf(sql, text)
    expect(hint).toContain(wanted)
    expect(hint).toMatch(/remove one of the two, or rename it$/)
  })

  test.for([
    ['create table t (a int)', 'create table t ()', 'if not exists'],
    ['create table t (a int)', 'alter table t add a int', 'add column if not exists'],
    ['create table t (a int constraint c check (a > 0))', 'alter table t add constraint c check (a > 1)', 'guard'],
    ['create function f() returns int return 1', 'create function f() returns int return 1', 'or replace'],
    ['create schema s', 'create schema s', 'create schema if not exists'],
  ] as const)('for what was there before says so: %s; %s', async ([before, text, wanted], { sql }) => {
    await sql.unsafe(before)
    const hint = await hintOf(sql, text)
    expect(hint).toMatch(/^the database already has this \w+.*, from an earlier file or made by hand: /)
    expect(hint).toContain(wanted)
  })

  test('sends a new enum value and its use to two files', async ({ sql }) => {
    await sql.unsafe(`create type mood as enum ('sad'); create table m (mood mood)`)
    const error = await failureOf(sql, `alter type mood add value 'happy'; insert into m values ('happy')`)
    expect(error.code).toBe('55P04')
    expect(await hintFor(sql, error)).toContain('next file')
  })

  test('finds a table in another schema or with capitals', async ({ sql }) => {
    await sql.unsafe(`create schema app; create table app."Users" ()`)
    expect(await hintOf(sql, 'select * from users')).toBe('there is app."Users": use that name')
  })

  test('the hint for a missing column lists those there are', async ({ sql }) => {
    await sql.unsafe('create table users (id int, email text)')
    expect(await hintOf(sql, 'insert into users (emial) values (1)')).toBe('users has the columns id, email')
  })

  test('names the owner when a privilege is missing', async ({ sql }) => {
    await sql.unsafe('create table users ()')
    expect(await hintOf(sql, 'set local role pg_monitor; drop table users')).toContain('users belongs to postgres')
  })

  test('names the extension that a function comes with', async ({ sql }) => {
    expect(await hintOf(sql, 'select uuid_generate_v4()')).toContain('extension uuid-ossp')
  })

  test('is the general one when the server cannot be asked', async ({ sql, database }) => {
    const closed = open(database)
    await closed.end()
    expect(await hintFor(closed, await failureOf(sql, 'select * from nothing'))).toContain(
      'create the table in an earlier file',
    )
  })

  test('for create index concurrently in a transaction names the header of the file', async ({ sql }) => {
    expect(await hintOf(sql, 'create table t (a int); create index concurrently on t (a)')).toContain(
      '-- pgbosun: no-transaction',
    )
  })
})

test('the place and the excerpt leave out what was sent before the text', async ({ sql }) => {
  const prefix = "set local lock_timeout = '1s'; select 'ü😀';\n"
  const text = "create table a (name text);\ninsert into a values ('ü😀');\n\tcreate tabel b ();\n"
  const rendered = renderServerError(text, await failureOf(sql, prefix + text), {
    file: '003_b.sql',
    prefixLength: Array.from(prefix).length,
  })
  expect(rendered).toEqual({
    sqlstate: '42601',
    file: '003_b.sql',
    line: 3,
    column: 9,
    excerpt: excerptOf(text, { line: 3, column: 9 }),
  })
})

test('DETAIL and HINT stand below the excerpt', async ({ sql }) => {
  const text = 'create table a (id int primary key);\ninsert into a values (1), (1)'
  expect(renderServerError(text, await failureOf(sql, text))).toEqual({
    sqlstate: '23505',
    excerpt: 'DETAIL: Key (id)=(1) already exists.',
  })
})

describe('a lost connection', () => {
  test('a lost connection is one that the server ended', async ({ sql, database }) => {
    const victim = open(database)
    const [{ pid }] = (await victim`select pg_backend_pid() as pid`) as [{ pid: number }]
    const lost = victim`select pg_sleep(20)`.catch((error: unknown) => error)
    await expect
      .poll(() => sql`select 1 from pg_stat_activity where pid = ${pid} and query like '%pg_sleep%'`)
      .toHaveLength(1)
    await sql`select pg_terminate_backend(${pid}::int)`
    expect(isConnectionLost(await lost)).toBe(true)
    await victim.end({ timeout: 1 })
  })

  test('is not an error with one of its codes, after which the session goes on', async ({ sql }) => {
    for (const code of ['08001', '08006', '57P01', '25P03']) {
      const error = await failureOf(sql, `do $$ begin raise exception 'far' using errcode = '${code}'; end $$`)
      expect(error).toMatchObject({ code })
      expect(isConnectionLost(error)).toBe(false)
    }
  })

  test('is not an error in a statement, nor anything else that went wrong', async ({ sql }) => {
    expect(isConnectionLost(await failureOf(sql, 'select 1 / 0'))).toBe(false)
    expect(isConnectionLost(new Error('no'))).toBe(false)
    expect(isConnectionLost(undefined)).toBe(false)
  })
})
