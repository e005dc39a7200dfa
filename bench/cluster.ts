import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import postgres from 'postgres'
import { findServerBinaries, startServer } from '../scripts/server.ts'
import type { Traffic } from './proxy.ts'
import { median } from './table.ts'

/** The benchmark's own server, and how to connect to it. */
export type Cluster = {
  version: string
  /** A new, empty database. None is ever dropped: ext4 would create files more slowly for minutes afterwards. */
  createDatabase(): Promise<string>
  /** URL of a database, over TCP with SCRAM. */
  url(database: string, via?: Link): string
  /** Runs a query in a database. */
  ask<T>(database: string, query: string): Promise<T>
}

/** Where clients connect: the server itself, or a proxy in front of it that adds latency. `taken`: what went through it since the last call. */
export type Link = { port: number; roundTripMs: number; taken(): Promise<Traffic> }

/** Runs `use` with a server that ends with it. It has PostgreSQL's default settings, so fsync is on. */
export async function withCluster(use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const [binDir] = findServerBinaries()
  if (binDir === undefined) throw new Error('no PostgreSQL server was found')
  const server = await startServer(binDir)
  const ask = async <T>(database: string, query: string) => {
    const sql = postgres(server.url(database), { max: 1, fetch_types: false, onnotice() {} })
    try {
      return (await sql.unsafe(query)) as T
    } finally {
      await sql.end()
    }
  }
  let databases = 0
  try {
    const [{ server_version: version }] = await ask<[{ server_version: string }]>('postgres', 'show server_version')
    await use({
      version,
      ask,
      async createDatabase() {
        const name = `bench_${++databases}`
        await ask('postgres', `create database ${name}`)
        return name
      },
      url(database, via) {
        const url = new URL(server.url(database))
        url.port = String(via?.port ?? server.port)
        url.searchParams.set('sslmode', 'disable')
        return url.href
      },
    })
  } finally {
    await server.remove()
  }
}

/** Runs `use` with a proxy in front of the server that adds latency to every round trip. */
export async function withLatency(cluster: Cluster, delayMs: number, use: (link: Link) => Promise<void>) {
  const { port } = new URL(cluster.url('postgres'))
  const proxy = spawn(process.execPath, [join(import.meta.dirname, 'proxy.ts'), port, String(delayMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    const lines = createInterface(proxy.stdout)[Symbol.asyncIterator]()
    const link: Link = {
      port: Number((await lines.next()).value),
      roundTripMs: 0,
      async taken() {
        proxy.stdin.write('\n')
        return JSON.parse((await lines.next()).value ?? '')
      },
    }
    const samples: number[] = []
    for (let i = 0; i < 21; i++) samples.push(await roundTrip(link.port))
    await link.taken()
    await use({ ...link, roundTripMs: median(samples) })
  } finally {
    proxy.kill()
  }
}

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

/** How long the server takes to answer the smallest possible query. */
function roundTrip(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    let from = 0
    socket.once('connect', () => {
      from = performance.now()
      socket.write(sslRequest)
    })
    socket.once('data', () => {
      resolve(performance.now() - from)
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
