import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import type { Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import type { ToolName, Tools } from './pgtools.ts'
import { tlsFiles } from './tls-files.ts'

/** How a client program ended. */
export type Ended = {
  code: number | null
  signal: NodeJS.Signals | null
  /** The end of what it wrote to stderr, without the password. */
  stderr: string
}

/** A client program at work. */
export type Tool = {
  name: ToolName
  stdin: Writable
  stdout: Readable
  /** Settles when it is gone and its output was read. The end of its output alone says nothing about success. */
  ended: Promise<Ended>
  /** Ends it and everything it started; resolves when it is gone. */
  kill(): Promise<void>
}

export type ToolOptions = {
  /** Where it connects to; without one it gets no connection at all. */
  connection?: Connection | undefined
  /** Another database than the connection's own. */
  database?: string | undefined
  applicationName?: string
  /** Settings of its session. */
  settings?: Record<string, string>
}

const launch = (program: string, args: string[], env: Record<string, string>) =>
  execa(program, args, { env, extendEnv: false, detached: true, buffer: false, reject: false, stdin: 'pipe' })
type Child = ReturnType<typeof launch>

/**
 * Runs a client program with nothing of our environment: where to connect to and the password are in its own environment,
 * never among its arguments. It is the leader of a process group, so that all of it can be ended.
 * Close it with `kill()`, whatever happens.
 */
export function startTool(tools: Tools, name: ToolName, args: string[], options: ToolOptions = {}): Tool {
  const { dir } = tools
  const { connection } = options
  const password = connection?.password()
  const client = connection && toolEnvironment(connection, tools, options)
  const env = { PATH: `${dir}:/usr/bin:/bin`, LC_ALL: 'C', HOME: '/nonexistent', ...client?.env }
  const child = launch(join(dir, name), args, env)
  // it may end before it has read everything; how it ended is told by `ended`
  child.stdin.on('error', () => {})
  let running = true
  const ended = endOf(child, name, password).finally(() => {
    running = false
    client?.remove()
  })
  ended.catch(() => {})
  return {
    name,
    stdin: child.stdin,
    stdout: child.stdout,
    ended,
    async kill() {
      child.stdout.destroy()
      child.stdin.destroy()
      if (running) await endGroup(child.pid, ended)
    },
  }
}

/**
 * Writes everything to a program's stdin, one chunk after the other, and ends it. When the program stops reading, the rest is read
 * all the same: whether the content is whole is one question, whether the program likes it another.
 */
export async function feedTool(
  { stdin }: Pick<Tool, 'stdin'>,
  content: AsyncIterable<Uint8Array>,
  { signal, onBytes }: { signal: AbortSignal; onBytes?: ((bytes: number) => void) | undefined },
): Promise<void> {
  let bytes = 0
  for await (const chunk of content) {
    signal.throwIfAborted()
    bytes += chunk.length
    onBytes?.(bytes)
    if (stdin.writable) await written(stdin, chunk)
  }
  if (stdin.writable) stdin.end()
}

/** Until the chunk is used up, or nobody reads any more: whoever made it may free or overwrite its memory then. */
const written = (stdin: Writable, chunk: Uint8Array) =>
  new Promise<void>((resolve) => {
    const done = () => {
      stdin.off('close', done)
      resolve()
    }
    stdin.on('close', done)
    stdin.write(chunk, done)
  })

const keptStderr = 8_192

async function endOf(child: Child, name: string, password: string | undefined): Promise<Ended> {
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptStderr)
  })
  const { exitCode, signal, originalMessage = 'the reason is not known', cause } = await child
  if (exitCode === undefined && signal === undefined)
    throw new AppError('backup', `${name} could not be started: ${originalMessage}`, { hint: 'check its file', cause })
  // A shorter one would be found inside ordinary words.
  const said = password && password.length > 3 ? stderr.replaceAll(password, '***') : stderr
  return { code: exitCode ?? null, signal: signal ?? null, stderr: said.trim() }
}

/** Ends a program and everything it started: asks first, and insists when it has not gone after a while. */
export async function endGroup(pid: number | undefined, ended: Promise<unknown>, graceMs = 3_000): Promise<void> {
  if (pid === undefined) return
  const gone = ended.then(
    () => true,
    () => true,
  )
  signalGroup(pid, 'SIGTERM')
  const inTime = await Promise.race([gone, sleep(graceMs, false, { ref: false })])
  if (!inTime) signalGroup(pid, 'SIGKILL')
  await gone
}

/** Sends a signal to a program and everything it started; one that is gone already does not matter. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/**
 * libpq's variables for a connection, with the password, and with certificates by their paths; copies of them are there until `remove()`
 * is called. Other drivers read most of them too.
 */
export function clientEnvironment(connection: Connection, options: Omit<ToolOptions, 'connection'>) {
  const files = tlsFiles(connection.tls)
  const password = connection.password()
  const env: Record<string, string> = {
    ...connectionEnvironment(connection, options),
    ...(password !== undefined && { PGPASSWORD: password }),
    ...files.env,
  }
  return { env, remove: files.remove }
}

function connectionEnvironment(connection: Connection, { database, applicationName, settings = {} }: ToolOptions) {
  const { endpoints, user, tls, target } = connection
  return {
    PGHOST: endpoints.map(({ host }) => host).join(','),
    ...(endpoints.some(({ address }) => address !== undefined) && {
      PGHOSTADDR: endpoints.map(({ address = '' }) => address).join(','),
    }),
    PGPORT: endpoints.map(({ port }) => port).join(','),
    PGUSER: user,
    // as a variable a name is a name: as an argument `a=b` would be read as connection parameters
    PGDATABASE: database ?? connection.database,
    PGAPPNAME: applicationName ?? 'pgbosun',
    PGCONNECT_TIMEOUT: '15',
    PGTARGETSESSIONATTRS: target === 'primary' ? 'read-write' : 'any',
    PGSSLMODE: tls.mode,
    PGGSSENCMODE: 'disable',
    PGPASSFILE: '/nonexistent',
    PGSERVICEFILE: '/nonexistent',
    PGOPTIONS: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`)
      .join(' '),
  }
}

/**
 * The same for PostgreSQL's own programs, with a path in which no function of the application can stand in for one of the server.
 * (The user's own program keeps the path of its role and database.) libpq takes a session that is read-only by default for one
 * of a standby when it is asked for `read-write`, and knows `primary` from 14 on: the setting gives way before.
 */
function toolEnvironment(connection: Connection, { major }: Tools, options: Omit<ToolOptions, 'connection'>) {
  const settings: Record<string, string> = { search_path: 'pg_catalog, pg_temp', ...options.settings }
  if (connection.target === 'primary' && major < 14) settings.default_transaction_read_only = 'off'
  const { env, remove } = clientEnvironment(connection, { ...options, settings })
  if (connection.target === 'primary' && major >= 14) env.PGTARGETSESSIONATTRS = 'primary'
  return { env, remove }
}

/**
 * How soon a client program notices that the network swallows what it sends, or that nobody is there any more. libpq has no variables
 * for it. A server that is only slow to read has longer than a stopped one needs.
 */
export const livenessArgument = 'keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=120000'

/** A database's name as an argument: connection parameters, so that a name with `=` in it stays a name. */
export const databaseArgument = (name: string) => `dbname='${name.replace(/[\\']/g, '\\$&')}' ${livenessArgument}`
