import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import { test as base, childrenOf, client, filesBelow } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { type Started, start } from './support/cli.ts'
import { type Link, linkMissing, linkRange, makeLink } from './support/link.ts'
import { type Sql, server, uniqueName, writeFiles } from './support/postgres.ts'

const missing = linkMissing()
if (missing !== undefined) process.stderr.write(`NOT RUN: packets that are lost without a word: ${missing}\n`)

type Far = {
  /** Starts the program where the server is only reached over the cable. */
  start: (...args: string[]) => Started
  link: Link
  /** On our side of the cable, in the program's database. */
  sql: Sql
  /** How many sessions the server thinks that it has with the program and what it started. */
  sessions(): Promise<number>
  /** How many of them copy. */
  copies(): Promise<number>
}

/** `test` with a server that listens on cables, and a program at the other end of one. */
const test = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  .extend('cluster', { scope: 'file' }, async ({}, { onCleanup }) => {
    const cluster = await startServer(server().binDir, { settings: ['fsync=off', `listen_addresses='*'`] })
    onCleanup(() => cluster.remove())
    appendFileSync(join(cluster.dir, 'data', 'pg_hba.conf'), `host all all ${linkRange} scram-sha-256\n`)
    const admin = open(cluster.url('postgres'))
    await admin.unsafe('select pg_reload_conf()')
    await admin.end()
    return cluster
  })
  .extend('far', async ({ cluster, dir }, { onCleanup }): Promise<Far> => {
    const database = uniqueName('far')
    const admin = open(cluster.url('postgres'))
    await admin.unsafe(`create database ${database}`)
    await admin.end()
    const link = makeLink()
    const sql = open(cluster.url(database))
    const processes: Started[] = []
    onCleanup(async () => {
      for (const { child } of processes) child.kill('SIGKILL')
      await sql.end({ timeout: 1 })
      link.remove()
    })
    const env = { DATABASE_URL: cluster.url(database).replace('127.0.0.1', link.ours) }
    const count = async (what: string) =>
      (await sql.unsafe(`select from pg_stat_activity where client_addr = '${link.theirs}' and ${what}`)).length
    return {
      start(...args) {
        const started = start(args, { cwd: dir, env, through: link.through })
        processes.push(started)
        return started
      },
      link,
      sql,
      sessions: () => count('true'),
      copies: () => count(`state = 'active' and query ilike '%copy%'`),
    }
  })

const open = (url: string): Sql =>
  postgres(url, { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true } as postgres.Options<
    Record<string, never>
  >)

const config = { lock: { timeout: '5s' }, wait: { timeout: '10s' } }
const rows = 1_000_000
/** More than the system keeps for both ends. */
const seeded = {
  'pgbosun.yaml': JSON.stringify({ ...config, seeds: [{ file: 's.csv', table: 's' }] }),
  'migrations/001_s.sql': 'create table s (id int, t text)',
  's.csv': `id,t\n${Array.from({ length: rows }, (_, i) => `${i},${'some text '.repeat(10)}\n`).join('')}`,
}

describe.skipIf(missing !== undefined).concurrent('when every packet is lost', { timeout: 240_000 }, () => {
  test('for 20 s, a seed that is being sent goes on', async ({ dir, far: { start, link, sql, copies } }) => {
    await writeFiles(dir, seeded)
    const { finished } = start('up')
    await until('it copies', async () => (await copies()) > 0)
    link.cut()
    await sleep(20_000)
    link.mend()
    const { code, stderr } = await finished
    expect([code, code === 0 ? '' : stderr]).toEqual([0, ''])
    expect([...(await sql.unsafe('select count(*)::int as n from s'))]).toEqual([{ n: rows }])
  })

  test('a seed that is being sent ends after a minute: exit 10, and the server lets go of it too', async ({
    dir,
    far: { start, link, sessions, copies },
  }) => {
    await writeFiles(dir, seeded)
    const { finished } = start('up', '--json')
    await until('it copies', async () => (await copies()) > 0)
    link.cut()
    const cutAt = performance.now()
    const { code, stdout } = await finished
    expect([code, JSON.parse(stdout).error.kind]).toEqual([10, 'unreachable'])
    expect(performance.now() - cutAt).toBeLessThan(110_000)
    await until('the server lets go', async () => (await sessions()) === 0)
  })

  test.skipIf(!client)(
    'a backup ends after a minute with its pg_dump: exit 60, and nothing of it stays',
    async ({ dir, store, far: { start, link, sql, copies } }) => {
      await sql.unsafe(
        `create table big as select i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 30) j) as t from generate_series(1, 80000) i`,
      )
      await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ ...config, backup: { store: `file://${store}` } }) })
      const { child, finished } = start('backup', '--json')
      await until('it copies', async () => (await copies()) > 0)
      const [pid] = childrenOf(child.pid!, 'pg_dump')
      link.cut()
      const cutAt = performance.now()
      const { code, stdout } = await finished
      expect([code, JSON.parse(stdout).error]).toMatchObject([60, { message: expect.stringContaining('was lost') }])
      expect(performance.now() - cutAt).toBeLessThan(110_000)
      expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
      expect(filesBelow(store).filter((path) => !path.includes('/failed/'))).toEqual([])
    },
  )
})
