import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { silentLog } from '../src/log.ts'
import { type Listening, listen } from '../src/serve/server.ts'
import { full } from './support/chaos.ts'
import { start } from './support/cli.ts'
import { urlOf, test as withDatabase } from './support/postgres.ts'

const big = { text: 'x'.repeat(20_000) }
let open: Listening | undefined
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await open?.close()
  open = undefined
})

async function started(): Promise<number> {
  const ok = { ok: true, text: 'ok' }
  const page = async () => ({ body: '', headers: {} })
  const answers = {
    livez: () => ok,
    startupz: () => ok,
    readyz: async () => ok,
    status: async () => big,
    page,
    metrics: async () => ({ body: '', type: 'text/plain' }),
  }
  const guard = { access: 'open' as const, hosts: [] }
  open = await listen({ host: '127.0.0.1', port: 0 }, answers, guard, silentLog)
  return open.port
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.on('error', () => {})
    sockets.push(socket)
  })
}

const isAlive = async (port: number) => {
  const headers = { connection: 'close' }
  return (await fetch(`http://127.0.0.1:${port}/livez`, { headers, signal: AbortSignal.timeout(5_000) })).status
}

const rssMiB = () => process.memoryUsage().rss / 1024 ** 2

test('answers each of 10,000 pipelined requests, in order, and keeps none of them in memory', async () => {
  const port = await started()
  const socket = await connected(port)
  const before = rssMiB()
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, rssMiB())
  }, 20)
  let count = 0
  const done = new Promise<void>((resolve) => {
    socket.on('data', (bytes) => {
      count += bytes.toString('latin1').split('HTTP/1.1 200').length - 1
      if (count >= 9_990) resolve()
    })
    socket.on('close', () => resolve())
  })
  socket.write('GET /status.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(10_000))
  await done
  clearInterval(watch)
  expect(count).toBeGreaterThanOrEqual(9_990)
  expect(most - before).toBeLessThan(150)
}, 120_000)

test('a client that pipelines requests and reads nothing keeps nobody waiting', async () => {
  const port = await started()
  const socket = await connected(port)
  socket.pause()
  socket.write('GET /status.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(20_000))
  for (let i = 0; i < 5; i++) expect(await isAlive(port)).toBe(200)
}, 60_000)

test('2,000 connections that send nothing or half a request leave room for a probe', async () => {
  const port = await started()
  for (let i = 0; i < 2_000; i++) {
    const socket = await connected(port)
    if (i % 2) socket.write('GET /livez HT')
    if (i % 200 === 0) expect(await isAlive(port)).toBe(200)
  }
  expect(await isAlive(port)).toBe(200)
}, 120_000)

test('a request with a body is refused, and its sender disconnected', async () => {
  const port = await started()
  for (const header of ['content-length: 100000000', 'transfer-encoding: chunked']) {
    const socket = await connected(port)
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      socket.on('data', (bytes) => {
        text += bytes
      })
      socket.on('close', () => resolve(text))
      socket.write(`GET /livez HTTP/1.1\r\nhost: localhost\r\n${header}\r\n\r\n`)
    })
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
  }
}, 30_000)

const pieces = [
  'GET ',
  'HEAD ',
  'POST ',
  '//',
  '/[',
  'http://[',
  '/livez',
  '/status.json',
  ' HTTP/1.1',
  ' HTTP/9',
  '\r\n',
  '\r\n\r\n',
  'host: x',
  'content-length: 5',
  'transfer-encoding: chunked',
  'connection: upgrade',
  'upgrade: h2c',
  'expect: 100-continue',
  '\0',
  '\xff',
  '%',
  'a'.repeat(9_000),
  'CONNECT x:1',
  'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n',
  'GET /status.json HTTP/1.1\r\nhost: localhost\r\n\r\n',
]

/** Sends raw requests, many at a time: some are complete, some break off in the middle, some wait for the answer. */
async function sendRaw(port: number, count: number, seed: number): Promise<void> {
  const random = seeded(seed)
  let left = count
  const sendSome = async () => {
    while (left-- > 0) {
      const bytes = Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join('')
      await sendOne(port, Buffer.from(bytes, 'latin1'), random(4))
    }
  }
  await Promise.all(Array.from({ length: 50 }, sendSome))
}

const sendOne = (port: number, bytes: Buffer, how: number) =>
  new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.once('close', () => resolve())
    socket.once('data', () => socket.destroy())
    if (how === 0) socket.end(bytes)
    else socket.write(bytes, () => how === 1 && socket.destroy())
    // Nothing comes back for half a request.
    setTimeout(() => socket.destroy(), 50)
  })

const rssOf = (pid: number) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** As many as were promised take a minute. */
const rawRequests = full ? 100_000 : 10_000

const isLinux = process.platform === 'linux'
if (!isLinux) console.warn('NOT RUN: raw requests of any kind: memory is looked at through the /proc of Linux')

withDatabase.skipIf(!isLinux)(
  `${rawRequests} raw requests of any kind end nothing, keep no probe waiting, and stay in no memory`,
  async ({ dir, database }) => {
    const port = await freePort()
    // As in the container; else what V8 keeps for what is new is more than all the rest.
    const flags = { NODE_OPTIONS: '--max-semi-space-size=1' }
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_SERVE_LISTEN: `127.0.0.1:${port}`, ...flags }
    const { child, finished } = start(['serve', '--no-up'], { cwd: dir, env })
    onTestFinished(() => void child.kill('SIGKILL'))
    await expect.poll(() => isAlive(port).catch(() => 0)).toBe(200)
    // What every process comes to need.
    await sendRaw(port, 2_000, 1)
    const before = rssOf(child.pid!)
    let [sending, asked] = [true, 0]
    const probing = async () => {
      for (; sending; asked++) {
        expect(await isAlive(port)).toBe(200)
        await sleep(100)
      }
    }
    await Promise.all([sendRaw(port, rawRequests, 20).finally(() => (sending = false)), probing()])
    expect(asked).toBeGreaterThan(5)
    await expect.poll(() => rssOf(child.pid!), { timeout: 10_000 }).toBeLessThan(Math.max(before * 1.5, before + 40))
    child.kill('SIGTERM')
    const { code, stderr } = await finished
    expect(code).toBe(0)
    expect(stderr).not.toMatch(/unexpected|could not be answered/)
  },
  full ? 1_200_000 : 120_000,
)

function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}
