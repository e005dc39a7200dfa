import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BackupOptions } from '../../src/backup/options.ts'
import { runBackup } from '../../src/backup/run.ts'
import type { Connection } from '../../src/config/connection.ts'
import { parseDatabaseUrl } from '../../src/config/url.ts'
import { silentLog } from '../../src/log.ts'
import { findTools } from '../../src/programs/pgtools.ts'
import { localStore } from '../../src/store/local.ts'
import { run, runJson, type Started, start } from './cli.ts'
import { test as base, server, urlOf, writeFiles } from './postgres.ts'

/** Where the tests look for client programs. */
export const search = { path: process.env.PATH }

/** The server's binaries of npm come without client programs: then tests that need them are skipped, and say so. */
export const client = await findTools(server().major * 10_000, search).then(
  // a newer one stands in: that has tests of its own
  (tools) => (tools.major === server().major ? tools : undefined),
  () => undefined,
)
if (!client)
  process.stderr.write(`NOT RUN: backups of PostgreSQL ${server().major}: there are no client programs of it here\n`)

/** A connection as the configuration makes it. */
export function connectionTo(url: string, change: Partial<Connection> = {}): Connection {
  const { endpoints, user = '', database = '', password } = parseDatabaseUrl(url, 'test')
  const tls = { mode: 'prefer' } as const
  return {
    source: 'test',
    endpoints,
    user,
    database,
    password: () => password,
    tls,
    target: 'any',
    ignored: [],
    ...change,
  }
}

/** `runBackup` with everything that a test does not care about. */
export const backUp = (store: string, url: string, change: Partial<BackupOptions> = {}) => {
  const connection = connectionTo(url)
  return runBackup({
    connection,
    database: connection.database,
    store: localStore(pathToFileURL(store).href),
    name: 'default',
    retention: { keep: 'all', timezone: 'UTC' },
    recipients: [],
    globals: 'no-passwords',
    secrets: [],
    slot: null,
    lock: { database: 'postgres', timeoutMs: 30_000 },
    wait: { timeoutMs: 10_000, patient: false },
    counts: 'exact',
    timeoutMs: 60_000,
    search,
    command: 'backup run',
    runId: 'test',
    toolVersion: 'test',
    log: silentLog,
    signal: new AbortController().signal,
    now: () => new Date(),
    ...change,
  })
}

/** What a store says of itself, and of who uses it. */
const ofStores = /^pgbosun-store\.json$|^[^/]+\/series\//

/** All files below a folder, by path, partial uploads too, without what a store says of itself. */
export function filesBelow(root: string): string[] {
  try {
    return readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => statSync(join(root, path)).isFile() && !ofStores.test(path))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Processes that a process started, by name. */
export function childrenOf(pid: number, name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        const [, command, parent] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? []
        return command === name && Number(parent) === pid
      } catch {
        return false
      }
    })
    .map(Number)
}

/** The program, as a test runs it. */
export type Pgbosun = {
  run(...args: string[]): ReturnType<typeof run>
  runJson(...args: string[]): ReturnType<typeof runJson>
  start(...args: string[]): Started
}

type Fixtures = {
  /** A folder for backups, which does not exist yet. */
  store: string
  /** The program, bound to the configuration: another URL, and more under `backup` or beside it. */
  configured: (options?: {
    url?: string
    backup?: object
    more?: object
    env?: Record<string, string>
  }) => Promise<Pgbosun>
  /** The program, bound to the test's own database and store. */
  pgbosun: Pgbosun
}

/** `test` with a store and the program. */
export const test = base.extend<Fixtures>({
  store: async ({ dir }, use) => use(join(dir, 'backups')),
  configured: async ({ dir, store, database }, use) => {
    const processes: Started[] = []
    let counter = 0
    await use(async ({ url = urlOf(database), backup = {}, more = {}, env = {} } = {}) => {
      const cwd = join(dir, `work${++counter}`)
      const config = { backup: { store: pathToFileURL(store).href, ...backup }, ...more }
      await writeFiles(cwd, { 'pgbosun.yaml': JSON.stringify(config) })
      const options = { cwd, env: { DATABASE_URL: url, ...env } }
      return {
        run: (...args) => run(args, options),
        runJson: (...args) => runJson(args, options),
        start(...args) {
          const started = start(args, options)
          processes.push(started)
          return started
        },
      }
    })
    for (const { child } of processes) child.kill('SIGKILL')
  },
  pgbosun: async ({ configured }, use) => use(await configured()),
})

/** The newest record of a verification in the folder of a backup. */
export function lastRecordIn(folder: string) {
  const names = readdirSync(folder).filter((name) => name.startsWith('verified-'))
  return JSON.parse(readFileSync(join(folder, names.sort().at(-1)!), 'utf8'))
}
