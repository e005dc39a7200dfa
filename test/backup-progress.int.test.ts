import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { type TablesProgress, watchTables } from '../src/backup/tables.ts'
import { backUp, client, test } from './support/backup.ts'
import { majorOf, programFolders } from './support/clients.ts'
import { server, urlOf } from './support/postgres.ts'

const shop = `
  create table empty (id int);
  create table "Odd ""name""" as select n, repeat('x', 100) as text from generate_series(1, 20000) n;
  create schema other;
  create table other.wide as select repeat('y', 3000000) as text from generate_series(1, 2);
  create view v as select 1 as n;
  create materialized view m as select 1 as n;
  select lo_from_bytea(0, convert_to(repeat('z', 100000), 'utf8')), lo_from_bytea(0, '')`

const tables = ['public.empty', 'public."Odd ""name"""', 'other.wide']

/** What is told of an archive that comes in steps of that size, without repetitions. */
function told(archive: Buffer, size: number): (TablesProgress | undefined)[] {
  const watch = watchTables()
  const states: (TablesProgress | undefined)[] = []
  for (let at = 0; at < archive.length; at += size) {
    // what is kept of a step must be a copy
    const step = Buffer.from(archive.subarray(at, at + size))
    watch.push(step)
    step.fill(0xff)
    if (JSON.stringify(watch.state()) !== JSON.stringify(states.at(-1))) states.push(watch.state())
  }
  return states
}

describe.skipIf(!client)('the progress of a dump', () => {
  test('names the table that pg_dump of each major version is at, whatever the steps', { timeout: 60_000 }, async ({
    sql,
    database,
  }) => {
    await sql.unsafe(shop)
    for (const folder of new Set([client!.dir, ...programFolders.filter((dir) => majorOf(dir) >= server().major)])) {
      const archive = execFileSync(join(folder, 'pg_dump'), ['-Fc', '-Z0', `--dbname=${urlOf(database)}`], {
        maxBuffer: 1e8,
      })
      for (const size of [4_099, 65_536, 1_048_576]) {
        const states = told(archive, size)
        expect(states.at(-1), `${folder} ${size}`).toEqual({ table: null, tablesDone: 3, tablesTotal: 3 })
        for (const state of states) expect([undefined, null, ...tables]).toContain(state?.table)
        if (size > 65_536) continue
        const seen = states.filter((state) => state?.table === 'other.wide')
        expect(seen.length).toBeGreaterThan(0)
      }
    }
  })

  test('ends where the archive is not understood, and nothing else does', () => {
    expect(told(Buffer.alloc(3_000_000, 'no archive'), 100_000)).toEqual([])
  })

  test('is told while a backup is made', async ({ sql, database, store }) => {
    await sql.unsafe(shop)
    const calls: unknown[] = []
    await backUp(store, urlOf(database), { onProgress: (...call) => calls.push(call) })
    expect(calls.at(-1)).toEqual([
      expect.any(Number),
      expect.any(Number),
      { table: null, tablesDone: 3, tablesTotal: 3 },
    ])
    expect(calls.length).toBeGreaterThan(5)
    for (const [done, total] of calls as number[][]) expect(done!).toBeLessThanOrEqual(total!)
  })

  test('is in the status of serve while it dumps, and null afterwards', { timeout: 90_000 }, async ({
    configured,
    sql,
  }) => {
    await sql.unsafe(
      `create table much as select n, repeat(md5(n::text), 30) as text from generate_series(1, 100000) n`,
    )
    const port = await freePort()
    const pgbosun = await configured({
      backup: { schedule: '* * * * *' },
      more: { serve: { listen: `127.0.0.1:${port}`, access: 'loopback' } },
    })
    pgbosun.start('serve', '--no-up')
    const seen: unknown[] = []
    const look = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/status.json`).catch(() => undefined)
      const [backup] =
        (
          (await answer?.json()) as
            | { backups: { progress: object | null; last_success_id: string | null }[] }
            | undefined
        )?.backups ?? []
      if (backup?.progress) seen.push(backup.progress)
      return backup?.last_success_id && [backup.progress]
    }
    await expect.poll(look, { timeout: 80_000, interval: 5 }).toEqual([null])
    expect(seen).toContainEqual({
      table: 'public.much',
      tables_done: 0,
      tables_total: 1,
      bytes: expect.any(Number),
      estimated_bytes: expect.any(Number),
    })
  })
})
