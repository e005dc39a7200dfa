import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { test as base, expect } from 'vitest'
import { createLog, silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { claimWork, takeRunLock } from '../src/postgres/lock.ts'
import { databaseObject } from '../src/postgres/lock-keys.ts'
import { openWhenReady } from '../src/postgres/wait.ts'
import { connectionTo } from './support/backup.ts'
import { server, test, uniqueName, urlOf } from './support/postgres.ts'

const signal = new AbortController().signal
const base_ = { applicationName: 'pgbosun test', log: silentLog, signal }
const now = { ...base_, patient: false, timeoutMs: 500, deadline: performance.now() + 60_000 }

base('the lock of a database is the CRC-32 of its name', () => {
  for (const name of ['shop', 'x', 'Größe "1"']) expect(databaseObject(name) >>> 0).toBe(crc32(name))
})

test('a second runner waits for the lock, says who holds it, and gives up in time', async ({ database }) => {
  const [first, second] = await Promise.all([1, 2].map(() => openSession(connectionTo(urlOf(database)), base_)))
  const lines: string[] = []
  const log = createLog('info', 'json', { write: (line) => lines.push(line) })
  await takeRunLock(first!.sql, 4711, 'the lock', { timeoutMs: 100, log, signal })
  await expect(takeRunLock(second!.sql, 4711, 'the lock', { timeoutMs: 300, log, signal })).rejects.toMatchObject({
    kind: 'locked',
    message: expect.stringContaining(`pid ${first!.pid}`),
  })
  expect(lines.filter((line) => line.includes('waiting for the lock'))).toHaveLength(1)
  await first!.end()
  await takeRunLock(second!.sql, 4711, 'the lock', { timeoutMs: 5_000, log, signal })
  await second!.end()
})

test('ends the backend that a killed runner left at work, after a grace', async ({ database }) => {
  const dead = await openSession(connectionTo(urlOf(database)), base_)
  await claimWork(dead.sql, { log: silentLog, signal })
  const statement = dead.sql`select pg_sleep(60)`.catch((error: unknown) => error)
  const next = await openSession(connectionTo(urlOf(database)), base_)
  await claimWork(next.sql, { log: silentLog, signal })
  expect(await statement).toMatchObject({ code: expect.stringMatching(/57P01|CONNECTION_CLOSED/) })
  expect(() => dead.guard()).toThrow(expect.objectContaining({ kind: 'unreachable' }))
  await next.end()
})

test('a session that was lost is never replaced in silence', async ({ database, sql }) => {
  const session = await openSession(connectionTo(urlOf(database)), base_)
  await sql`select pg_terminate_backend(${session.pid})`
  await session.sql`select 1`.catch(() => {})
  await expect(session.sql`select 2`.execute()).rejects.toThrow()
  expect(() => session.guard()).toThrow('lost')
})

test('sessions do not take settings from the role, the database or the environment', async ({ database, sql }) => {
  await sql.unsafe(`alter database ${database} set lock_timeout = '1ms'`)
  if (server().major >= 14) await sql.unsafe(`alter database ${database} set idle_session_timeout = '1s'`)
  const session = await openSession(connectionTo(urlOf(database)), base_)
  const [row] =
    await session.sql`select current_setting('lock_timeout') as a, current_setting('idle_session_timeout', true) as b, current_setting('client_connection_check_interval', true) as c`
  expect(row).toEqual(server().major < 14 ? { a: '0', b: null, c: null } : { a: '0', b: '0', c: '2s' })
  await session.end()
})

base('a refused password is said at once, a closed port is waited for', async () => {
  const wrong = connectionTo(urlOf('postgres', { name: 'postgres', password: 'geheim' }))
  await expect(openWhenReady(wrong, now)).rejects.toMatchObject({
    kind: 'refused',
    message: expect.not.stringContaining('geheim'),
  })
  const nobody = { ...wrong, endpoints: [{ host: '127.0.0.1', port: 1 }] }
  await expect(openWhenReady(nobody, { ...now, deadline: performance.now() + 300 })).rejects.toMatchObject({
    kind: 'unreachable',
  })
  const unknown = { ...wrong, endpoints: [{ host: 'no-such-host.invalid', port: 1 }] }
  await expect(openWhenReady(unknown, { ...now, deadline: performance.now() + 300 })).rejects.toMatchObject({
    kind: 'unreachable',
    message: expect.stringContaining('the host name no-such-host.invalid is not known'),
  })
})

base('a missing database is refused, or left to the caller who will create it', async () => {
  const missing = connectionTo(urlOf('there_is_none'))
  await expect(openWhenReady(missing, now)).rejects.toMatchObject({ kind: 'refused', sqlstate: '3D000' })
  await expect(openWhenReady(missing, { ...now, mayBeMissing: true })).resolves.toBeUndefined()
})

base('who connects while a database is swapped is refused once, and gets the new one', async () => {
  const [name, other] = [uniqueName('swapped'), uniqueName('swapped')]
  const swapping = await openSession(connectionTo(urlOf('postgres')), base_)
  await swapping.sql.unsafe(`create database ${name}`)
  await swapping.sql.unsafe(`create database ${other}`)
  await swapping.sql.unsafe('begin')
  await swapping.sql.unsafe(`alter database ${name} rename to ${name}_before`)
  await swapping.sql.unsafe(`alter database ${other} rename to ${name}`)
  const lines: string[] = []
  const log = createLog('info', 'json', { write: (line) => lines.push(line) })
  const late = { ...now, log, deadline: performance.now() + 10_000, mayBeMissing: true, lockDatabase: 'postgres' }
  const opening = openWhenReady(connectionTo(urlOf(name)), late)
  await sleep(500)
  await swapping.sql.unsafe('commit')
  const session = await opening
  expect(await session!.sql`select current_database() as name`).toMatchObject([{ name }])
  expect(lines.join('')).toContain('the database was replaced just now')
  await session?.end()
  await swapping.end()
})

base('TLS that is demanded and not offered is refused', async () => {
  const tls = connectionTo(urlOf('postgres'), { tls: { mode: 'require' } })
  await expect(openWhenReady(tls, now)).rejects.toMatchObject({
    kind: 'refused',
    message: expect.stringContaining('does not offer TLS'),
  })
})
