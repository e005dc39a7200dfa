import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { silentLog } from '../src/log.ts'
import { type Listening, listen } from '../src/serve/server.ts'

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
  const answers = { livez: () => ok, startupz: () => ok, readyz: async () => ok, status: async () => big }
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

test('answers every one of 10,000 requests that were sent ahead, in order, and keeps none of them in memory', async () => {
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

test('a client that sends ahead and reads nothing keeps nobody waiting', async () => {
  const port = await started()
  const socket = await connected(port)
  socket.pause()
  socket.write('GET /status.json HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(20_000))
  for (let i = 0; i < 5; i++) expect(await isAlive(port)).toBe(200)
}, 60_000)

test('2,000 connections that say nothing or half a request leave room for a probe', async () => {
  const port = await started()
  for (let i = 0; i < 2_000; i++) {
    const socket = await connected(port)
    if (i % 2) socket.write('GET /livez HT')
    if (i % 200 === 0) expect(await isAlive(port)).toBe(200)
  }
  expect(await isAlive(port)).toBe(200)
}, 120_000)

test('a body is refused, and its sender disconnected', async () => {
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

test('raw requests of any kind end nothing', async () => {
  const port = await started()
  const random = seeded(20)
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
  ]
  for (let i = 0; i < 2_000; i++) {
    const socket = await connected(port)
    socket.write(Array.from({ length: 1 + random(8) }, () => pieces[random(pieces.length)]).join(''), 'latin1')
    if (random(2)) socket.end()
    if (i % 100 === 0) expect(await isAlive(port)).toBe(200)
  }
  expect(await isAlive(port)).toBe(200)
}, 120_000)

function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}
