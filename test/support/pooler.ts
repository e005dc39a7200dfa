import { spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Server, serverAccount, temporary } from '../../scripts/server.ts'
import { server } from './postgres.ts'

/** The program, where this machine has it: on the PATH, where Debian puts it, or where scripts/lib.sh does. */
export const pgbouncer = [
  ...(process.env.PATH ?? '').split(':'),
  '/usr/sbin',
  join(temporary, `pgbosun-pooler-${process.getuid?.()}`),
]
  .map((dir) => join(dir, 'pgbouncer'))
  .find((path) => existsSync(path))

export type Pooler = {
  port: number
  /** Folder of its Unix socket. */
  dir: string
  /** URL of a database through it. */
  url(database: string): string
  remove(): Promise<void>
}

/**
 * Starts a PgBouncer in front of a server, by default the run's, with SCRAM on both sides. It ends with this process, however that ends.
 * @param settings lines for its section `[pgbouncer]`
 * @param databases lines for its section `[databases]`
 */
export async function startPooler(
  settings: string[],
  databases?: string[],
  behind: Pick<Server, 'port' | 'password'> = server(),
): Promise<Pooler> {
  if (pgbouncer === undefined) throw new Error('there is no pgbouncer here')
  const account = serverAccount()
  const dir = mkdtempSync(join(temporary, 'pgbosun-pooler-'))
  const port = await freePort()
  const logFile = join(dir, 'pgbouncer.log')
  const files = {
    'users.txt': `"postgres" "${behind.password}"\n`,
    'pgbouncer.ini': [
      '[databases]',
      ...(databases ?? [`* = host=127.0.0.1 port=${behind.port}`]),
      '[pgbouncer]',
      `listen_addr = 127.0.0.1`,
      `listen_port = ${port}`,
      `unix_socket_dir = ${dir}`,
      'auth_type = scram-sha-256',
      `auth_file = ${join(dir, 'users.txt')}`,
      `logfile = ${logFile}`,
      ...settings,
      '',
    ].join('\n'),
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content, { mode: 0o600 })
  if (account)
    for (const path of [dir, ...Object.keys(files).map((name) => join(dir, name))])
      chownSync(path, account.uid, account.gid)
  chmodSync(dir, 0o700)

  // the shell ends it when our end of its stdin is closed: by remove(), or because we are gone
  const child = spawn(
    '/bin/sh',
    ['-c', '"$@" & read _; kill -9 $!; wait', 'pooler', pgbouncer, '-q', join(dir, 'pgbouncer.ini')],
    {
      ...account,
      cwd: dir,
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    },
  )
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const pooler: Pooler = {
    port,
    dir,
    url: (database) =>
      `postgres://postgres:${encodeURIComponent(behind.password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`,
    async remove() {
      child.stdin.end()
      await gone
      rmSync(dir, { recursive: true, force: true })
    },
  }
  for (let tries = 0; !(await answers(port)); tries++) {
    if (tries === 200) {
      await pooler.remove()
      throw new Error(
        `pgbouncer did not start: ${existsSync(logFile) ? readFileSync(logFile, 'utf8') : 'it said nothing'}`,
      )
    }
    await sleep(25)
  }
  return pooler
}

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
