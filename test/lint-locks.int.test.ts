import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LintRuleName } from '../src/config/lint-rules.ts'
import { loadParser } from '../src/lint/parse.ts'
import { findingsOf } from '../src/lint/reference.ts'
import { families } from '../src/lint/rules/foreign-keys.ts'
import { rules } from '../src/lint/rules.ts'
import { scan } from '../src/sql/scan.ts'
import { openNew, type Sql, uniqueName } from './support/postgres.ts'

const parser = await loadParser()

/** What the examples of the rules work on. */
const tables = `
  create table users (id int primary key, email text, name text, active boolean, mood text);
  insert into users select n, n || '@example.org', 'n' || n, null from generate_series(1, 25000) n;
  create index users_email on users (email);
  create table orders (id int primary key, user_id bigint references users (id), total numeric, net numeric);
  insert into orders select n, n, n, n from generate_series(1, 100) n;
  create domain positive as int check (value > 0);
  create table amounts (amount positive);
  create materialized view daily_sales as select 1 as day;
  create unique index daily_sales_day on daily_sales (day);`

/** Where the example needs something else. */
const needs: Partial<Record<LintRuleName, string>> = {
  'index-not-concurrent': 'drop index users_email',
  'invalid-index-left': 'drop index users_email',
  'drop-table': 'drop table orders',
  truncate: 'drop table orders',
  'create-table-with-fk': 'drop table orders',
  'fk-without-index': 'drop table orders',
  'alter-column-type':
    'alter table orders drop constraint orders_user_id_fkey; alter table users drop constraint users_pkey',
  'add-primary-key': 'create table events (id int); insert into events values (1)',
  'add-exclusion-constraint': 'create table bookings (during tstzrange)',
  'add-required-column': 'alter table orders drop user_id; alter table users drop email; delete from users',
  'detach-partition-not-concurrent':
    'create table events (id int) partition by range (id); create table events_2024 partition of events for values from (1) to (2)',
  'attach-partition-scan': 'create table events_old (id bigint); insert into events_old values (1), (2)',
  'enum-add-value-used-same-tx': "create type mood as enum ('sad'); create table people (mood mood)",
}

let sql: Sql
const notices: string[] = []

beforeAll(async () => {
  sql = await openNew('lint', ({ message = '' }) => notices.push(message))
})

afterAll(() => sql.end({ timeout: 1 }))

/** The tables in a schema of their own, which is the search path. */
async function prepare(rule: LintRuleName): Promise<void> {
  const schema = uniqueName('s')
  await sql.unsafe(`create schema ${schema}`)
  await sql.unsafe(`set search_path = ${schema}`)
  await sql.unsafe(tables)
  if (needs[rule]) await sql.unsafe(needs[rule])
}

/** Modes of the locks that our session has on a table. */
async function locksOn(table: string): Promise<string[]> {
  const rows = await sql<{ mode: string }[]>`
    select mode from pg_locks where pid = pg_backend_pid() and relation = ${table}::regclass order by 1`
  return rows.map(({ mode }) => mode)
}

describe('the lock that a rule names is the one that the server takes', () => {
  const hidden: Partial<Record<LintRuleName, string>> = {
    'domain-with-constraint': 'amounts',
    'drop-index-not-concurrent': 'users',
    'attach-partition-scan': 'events_old',
  }
  /** In several statements, or nothing that can be asked about: what is dropped has no name any more. */
  const without: LintRuleName[] = [
    'drop-table',
    'vacuum-full',
    'ddl-and-backfill-same-tx',
    'several-hot-tables-in-one-tx',
    'add-exclusion-constraint',
  ]
  const cases = rules.flatMap((rule) => {
    const [found] = findingsOf(rule, parser)
    const table = hidden[rule.name] ?? found?.table?.name
    return rule.lock && table && !without.includes(rule.name) ? [[rule.name, rule.lock, table, rule] as const] : []
  })

  test('locks of more than twenty rules are compared with the server', () => {
    expect(cases.length).toBeGreaterThan(20)
  })

  test.each(cases)('%s: %s on %s', async (name, lock, table, { example }) => {
    await prepare(name)
    if (name === 'add-required-column') await sql.unsafe('delete from users')
    const statements = scan(example).statements.map(({ start, end }) => example.slice(start, end))
    await sql.unsafe('begin')
    try {
      for (const statement of statements) await sql.unsafe(statement)
      expect(await locksOn(table)).toContain(lock)
    } finally {
      await sql.unsafe('rollback')
    }
  })

  test('add-exclusion-constraint: AccessExclusiveLock on bookings', async () => {
    await prepare('add-exclusion-constraint')
    await sql.unsafe('begin; alter table bookings add exclude using gist (during with &&)')
    expect(await locksOn('bookings')).toContain('AccessExclusiveLock')
    await sql.unsafe('rollback')
  })
})

