/** Throwaway PostgreSQL servers for the quick start, the tests and the benchmarks. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type Server = {
  port: number
  superuser: string
  password: string
  /** Major version, e.g. 15. */
  major: number
  dir: string
  /** URL of a database as the superuser, over TCP with SCRAM. */
  url(database: string): string
  /** Crashes (`immediate`) or shuts down (`fast`) the server and waits until it is gone; the data stay. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

/** Folders with `initdb` and `postgres`, newest major first. */
export function findServerBinaries(): string[] {
  const debian = '/usr/lib/postgresql'
  const installed = existsSync(debian)
    ? readdirSync(debian)
        .sort((a, b) => Number(b) - Number(a))
        .map((major) => join(debian, major, 'bin'))
    : []
  return [...installed, ...(process.env.PATH ?? '').split(':')].filter(
    (dir) => dir !== '' && existsSync(join(dir, 'initdb')) && existsSync(join(dir, 'postgres')),
  )
}

/** The unprivileged account that servers run as when we are root: PostgreSQL refuses to run as root. */
function serverAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = lines.find((entry) => entry.startsWith('postgres:')) ?? lines.find((entry) => entry.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) throw new Error('there is neither a user postgres nor a user nobody to run the server as')
  return { uid: Number(uid), gid: Number(gid) }
}

export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/**
 * Makes a new cluster with SCRAM on 127.0.0.1 and starts it.
 * @param settings lines for postgresql.conf, e.g. `['fsync=off']`
 */
export async function startServer(binDir: string, { settings = [] as string[], parent = tmpdir() } = {}): Promise<Server> {
  const account = serverAccount()
  const dir = mkdtempSync(join(parent, 'pgbosun-pg-'))
  const data = join(dir, 'data')
  const password = 'p@ss:w/ord of the throwaway server'
  writeFileSync(join(dir, 'pw'), `${password}\n`)
  if (account) for (const path of [dir, join(dir, 'pw')]) chownSync(path, account.uid, account.gid)
  chmodSync(dir, 0o700)

  const run = { ...account, stdio: 'pipe' as const, cwd: dir, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: dir } }
  execFileSync(
    join(binDir, 'initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', join(dir, 'pw'), '-E', 'UTF8', '--no-sync'],
    run,
  )
  const major = Number.parseInt(readFileSync(join(data, 'PG_VERSION'), 'utf8'), 10)
  const port = await freePort()
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    [`port=${port}`, `listen_addresses='127.0.0.1'`, `unix_socket_directories='${dir}'`, ...settings, ''].join('\n'),
  )

  let child: ChildProcess | undefined
  let output = ''
  const server: Server = {
    port,
    superuser: 'postgres',
    password,
    major,
    dir,
    url: (database) => `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    async start() {
      output = ''
      const started = spawn(join(binDir, 'postgres'), ['-D', data], { ...run, stdio: ['ignore', 'pipe', 'pipe'] })
      child = started
      await new Promise<void>((resolve, reject) => {
        const read = (chunk: Buffer) => {
          output += chunk
          if (output.includes('database system is ready to accept connections')) resolve()
          if (output.length > 1_000_000) output = output.slice(-10_000)
        }
        started.stdout!.on('data', read)
        started.stderr!.on('data', read)
        started.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${output}`)))
      })
    },
    async stop(mode = 'fast') {
      const running = child
      if (!running || running.exitCode !== null || running.signalCode !== null) return
      const gone = new Promise((resolve) => running.once('exit', resolve))
      running.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await gone
    },
    async remove() {
      await server.stop('immediate')
      rmSync(dir, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}
