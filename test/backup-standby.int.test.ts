import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type Server, startServer } from '../scripts/server.ts'
import { readBackups } from '../src/archive/catalog.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { silentLog } from '../src/log.ts'
import { takeBackupLock } from '../src/postgres/lock.ts'
import { localStore } from '../src/store/local.ts'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, server, uniqueName, writeFiles } from './support/postgres.ts'

let primary: Server
let standby: Server

beforeAll(async () => {
  if (!client) return
  const settings = ['fsync=off']
  primary = await startServer(server().binDir, { settings })
  await primary.stop()
  standby = await startServer(server().binDir, {
    settings: [...settings, 'max_standby_streaming_delay=1s', 'deadlock_timeout=20s'],
    standbyOf: primary,
  })
  await primary.start()
}, 120_000)

afterAll(async () => {
  await standby?.remove()
  await primary?.remove()
})

const connect = (url: string) =>
  postgres(url, { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true } as postgres.Options<
    Record<string, never>
  >)

type Fixtures = {
  /** Sessions in a database of the test's own with the tables a and b: at the primary, and at the standby. */
  shop: { name: string; sql: Sql; far: Sql }
  /** The program; `backup.url` leads to the standby. */
  backup: (backup?: object, more?: { url?: string; args?: string[]; config?: object }) => ReturnType<typeof runJson>
}

const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  shop: async ({}, use) => {
    const name = uniqueName('shop')
    const admin = connect(primary.url('postgres'))
    await admin.unsafe(`create database ${name}`)
    await admin.end()
    const sql = connect(primary.url(name))
    await sql.unsafe('create table a as select 1 as n; create table b as select 1 as n')
    const far = connect(standby.url(name))
    await expect
      .poll(async () => (await far`select to_regclass('b') as b`.catch(() => []))[0]?.b, { timeout: 10_000 })
      .toBe('b')
    await use({ name, sql, far })
    await far.unsafe('select pg_wal_replay_resume()')
    await Promise.all([sql.end(), far.end()])
  },
  backup: async ({ dir, shop }, use) => {
    await use(async (backup = {}, { url = primary.url(shop.name), args = ['backup'], config = {} } = {}) => {
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          ...config,
          backup: { store: pathToFileURL(join(dir, 'store')).href, url: { env: 'STANDBY' }, ...backup },
        }),
      })
      return runJson(args, { cwd: dir, env: { DATABASE_URL: url, STANDBY: standby.url(shop.name) } })
    })
  },
})

const manifestOf = (dir: string, name: string, id: unknown) =>
  JSON.parse(readFileSync(join(dir, 'store', name, String(id), 'manifest.json'), 'utf8')) as Manifest