describe('the locks that the messages name', () => {
  const held = async (name: LintRuleName, statements: string, table: string) => {
    await prepare(name)
    await sql.unsafe(`begin; ${statements}`)
    try {
      return await locksOn(table)
    } finally {
      await sql.unsafe('rollback')
    }
  }

  test('adding a foreign key blocks writes to the other table, validating it does not', async () => {
    const add = 'alter table orders add constraint x foreign key (user_id) references users (id)'
    expect(await held('fk-validates', add, 'users')).toContain('ShareRowExclusiveLock')
    const validated = `${add} not valid; commit; begin; alter table orders validate constraint x`
    expect(await held('fk-validates', validated, 'users')).not.toContain('ShareRowExclusiveLock')
    expect(await held('fk-validates', validated, 'orders')).toContain('ShareUpdateExclusiveLock')
  })

  test('dropping a foreign key, or the table, blocks the other table', async () => {
    expect(
      await held('drop-constraint-fk', 'alter table orders drop constraint orders_user_id_fkey', 'users'),
    ).toContain('AccessExclusiveLock')
    expect(await held('drop-constraint-fk', 'drop table orders', 'users')).toContain('AccessExclusiveLock')
  })

  test('a refresh without CONCURRENTLY blocks readers, with it only writers', async () => {
    expect(
      await held('refresh-matview-not-concurrent', 'refresh materialized view concurrently daily_sales', 'daily_sales'),
    ).not.toContain('AccessExclusiveLock')
  })
})

describe('what is said to rewrite a table does, and what is said to be free does not', () => {
  const fileOf = async () =>
    (await sql<{ node: string }[]>`select pg_relation_filenode('users'::regclass)::text as node`)[0]?.node

  test.each<[boolean, string]>([
    [true, 'add column x uuid default gen_random_uuid()'],
    [true, 'add column x timestamptz default clock_timestamp()'],
    [true, 'add column x bigserial'],
    [true, 'add column x int generated always as identity'],
    [true, 'add column x int generated always as (id * 2) stored'],
    [true, 'add column x positive default 1'],
    [true, 'alter column email type varchar(300)'],
    [false, 'add column x timestamptz default now()'],
    [false, "add column x jsonb default '{}'"],
    [false, "add column x date default (now() at time zone 'utc')::date"],
    [false, "add column x text default to_char(now(), 'YYYY')"],
  ])('%s: %s', async (isRewritten, clause) => {
    await prepare('add-column-volatile-default')
    const before = await fileOf()
    await sql.unsafe(`alter table users ${clause}`)
    expect((await fileOf()) !== before).toBe(isRewritten)
  })

  test.each([
    ['varchar(10)', 'varchar(20)'],
    ['varchar(10)', 'text'],
    ['text', 'varchar'],
    ['numeric(10, 2)', 'numeric(12, 2)'],
    ['numeric(10, 2)', 'numeric'],
    ['timestamptz(0)', 'timestamptz(3)'],
    ['cidr', 'inet'],
    ['varbit(5)', 'varbit(9)'],
  ])('%s to %s is free', async (from, to) => {
    await prepare('alter-column-type')
    await sql.unsafe(`alter table users add column x ${from}`)
    const before = await fileOf()
    await sql.unsafe(`alter table users alter column x type ${to}`)
    expect(await fileOf()).toBe(before)
  })
})

