import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { childrenOf } from './support/backup.ts'
import { test, until } from './support/chaos.ts'
import { type Started, start } from './support/cli.ts'
import { uniqueName, urlOf } from './support/postgres.ts'
import { startSwallower } from './support/swallow.ts'

type Serving = Started & { pid: number; get(path: string): Promise<{ status: number; body: string }> }

async function serving(cwd: string, url: string): Promise<Serving> {
  const port = await freePort()
  const env = { DATABASE_URL: url, PGBOSUN_SERVE_LISTEN: `127.0.0.1:${port}` }
  const started = start(['serve', '--no-up'], { cwd, env })
  onTestFinished(async () => {
    started.child.kill('SIGKILL')
    await started.finished
  })
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, body: await response.text() }
  }
  await until('it listens', () => get('/livez').catch(() => undefined))
  return { ...started, pid: started.child.pid!, get }
}

const isReady = ({ get }: Serving) => until('it is ready', async () => (await get('/readyz')).status === 200)
/** What `serve` asks when it starts has been answered: what it asks later ends within 10 s, and is not asked of a server that is not ready. */
const isQuiet = ({ pid }: Serving, port: number) =>
  until('one connection', async () => (await mostWithin(1_000, () => socketsTo(pid, port))) === 1)
const isNotReady = ({ get }: Serving) => until('it is not ready', async () => (await get('/readyz')).status === 503)

/** How long half of 20 questions took at most: the machine is shared. */
async function medianMs({ get }: Serving): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 20; i++) {
    const askedAt = performance.now()
    await get(i % 2 ? '/readyz' : '/status.json')
    times.push(performance.now() - askedAt)
  }
  return times.sort((a, b) => a - b)[10]!
}

/** Open connections of a process to a port. */
function socketsTo(pid: number, port: number): number {
  const ends = readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const there = new Set(
    ends
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[2]?.endsWith(hex))
      .map((fields) => `socket:[${fields[9]}]`),
  )
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return there.has(readlinkSync(`/proc/${pid}/fd/${fd}`))
    } catch {
      return false
    }
  }).length
}

/** Processes of a server that serve, or are to serve, a client at this database. */
const backendsOf = (postmaster: number, database: string) =>
  childrenOf(postmaster, 'postgres').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(` ${database} `)
    } catch {
      return false
    }
  })

/** The most that there was of something, looked at for a while. */
async function mostWithin(ms: number, count: () => number): Promise<number> {
  let most = 0
  for (const deadline = Date.now() + ms; Date.now() < deadline; await sleep(50)) most = Math.max(most, count())
  return most
}

const isLinux = process.platform === 'linux'
if (!isLinux) console.warn('NOT RUN: readiness while nobody can log in: it is looked at through the /proc of Linux')

describe.skipIf(!isLinux)('readiness, while nobody can log in', { timeout: 120_000 }, () => {
  test('answers at once, and holds one connection, when the server is frozen', async ({ cluster, dir }) => {
    const database = uniqueName('frozen')
    await cluster.ask(`create database ${database}`)
    const app = await serving(dir, cluster.url(database))
    await isReady(app)
    await isQuiet(app, cluster.port)
    const postmaster = cluster.pid()!
    const frozen = [postmaster, ...childrenOf(postmaster, 'postgres')]
    const signal = (name: NodeJS.Signals) => {
      for (const pid of frozen)
        try {
          process.kill(pid, name)
        } catch (error) {
          // a backend that was about to end anyway
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH' || pid === postmaster) throw error
        }
    }
    signal('SIGSTOP')
    try {
      await isNotReady(app)
      const watching = mostWithin(9_000, () => socketsTo(app.pid, cluster.port))
      for (let i = 0; i < 3; i++) {
        expect(await medianMs(app)).toBeLessThan(200)
        await sleep(2_000)
      }
      const { ready, ready_reason, ready_age_ms } = JSON.parse((await app.get('/status.json')).body)
      expect({ ready, ready_reason }).toEqual({
        ready: false,
        ready_reason: 'the database does not answer within 2s',
      })
      expect(ready_age_ms).toBeLessThan(10_000)
      expect(await watching).toBe(1)
    } finally {
      signal('SIGCONT')
    }
    expect(await mostWithin(2_000, () => backendsOf(postmaster, database).length)).toBeLessThanOrEqual(1)
    await isReady(app)
    app.child.kill('SIGTERM')
    const lines = (await app.finished).stderr.split('\n').filter((line) => line.includes('ready'))
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { ready_ms: expect.any(Number), msg: 'not ready: the database does not answer within 2s' },
      { not_ready_ms: expect.any(Number), msg: 'ready again' },
    ])
  })

  test('leaves no processes at a server whose logins hang', async ({ cluster, dir }) => {
    const database = uniqueName('stuck')
    await cluster.ask(`create database ${database}`)
    const app = await serving(dir, cluster.url(database))
    await isReady(app)
    await isQuiet(app, cluster.port)
    for (const catalog of ['pg_database', 'pg_authid']) {
      const { release } = await cluster.hold(`lock table pg_catalog.${catalog} in access exclusive mode`)
      onTestFinished(release) // a second try has to get in
      await isNotReady(app)
      const backends = mostWithin(9_000, () => backendsOf(cluster.pid()!, database).length)
      expect(await mostWithin(9_000, () => socketsTo(app.pid, cluster.port))).toBe(1)
      expect(await backends).toBe(1)
      expect(await medianMs(app)).toBeLessThan(200)
      await release()
      await isReady(app)
    }
  })

  for (const tls of ['disable', 'prefer'])
    test(`holds one connection through a way that forwards nothing, with sslmode=${tls}`, async ({ dir, database }) => {
      const way = await startSwallower()
      onTestFinished(() => way.close())
      way.swallow()
      const url = new URL(way.url(database))
      url.searchParams.set('sslmode', tls)
      const app = await serving(dir, url.href)
      await isNotReady(app)
      expect(await mostWithin(9_000, () => socketsTo(app.pid, Number(url.port)))).toBe(1)
      expect(await medianMs(app)).toBeLessThan(200)
      way.release()
      await isReady(app)
      const stoppedAt = performance.now()
      way.swallow()
      await isNotReady(app)
      app.child.kill('SIGTERM')
      expect(await app.finished).toMatchObject({ code: 0 })
      expect(performance.now() - stoppedAt).toBeLessThan(20_000)
    })

  test('stays at the second of two hosts, where the first does not answer', async ({ dir, database }) => {
    const way = await startSwallower()
    onTestFinished(() => way.close())
    const url = new URL(urlOf(database))
    const [first, second] = [new URL(way.url(database)).port, url.port]
    way.swallow()
    const app = await serving(dir, url.href.replace(url.host, `127.0.0.1:${first},127.0.0.1:${second}`))
    await isReady(app)
    const { pid } = app
    expect(await mostWithin(1_000, () => socketsTo(pid, Number(first)))).toBe(0)
    for (let i = 0; i < 10; i++) {
      await sleep(1_000)
      expect((await app.get('/readyz')).status).toBe(200)
    }
  })
})