describe.skipIf(!client)('a backup of a standby', () => {
  test('has everything, although the last transaction is old, and says what may cancel it', async ({
    dir,
    shop,
    backup,
  }) => {
    await sleep(1_500)
    // a pattern is looked up there, too
    const { code, json, stderr } = await backup({ maxLag: '1s', databases: [`${shop.name}*`] })
    expect(code, stderr).toBe(0)
    const manifest = manifestOf(dir, shop.name, json.id)
    expect(manifest.standby).toMatchObject({ lag_ms: 0, receive_lsn: expect.any(String), replay_lsn: manifest.lsn })
    expect(manifest.rows).toEqual({ 'public.a': 1, 'public.b': 1 })
    expect(manifest.warnings).toEqual([
      expect.stringContaining('(max_standby_streaming_delay): set hot_standby_feedback = on'),
    ])
    const verified = await backup({}, { args: ['backup', 'verify'] })
    expect(verified.code, verified.stderr).toBe(0)
  })

  test('that is behind is as old as what it replayed, and refused beyond backup.maxLag', async ({
    dir,
    shop,
    backup,
  }) => {
    await shop.far.unsafe('select pg_wal_replay_pause()')
    const [before] = await shop.sql<{ now: Date }[]>`select now()::text as now`
    await shop.sql.unsafe('insert into a values (2)')
    await sleep(1_100)

    const refused = await backup({ maxLag: '1s' })
    expect(refused.code).toBe(60)
    expect(refused.json.error).toMatchObject({
      message: expect.stringMatching(
        /behind its primary \(backup.maxLag is 1s\): the primary is at [0-9A-F]+\/\S+, received is \S+, replayed is/,
      ),
      hint: expect.stringContaining('pg_wal_replay_resume'),
    })

    const made = await backup()
    expect(made.code, made.stderr).toBe(0)
    const { standby: entry, rows, started_at } = manifestOf(dir, shop.name, made.json.id)
    expect(rows['public.a']).toBe(1)
    expect(entry!.lag_ms).toBeGreaterThan(1_000)
    expect(new Date(entry!.replayed_at) <= new Date(before!.now)).toBe(true)
    expect(Date.parse(started_at) - Date.parse(entry!.replayed_at)).toBeGreaterThan(1_000)

    const [stored] = await readBackups(localStore(pathToFileURL(join(dir, 'store')).href), shop.name, [])
    expect(stored!.takenAt.toISOString()).toBe(entry!.replayed_at)

    // it would not have what the migration is about to change
    await writeFiles(dir, { 'migrations/001_c.sql': 'create table c ()' })
    const first = await backup({}, { args: ['migrate'], config: { migrate: { backupFirst: 'always' } } })
    expect(first.code).toBe(60)
    expect(first.json.error?.message).toContain('nothing may be missing')
  })

  test('excludes one of the primary at the same time: its lock is there', async ({ shop, backup }) => {
    const admin = connect(primary.url('postgres'))
    await takeBackupLock(admin as never, shop.name, {
      timeoutMs: 1_000,
      log: silentLog,
      signal: new AbortController().signal,
    })
    const { code } = await backup({}, { config: { lock: { timeout: '1s' } } })
    await admin.end()
    expect(code).toBe(11)
  })

  test('is refused where the database’s own URL leads to a standby too, or to another cluster', async ({
    shop,
    backup,
  }) => {
    const same = await backup({}, { url: standby.url(shop.name).replace('127.0.0.1', 'localhost') })
    expect(same.code).toBe(60)
    expect(same.json.error).toMatchObject({
      message: expect.stringContaining('so does the URL of the database'),
      hint: expect.stringContaining('database.url'),
    })
    const other = await backup({}, { url: server().adminUrl })
    expect([other.code, other.json.error?.message]).toEqual([60, expect.stringContaining('to another server')])
  })

  for (const times of [1, 2])
    test(`that the standby cancels is ${times === 1 ? 'tried once more' : 'given up after the second time, with what to set'}`, {
      timeout: 60_000,
    }, async ({ dir, shop, backup }) => {
      const { sql, far, name } = shop
      const seen: number[] = []
      const inTheWay = async () => {
        // pg_dump has locked a, and waits for b
        const waiting = async () => {
          const rows = await far<{ pid: number }[]>`
            select pid from pg_locks l join pg_stat_activity s using (pid)
             where not l.granted and l.relation = 'b'::regclass and s.query like 'LOCK TABLE%'`
          return rows.find(({ pid }) => !seen.includes(pid))?.pid
        }
        await expect.poll(waiting, { timeout: 20_000 }).toBeDefined()
        seen.push((await waiting())!)
        await sql.unsafe('truncate a; insert into a values (1)')
      }
      // nothing but a full segment sends a lock alone to the standby
      const lock = () => sql.unsafe('begin; lock table b in access exclusive mode; select pg_switch_wal()')
      await lock()
      const made = backup()
      for (let i = 1; i < times; i++) {
        await inTheWay()
        await sql.unsafe('commit')
        await lock()
      }
      await inTheWay()
      await sql.unsafe('commit')
      const { code, json, stderr } = await made
      if (times === 1) {
        expect(code, stderr).toBe(0)
        expect(stderr).toContain('trying once more')
        expect(manifestOf(dir, name, json.id).rows['public.a']).toBe(1)
      } else {
        expect(code).toBe(60)
        expect(json.error).toMatchObject({
          message: expect.stringContaining(`the backup of ${name} failed: the standby has cancelled it twice`),
          hint: expect.stringContaining('max_standby_streaming_delay = -1'),
        })
      }
    })
})
