/** Throwaway PostgreSQL servers for the quick start, the tests and the benchmarks. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Server = {
  port: number
  superuser: string
  password: string
  /** Major version, e.g. 15. */
  major: number
  dir: string
  /** File with everything the server logged, since the first start. */
  logFile: string
  /** Process id of the postmaster while it runs. */
  pid(): number | undefined
  /** URL of a database as the superuser, over TCP with SCRAM. */
  url(database: string): string
  /** Crashes (`immediate`) or shuts down (`fast`) the server and waits until it is gone; the data is kept. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
  /** Lets the server outlive this process. */
  keep(): void
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

/** Where the packages of Debian, Fedora (PGDG), Alpine and Homebrew put the server's programs. */
const packaged = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/usr/libexec/postgresql*',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/opt/postgresql@*/bin',
]

/** Folders with `initdb` and `postgres`: `BOSUN_TEST_BIN` first, then packaged ones, newest major first, then the PATH. */
export function findServerBinaries(): string[] {
  const major = (dir: string) => Number(/\d+/.exec(dir)?.[0] ?? 0)
  const dirs = [
    process.env.BOSUN_TEST_BIN ?? '',
    ...packaged.flatMap((pattern) => globSync(pattern)).sort((a, b) => major(b) - major(a)),
    ...(process.env.PATH ?? '').split(':'),
  ]
  return [...new Set(dirs)].filter(
    (dir) => dir !== '' && existsSync(join(dir, 'initdb')) && existsSync(join(dir, 'postgres')),
  )
}

export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/**
 * Makes a new cluster with SCRAM on 127.0.0.1 and starts it. It ends with this process, however that ends.
 * @param options `settings`: lines for postgresql.conf, e.g. `['fsync=off']`; `parent`: the folder for its data, by default that of
 *   `BOSUN_TEST_DATA`; `standbyOf`: a stopped server whose standby this one becomes
 */
export async function startServer(
  binDir: string,
  {
    settings = [],
    parent = process.env.BOSUN_TEST_DATA ?? temporary,
    standbyOf,
  }: { settings?: string[]; parent?: string; standbyOf?: Server } = {},
): Promise<Server> {
  const account = serverAccount()
  const dir = mkdtempSync(join(parent, 'pgbosun-pg-'))
  const data = join(dir, 'data')
  const guard = endWithUs(dir)
  const logFile = join(dir, 'server.log')
  const password = 'p@ss:w/ord of the throwaway server'
  const run = { ...account, cwd: dir, env: { PATH: process.env.PATH, LC_ALL: utf8Locale, HOME: dir } }

  writeFileSync(join(dir, 'pw'), `${password}\n`)
  if (account) for (const path of [dir, join(dir, 'pw')]) chownSync(path, account.uid, account.gid)
  chmodSync(dir, 0o700)
  if (standbyOf) {
    execFileSync('cp', ['-R', join(standbyOf.dir, 'data'), data], { ...run, stdio: 'pipe' })
    writeFileSync(join(data, 'standby.signal'), '')
  } else
    execFileSync(
      join(binDir, 'initdb'),
      ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', join(dir, 'pw'), '-E', 'UTF8', '--no-sync'],
      { ...run, stdio: 'pipe' },
    )
  const port = await freePort()
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    [
      `port=${port}`,
      `listen_addresses='127.0.0.1'`,
      `unix_socket_directories='${dir}'`,
      ...follow(standbyOf),
      ...settings,
      '',
    ].join('\n'),
  )

  let child: ChildProcess | undefined
  const running = () => (child?.exitCode === null && child.signalCode === null ? child : undefined)
  const server: Server = {
    port,
    superuser: 'postgres',
    password,
    major: Number.parseInt(readFileSync(join(data, 'PG_VERSION'), 'utf8'), 10),
    dir,
    logFile,
    pid: () => running()?.pid,
    url: (database) =>
      `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    async start() {
      const log = openSync(logFile, 'a')
      // in a process group of its own, because we handle Ctrl-C
      child = spawn(join(binDir, 'postgres'), ['-D', data], { ...run, stdio: ['ignore', log, log], detached: true })
      closeSync(log)
      while (running() && !isReady(data, child.pid)) await sleep(20)
      if (!running()) throw new Error(`the server did not start:\n${readFileSync(logFile, 'utf8').slice(-10_000)}`)
    },
    async stop(mode = 'fast') {
      const stopping = running()
      if (!stopping) return
      const gone = new Promise((resolve) => stopping.once('exit', resolve))
      stopping.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await gone
    },
    keep() {
      guard.kill('SIGKILL')
      child?.unref()
    },
    async remove() {
      await server.stop('immediate')
      guard.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
  await server.start()
  return server
}

const follow = (primary: Server | undefined) =>
  primary
    ? [
        `primary_conninfo='host=127.0.0.1 port=${primary.port} user=${primary.superuser} password=''${primary.password}'''`,
      ]
    : []

/** If TMPDIR belongs to root, the account that the server runs as may not be able to enter it. */
export const temporary = process.getuid?.() === 0 ? '/tmp' : tmpdir()

const utf8Locale = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8'

/** The unprivileged account that servers run as when we are root: PostgreSQL refuses to run as root. */
export function serverAccount(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const accounts = readFileSync('/etc/passwd', 'utf8').split('\n')
  const [, , uid, gid] =
    ['postgres:', 'nobody:'].flatMap((name) => accounts.find((line) => line.startsWith(name)) ?? [])[0]?.split(':') ??
    []
  if (uid === undefined || gid === undefined)
    throw new Error('there is neither a user postgres nor a user nobody to run the server as')
  return { uid: Number(uid), gid: Number(gid) }
}

/** The eighth line of postmaster.pid is the server's state; the first is the process that wrote it. */
function isReady(data: string, pid: number | undefined): boolean {
  try {
    const lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch {
    return false
  }
}

/** Waits until our process ends, which closes its stdin, then stops the server and removes its folder, even after `kill -9`. */
function endWithUs(dir: string): ChildProcess {
  const script = `read _; cd "$1" || exit
    pid=$(head -n 1 data/postmaster.pid 2> /dev/null) && kill -QUIT "$pid"
    for _ in 1 2 3 4 5 6 7 8 9 10; do [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null && sleep 0.2; done
    cd / && rm -rf "$1"`
  const guard = spawn('/bin/sh', ['-c', script, 'guard', dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.unref()
  const stdin = guard.stdin as unknown as { unref(): void }
  stdin.unref()
  return guard
}
