import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { silentLog } from '../src/log.ts'
import { openSocket } from '../src/postgres/socket.ts'
import { watchSending } from '../src/postgres/unsent.ts'
import { makeCertificate, tlsMissing } from './support/tls.ts'

vi.setConfig({ testTimeout: 30_000 })

const turnMs = 150
/** Far more than the system keeps for both ends. */
const much = 16_000_000

const servers: Server[] = []
const sockets = new Set<Socket>()
const dir = await mkdtemp(join(tmpdir(), 'pgbosun-sending-'))
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  await rm(dir, { recursive: true })
})

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Reads whatever comes, with TLS when it is asked for as PostgreSQL is; a way to it can stop reading, or read slowly. */
async function startReader() {
  const pair = tlsMissing() === undefined ? makeCertificate(dir, 'localhost') : undefined
  const reader = await listen((socket) => {
    socket.once('data', (first) => {
      if (first.length !== 8 || !pair) return socket.resume()
      socket.write('S')
      const { key, certificate } = pair
      sockets.add(
        new TLSSocket(socket, { isServer: true, key: readFileSync(key), cert: readFileSync(certificate) })
          .on('error', () => {})
          .resume(),
      )
    })
  })
  let way: Socket | undefined
  let pauseMs = 0
  const port = await listen((socket) => {
    way = socket
    const on = connect(reader, '127.0.0.1').on('error', () => {})
    sockets.add(on)
    on.on('data', (chunk) => socket.write(chunk))
    socket.on('data', (chunk) => {
      on.write(chunk)
      if (pauseMs === 0) return
      socket.pause()
      setTimeout(() => socket.resume(), pauseMs)
    })
  })
  return {
    port,
    stop: () => way?.pause(),
    goOn: () => way?.resume(),
    slowDown: () => {
      pauseMs = 8
    },
  }
}

async function watched(busy: () => boolean, mode: 'disable' | 'require' = 'disable') {
  const reader = await startReader()
  const socket = await openSocket({ host: '127.0.0.1', port: reader.port }, { mode })
  sockets.add(socket.on('error', () => {}))
  let questions = 0
  watchSending(socket, {
    log: silentLog,
    turnMs,
    isBusy: async () => {
      questions++
      return busy()
    },
  })
  await sleep(10)
  return { reader, socket, questions: () => questions }
}

const modes = ['disable', ...(tlsMissing() === undefined ? (['require'] as const) : [])] as const

describe.concurrent.each(modes)('what is sent, TLS: %s', (mode) => {
  test('and not taken ends the connection, while the server waits for it', async () => {
    const { reader, socket } = await watched(() => false, mode)
    reader.stop()
    socket.write(Buffer.alloc(much))
    const sentAt = performance.now()
    await once(socket, 'close')
    expect(performance.now() - sentAt).toBeGreaterThan(6 * turnMs - 50)
  })

  // a machine that stalls makes slowly look like not at all
  test('and taken slowly does not, however long one message takes', { retry: 2 }, async () => {
    const { reader, socket } = await watched(() => false, mode)
    reader.slowDown()
    const sentAt = performance.now()
    await new Promise((resolve, reject) => {
      socket.write(Buffer.alloc(much), (error) => (error ? reject(error) : resolve(undefined)))
    })
    expect(performance.now() - sentAt).toBeGreaterThan(8 * turnMs)
    expect(socket.destroyed).toBe(false)
  })
})

test.concurrent('a server that is busy may leave it for as long as it likes', async () => {
  let busy = true
  const { reader, socket, questions } = await watched(() => busy)
  reader.stop()
  socket.write(Buffer.alloc(much))
  await sleep(20 * turnMs)
  expect([socket.destroyed, questions()]).toEqual([false, expect.toSatisfy((n: number) => n >= 2)])
  busy = false
  await once(socket, 'close')
})

test.concurrent('a short stop is survived, and a long one with nothing to send', async () => {
  const { reader, socket, questions } = await watched(() => false)
  reader.stop()
  const sent = new Promise((resolve) => socket.write(Buffer.alloc(much), resolve))
  await sleep(3 * turnMs)
  reader.goOn()
  await sent
  reader.stop()
  await sleep(10 * turnMs)
  expect([socket.destroyed, questions()]).toEqual([false, 0])
})