describe('errors are certain', () => {
  test.each<[LintRuleName, string]>([
    ['concurrently-in-transaction', '25001'],
    ['forbidden-in-transaction', '25001'],
    ['enum-add-value-used-same-tx', '55P04'],
    ['fk-type-mismatch', '42804'],
    ['syntax-error', '42601'],
    ['psql-meta-command', '42601'],
  ])('%s ends in %s', async (name, code) => {
    await prepare(name)
    const rule = rules.find((one) => one.name === name)!
    const statements = scan(rule.example).statements.map(({ start, end }) => rule.example.slice(start, end))
    if (!/^begin/.test(rule.example)) await sql.unsafe('begin')
    const failing = async () => {
      for (const statement of statements) await sql.unsafe(statement)
    }
    await expect(failing()).rejects.toMatchObject({ code })
    await sql.unsafe('rollback')
  })

  const builtIn = Object.keys(families).filter((type) => type !== 'citext')
  const pairs = builtIn.flatMap((key) => builtIn.map((own) => [own, key] as const))

  test('a foreign key is said to be refused exactly where it is, for all pairs of the types that are known', async () => {
    await prepare('fk-type-mismatch')
    const rule = rules.find(({ name }) => name === 'fk-type-mismatch')!
    const wrong: string[] = []
    for (const [own, key] of pairs) {
      const create = `create table k (id ${key} primary key); create table r (id ${own} references k (id))`
      const accepted = await sql.unsafe(`begin; ${create}`).then(
        () => true,
        (error: { code: string }) => error.code !== '42804',
      )
      await sql.unsafe('rollback')
      const said = findingsOf({ ...rule, example: create }, parser).length > 0
      if (said === accepted) wrong.push(`${own} to ${key}`)
    }
    expect(wrong).toEqual([])
  })
})

describe('the safe way runs on the server', () => {
  const cases = rules.flatMap((rule) => {
    const [found] = findingsOf(rule, parser)
    return found?.rewrite ? [[rule.name, found.rewrite] as const] : []
  })
  /** Their examples say nothing about a real table, or only a part of the example. */
  const without: LintRuleName[] = ['missing-lock-timeout', 'session-leak']
  const before: Partial<Record<LintRuleName, string>> = {
    'not-valid-and-validate-same-tx': 'alter table orders add constraint orders_total check (total >= 0) not valid',
    'attach-partition-scan': 'create table events (id bigint) partition by range (id)',
    'fk-type-mismatch': 'create table ships (id uuid primary key)',
    'fk-type-differs': 'create table ships (id bigint primary key)',
    'concurrently-in-transaction': 'drop index users_email',
  }

  test.for(cases.filter(([name]) => !without.includes(name)))('%s', async ([name, rewrite], { skip }) => {
    const [{ version } = { version: 0 }] = await sql<
      { version: number }[]
    >`select current_setting('server_version_num')::int as version`
    skip(name === 'detach-partition-not-concurrent' && version < 140_000, 'before PostgreSQL 14')
    await prepare(name)
    if (before[name]) await sql.unsafe(before[name])
    for (const file of rewrite.split(/^-- file \d+ of \d+\n/m).filter((text) => text !== '')) {
      const { statements } = scan(file)
      if (file.startsWith('-- pgbosun: no-transaction'))
        for (const { start, end } of statements) await sql.unsafe(file.slice(start, end))
      else await sql.unsafe(`begin; ${file} commit`)
    }
    const [{ idle } = { idle: false }] = await sql<
      { idle: boolean }[]
    >`select pg_current_xact_id_if_assigned() is null as idle`
    expect(idle).toBe(true)
  })

  test('batches reach every row', async () => {
    await prepare('unbatched-update')
    const rewrite = cases.find(([name]) => name === 'unbatched-update')![1]
    await sql.unsafe(rewrite)
    expect(await sql`select count(*)::int as n from users where active is distinct from true`).toEqual([{ n: 0 }])
  })

  test('SET NOT NULL reads the table, but not when a validated check says the same', async () => {
    await prepare('set-not-null-scan')
    const isSpared = async () => {
      notices.length = 0
      await sql.unsafe(
        'begin; set local client_min_messages = debug1; alter table users alter column email set not null',
      )
      await sql.unsafe('rollback')
      return notices.some((message) => message.includes('sufficient to prove'))
    }
    expect(await isSpared()).toBe(false)
    await sql.unsafe('alter table users add constraint c check (email is not null) not valid')
    expect(await isSpared()).toBe(false)
    await sql.unsafe('alter table users validate constraint c')
    expect(await isSpared()).toBe(true)
  })
})
