import postgres from 'postgres'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { readServerFacts, type ServerFacts } from '../src/check/server-facts.ts'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { connectionTo } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { server as shared, test, writeFiles } from './support/postgres.ts'

let server: Server
const settings = ['fsync=off', 'max_connections=20', 'max_prepared_transactions=2', 'wal_level=logical']
beforeAll(async () => {
  server = await startServer(shared().binDir, { settings: [...settings, 'min_wal_size=32MB', 'max_wal_size=32MB'] })
  await ask(
    `create role watcher login password '${server.password}'`,
    `create database "a b'c"`,
    `revoke connect on database "a b'c" from public`,
  )
}, 60_000)
afterAll(() => server?.stop())

const connect = (database = 'postgres', user?: string) =>
  postgres(server.url(database), { max: 1, onnotice() {}, ...(user && { user }) })

async function ask(...statements: string[]) {
  const sql = connect()
  for (const statement of statements) await sql.unsafe(statement)
  await sql.end()
}

async function facts(databases: string[] = [], user?: string): Promise<ServerFacts> {
  const session = await openSession(connectionTo(server.url('postgres'), user ? { user } : {}), {
    applicationName: 'pgbosun test',
    log: silentLog,
  })
  try {
    return await readServerFacts(session.sql, databases)
  } finally {
    await session.end()
  }
}

test('the facts are those of the server', async () => {
  const sql = connect()
  await sql.unsafe('begin; select pg_catalog.pg_current_xact_id()')
  const found = await facts(['postgres', `a b'c`, 'absent'])
  expect(found).toMatchObject({
    connections: 2,
    connectionLimit: 17,
    hidden: 0,
    slots: [],
    maxWalBytes: 32 * 1024 ** 2,
  })
  expect(Math.abs(found.clockSkewMs)).toBeLessThan(5_000)
  expect(Object.keys(found.sizes).sort()).toEqual([`a b'c`, 'postgres'])
  expect(found.transaction).toMatchObject({ database: 'postgres', user: 'postgres', pid: expect.any(Number) })
  expect(Date.now() - Date.parse(found.transaction!.since)).toBeLessThan(30_000)
  expect(found.oldestIds?.age).toBeGreaterThan(0)
  await sql.end()
})

test('of the roles that are asked for, those are told whose password expires', async () => {
  await ask(
    `alter role watcher valid until '2027-01-01 00:00:00+00'`,
    `create role for_ever login valid until 'infinity'`,
  )
  const session = await openSession(connectionTo(server.url('postgres')), {
    applicationName: 'pgbosun test',
    log: silentLog,
  })
  const { expiring } = await readServerFacts(session.sql, [], ['watcher', 'for_ever', 'absent'])
  await session.end()
  expect(expiring).toEqual([{ role: 'watcher', until: '2027-01-01T00:00:00.000Z' }])
  await ask(`alter role watcher valid until 'infinity'`)
})

test('a prepared transaction that is older counts, with the name to finish it by', async () => {
  await ask('create table if not exists t(a int)', `begin; insert into t values (1); prepare transaction 'it''s "odd"'`)
  expect((await facts()).transaction).toMatchObject({ gid: `it's "odd"`, user: 'postgres', database: 'postgres' })
  await ask(`rollback prepared 'it''s "odd"'`)
})

test('without rights, what may not be seen is counted, and the size of a database that may not be entered is unknown', async () => {
  const sql = connect()
  await sql.unsafe('begin; select 1')
  const found = await facts(['postgres', `a b'c`], 'watcher')
  expect(found.transaction).toBeUndefined()
  expect(found.hidden).toBeGreaterThan(0)
  expect(found.connections).toBeGreaterThan(found.hidden)
  expect(Object.keys(found.sizes)).toEqual(['postgres'])
  await sql.end()
})

test('check tells of a slot that nobody reads and of connections near the limit, with what to type', {
  timeout: 60_000,
}, async ({ dir }) => {
  await ask(`select pg_catalog.pg_create_physical_replication_slot('gone', true)`)
  for (let i = 0; i < 4; i++)
    await ask('select pg_catalog.pg_switch_wal()', 'create table if not exists u(a int)', 'drop table u')
  const others = await Promise.all(
    Array.from({ length: 13 }, async () => {
      const sql = connect()
      await sql.unsafe('select 1')
      return sql
    }),
  )
  await writeFiles(dir, { 'pgbosun.yaml': '{}\n' })
  const { code, json } = await runJson(['check'], { cwd: dir, env: { DATABASE_URL: server.url('postgres') } })
  for (const sql of others) await sql.end()
  expect(code).toBe(0)
  expect(json.verdict).toBe('AT RISK')
  const conditions = json.conditions as { name: string; hint: string }[]
  expect(conditions.map(({ name }) => name).sort()).toEqual(['connections-near-limit', 'slot-retains-wal'])
  const hint = conditions.find(({ name }) => name === 'slot-retains-wal')!.hint
  // the next step works as it is written
  await ask(hint.slice(hint.indexOf('select ')))
  expect((await facts()).slots).toEqual([])
  expect(json.warnings).toContainEqual(expect.stringContaining('connections of the server are in use'))
})
