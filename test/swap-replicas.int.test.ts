import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { type App, type Cluster, test, until } from './support/chaos.ts'
import { pgbouncer, startPooler } from './support/pooler.ts'
import { uniqueName } from './support/postgres.ts'
import { backedUp, databases, expectGood, lose, replace, replaceJson, things } from './support/swap.ts'

if (!pgbouncer) process.stderr.write('NOT RUN: a swap behind a connection pooler: there is no pgbouncer here\n')

type Seen = { counts: number[]; errors: string[] }

/** An application that asks as fast as it can, over a new connection after each error. */
async function asking(url: string, seen: Seen, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const sql = postgres(url, {
      max: 1,
      fetch_types: false,
      prepare: false,
      onnotice() {},
      no_subscribe: true,
    } as never)
    try {
      for (; !signal.aborted; await sleep(1)) {
        const [row] = await sql.unsafe('select count(*)::int as count from things')
        seen.counts.push(row!.count)
      }
    } catch (error) {
      const { code, message } = error as { code?: string; message: string }
      seen.errors.push(`${code}: ${message}`)
      await sleep(10)
    } finally {
      await sql.end({ timeout: 0 })
    }
  }
}

describe.skipIf(!client || !pgbouncer)('a swap behind a pooler of transactions', () => {
  test('is seen by everybody at once, and nobody sees the old database again', { timeout: 90_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const { app } = await backedUp(makeApp)
    await lose(cluster, app)
    // Without it, whoever is refused once keeps everybody waiting for 15 s.
    const pooler = await startPooler(['pool_mode = transaction', 'server_login_retry = 1'], undefined, cluster)
    const stop = new AbortController()
    try {
      const all: Seen[] = Array.from({ length: 4 }, () => ({ counts: [], errors: [] }))
      const clients = all.map((seen) => asking(pooler.url(app.database), seen, stop.signal))
      await until('all are at work', () => all.every(({ counts }) => counts.length > 5))
      expectGood(await replace(app))
      const seenAtEnd = all.map(({ counts }) => counts.length)
      await until('all go on', () => all.every(({ counts }, i) => counts.length > seenAtEnd[i]! + 5))
      stop.abort()
      await Promise.all(clients)
      for (const { counts, errors } of all) {
        expect(counts.filter((count, i) => count !== counts[i - 1])).toEqual([10, 1000])
        // ended with the session of the server that it had, then at most refused while the pooler waits
        expect(errors.length, errors.join('\n')).toBeLessThan(10)
      }
    } finally {
      stop.abort()
      await pooler.remove()
    }
  })
})

/** A subscriber in another database of the same server, which follows. */
async function subscribe(cluster: Cluster, { database }: App) {
  const [name, slot] = [uniqueName('subscriber'), uniqueName('slot')]
  await cluster.ask(`create database ${name}`)
  await cluster.ask('create table things (n int, text text)', name)
  const follow = async (subscription: string) => {
    await cluster.ask(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`, database)
    await cluster.ask(
      `create subscription ${subscription} connection 'host=127.0.0.1 port=${cluster.port} user=postgres password=''${cluster.password}'' dbname=${database}'
         publication p with (create_slot = false, slot_name = '${slot}', copy_data = false)`,
      name,
    )
  }
  const has = async (n: number) => (await cluster.ask(`select from things where n = ${n}`, name)).length > 0
  return { name, slot, follow, has }
}

describe.skipIf(!client)('a swap of a database that a subscriber follows', () => {
  test('needs --drop-slots, says who loses its place, and the subscriber can be set up again', {
    timeout: 120_000,
  }, async ({ cluster, makeApp }) => {
    await cluster.ask('alter system set wal_level = logical')
    await cluster.stop('fast')
    await cluster.start()
    const { app } = await backedUp(makeApp, {
      more: "create publication p for table things with (publish = 'insert');",
    })
    const { name, slot, follow, has } = await subscribe(cluster, app)
    await follow('s')
    await lose(cluster, app)
    await cluster.ask('insert into things values (5000)', app.database)
    await until('the subscriber follows', () => has(5000))

    const refused = await replaceJson(app)
    expect(refused.code, refused.stderr).toBe(70)
    expect(refused.json).toMatchObject({ touched: false })
    const said = `${refused.json.error?.message}\n${refused.json.error?.hint}`
    for (const words of [slot, 'pg_drop_replication_slot', '--drop-slots']) expect(said).toContain(words)
    await cluster.ask('insert into things values (5001)', app.database)
    await until('the subscriber still follows', () => has(5001))

    const { code, stdout, stderr } = await replace(app, '--drop-slots')
    expect(code, stderr).toBe(0)
    expect(stdout).toContain('subscribers of the publication p lose their place and must be set up again')
    expect(stdout).toContain(`the replication slot ${slot} is dropped: its readers must be set up again`)
    expect(await things(cluster, app)).toBe(1000)
    // it tries again and again, and neither gets anything nor keeps anything
    expect(await cluster.ask(`select from pg_replication_slots where slot_name = '${slot}'`)).toEqual([])
    expect(await databases(cluster, app)).toHaveLength(2)
    await cluster.ask('insert into things values (5002)', app.database)

    await cluster.ask('alter subscription s disable', name)
    await cluster.ask('alter subscription s set (slot_name = none)', name)
    await cluster.ask('drop subscription s', name)
    await follow('again')
    await cluster.ask('insert into things values (5003)', app.database)
    await until('the subscriber follows the new one', () => has(5003))
    expect(await has(5002)).toBe(false)
  })
})
