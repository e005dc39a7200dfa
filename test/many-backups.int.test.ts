import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { start } from './support/cli.ts'
import { littleMemory } from './support/little-memory.ts'
import { manifestOf, putBackup, putMany } from './support/many.ts'
import { test as base, urlOf, writeFiles } from './support/postgres.ts'

const count = 10_000

/** A folder of its own where those of the servers are: in memory, 20,000 small files cost a fraction. */
const test = base.extend<{ dir: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  dir: async ({}, use) => {
    const dir = mkdtempSync(join(process.env.BOSUN_TEST_DATA ?? tmpdir(), 'pgbosun-test-'))
    await use(dir)
    rmSync(dir, { recursive: true, force: true })
  },
})

const little = littleMemory('many-backups')
afterAll(() => little?.remove())

/** Few files, and little memory where that can be had. */
const within = [...(little?.through ?? []), 'prlimit', '--nofile=64']

describe('ten thousand backups', { timeout: 300_000 }, () => {
  test('every command that reads them all gets by with 64 open files and 64 MiB', async ({ dir, database }) => {
    const root = join(dir, 'store')
    const ids = putMany(root, database, count)
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(root).href, keep: { last: 9_999 } } }),
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) }, through: within }
    for (const args of [['backup', 'list'], ['backup', 'prune', '--dry-run'], ['check']]) {
      const { code, stdout, stderr } = await start([...args, '--json'], options).finished
      expect([args, code, code === 0 ? '' : stderr]).toEqual([args, 0, ''])
      const { backups } = JSON.parse(stdout)
      if (args[0] === 'check') expect(backups.databases).toMatchObject([{ last_id: ids.at(-1) }])
      else expect(backups.map(({ id }: { id: string }) => id).sort()).toEqual(ids)
    }
    const verify = await start(['backup', 'verify', '--json'], options).finished
    expect([verify.code, verify.stderr]).toEqual([61, expect.stringContaining(`${ids.at(-1)} of`)])
  })

  test('serve reads each of them once: a turn without anything new costs next to nothing', async ({
    dir,
    database,
  }) => {
    const root = join(dir, 'store')
    const ids = putMany(root, database, count)
    const port = await freePort()
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        backup: { store: pathToFileURL(root).href, schedule: '0 3 29 2 *' },
        serve: { listen: `127.0.0.1:${port}` },
      }),
    })
    const { child, finished } = start(['serve', '--no-up'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
      through: within,
    })
    const lastId = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/status.json`)
      return ((await response.json()) as { backups: { last_success_id: string }[] }).backups[0]!.last_success_id
    }
    for (let i = 0; i < 600 && (await lastId().catch(() => null)) !== ids.at(-1); i++) await sleep(100)
    expect(await lastId()).toBe(ids.at(-1))
    const newer = putBackup(root, manifestOf(database, new Date(), 'ffff0000'))
    const before = cpuMs(child.pid!)
    for (let i = 0; i < 140 && (await lastId()) !== newer; i++) await sleep(500)
    const turned = cpuMs(child.pid!) - before
    expect(await lastId()).toBe(newer)
    child.kill('SIGTERM')
    expect((await finished).code).toBe(0)
    // reading them all again takes seconds; the requests above are in it too
    expect(turned).toBeLessThan(1_500)
  })
})

/** Processor time that a process has used. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
