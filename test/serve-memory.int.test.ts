import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { start } from './support/cli.ts'
import { littleMemory } from './support/little-memory.ts'
import { putMany } from './support/many.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

const little = littleMemory('serve')
afterAll(() => little?.remove())

const mostKilobytes = 40_000

/** Of a moment: V8 collects garbage in threads of its own, which a busy machine lets wait. */
const mostOfMoment = 48_000

/** What the image passes to Node. */
const ofImage = '--max-semi-space-size=1 --max-old-space-size-percentage=50'

test.runIf(little)(
  'serve has less than 40 MB of memory of its own in 64 MiB, with 1,000 backups, when page and metrics are asked for',
  { timeout: 120_000 },
  async ({ dir, database }) => {
    const root = join(dir, 'store')
    putMany(root, database, 1000)
    const port = await freePort()
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({
        users: { serve_memory_app: { password: { env: 'APP_PASSWORD' } } },
        backup: { store: pathToFileURL(root).href, schedule: '0 3 29 2 *' },
        serve: { listen: `127.0.0.1:${port}` },
      }),
      ...Object.fromEntries(
        Array.from({ length: 20 }, (_, i) => [`migrations/${i + 1}_t.sql`, `create table t${i}(id int primary key)`]),
      ),
    })
    const { child, finished } = start(['serve'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database), APP_PASSWORD: 'app', NODE_OPTIONS: ofImage },
      through: little!.through,
    })
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    const largest = { start: 0, read: 0, asked: 0 }
    let during: keyof typeof largest = 'start'
    const own = () => Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1])
    const look = () => {
      largest[during] = Math.max(largest[during], own())
    }
    const looking = setInterval(look, 20)
    try {
      await expect.poll(() => get('/startupz').catch(() => ''), { timeout: 60_000 }).toMatch(/^ok/)
      during = 'read'
      await expect
        .poll(() => get('/metrics').catch(() => ''), { timeout: 60_000 })
        .toMatch(/^pgbosun_backups_stored\{.* 1000$/m)
      during = 'asked'
      for (let i = 0; i < 100; i++) for (const path of ['/', '/metrics', '/status.json']) await get(path)
      await expect.poll(own, { timeout: 30_000 }).toBeLessThan(mostKilobytes - 2_000)
      for (let i = 0; i < 10; i++) {
        await sleep(300)
        expect(own()).toBeLessThan(mostKilobytes)
      }
    } finally {
      clearInterval(looking)
      child.kill('SIGTERM')
    }
    expect((await finished).code).toBe(0)
    process.stderr.write(`kB of serve at most, by what it did: ${JSON.stringify(largest)}\n`)
    expect(Math.max(...Object.values(largest))).toBeLessThan(mostOfMoment)
  },
)
