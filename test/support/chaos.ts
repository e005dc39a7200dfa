import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { type Server, startServer } from '../../scripts/server.ts'
import { run, runJson, type Started, start } from './cli.ts'
import { test as base, server as shared, uniqueName, writeFiles } from './postgres.ts'

/** `BOSUN_TEST_FULL=1`: as often as promised, not only as often as a quick run can. */
export const full = process.env.BOSUN_TEST_FULL === '1'

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Waits until something is so; fails after 20 s, naming it. */
export async function until<T>(what: string, read: () => Promise<T> | T): Promise<NonNullable<T>> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const value = await read()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await sleep(25)
  }
}

/** For tests of random moments: one that fails found something, whatever the second try says. */
export const neverAgain = { retry: 0 }

/** A server that only one test file uses: it may be crashed, and its roles are the file's own. */
export type Cluster = Server & {
  /** Rows of a query, over a connection of its own, so that a crash before or after it does not matter. */
  ask<Row extends object>(query: string, database?: string): Promise<Row[]>
  /** Runs statements and holds what they locked (nothing is committed) until it is called. */
  hold(statements: string, database?: string, application?: string): Promise<{ pid: number; release(): Promise<void> }>
}

const connect = (server: Server, database: string, application = 'observer') =>
  postgres(server.url(database), {
    max: 1,
    fetch_types: false,
    prepare: false,
    onnotice() {},
    no_subscribe: true,
    connection: { application_name: application },
  } as unknown as postgres.Options<Record<string, never>>)

async function startCluster(): Promise<Cluster> {
  const server = await startServer(shared().binDir, { settings: ['fsync=off'] })
  return Object.assign(server, {
    async ask<Row extends object>(query: string, database = 'postgres') {
      const sql = connect(server, database)
      try {
        return [...(await sql.unsafe<Row[]>(query))]
      } finally {
        await sql.end({ timeout: 1 })
      }
    },
    async hold(statements: string, database = 'postgres', application?: string) {
      const sql = connect(server, database, application)
      const [row] = (await sql.unsafe('select pg_backend_pid() as pid')) as unknown as { pid: number }[]
      await sql.unsafe(`begin; ${statements}`)
      return { pid: row!.pid, release: () => sql.end({ timeout: 0 }) }
    },
  })
}

/** An application to be made ready: a target database with two users, files in a folder of their own. */
export type App = {
  database: string
  cwd: string
  /** Adds or replaces files; migrations go below `migrations/`. */
  write(files: Record<string, string>): Promise<void>
  /** `out` and `log` are what it wrote to stdout and stderr so far. */
  start(...args: string[]): Started & { out(): string; log(): string }
  run(...args: string[]): ReturnType<typeof run>
  runJson(...args: string[]): ReturnType<typeof runJson>
}

/** `test` with a cluster that only this file uses, and any number of applications on it. */
export const test = base
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  .extend('cluster', { scope: 'file' }, async ({}, { onCleanup }) => {
    const cluster = await startCluster()
    onCleanup(() => cluster.remove())
    return cluster
  })
  .extend('makeApp', ({ cluster, dir }, { onCleanup }) => {
    const processes: Started[] = []
    onCleanup(() => {
      for (const { child } of processes) child.kill('SIGKILL')
    })
    return async (extra: object = {}, name = uniqueName('app')): Promise<App> => {
      const cwd = join(dir, name)
      const env = { DATABASE_URL: cluster.url(name), PW_RW: 'read and write', PW_RO: 'read only' }
      const config = { database: { url: { env: 'DATABASE_URL' } }, databases: { [name]: withUsers(name) }, ...extra }
      await writeFiles(cwd, { 'pgbosun.yaml': JSON.stringify(config) })
      return {
        database: name,
        cwd,
        write: (files) => writeFiles(cwd, files),
        start(...args) {
          const process = start(args, { cwd, env })
          processes.push(process)
          return { ...process, out: collect(process.child.stdout), log: collect(process.child.stderr) }
        },
        run: (...args) => run(args, { cwd, env }),
        runJson: (...args) => runJson(args, { cwd, env }),
      }
    }
  })

/** A declared database with two users, whose passwords are in the environment of every app. */
export const withUsers = (name: string) => ({
  users: {
    [`${name}_rw`]: { preset: 'app', password: { env: 'PW_RW' } },
    [`${name}_ro`]: { preset: 'readonly', password: { env: 'PW_RO' } },
  },
})

function collect(stream: Readable | null): () => string {
  let text = ''
  stream?.on('data', (chunk) => {
    text += chunk
  })
  return () => text
}
