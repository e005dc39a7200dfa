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

/**
 * How a program ended, in words, with a hint if that says what to do. Nobody here sends SIGKILL to a program whose end still matters: it
 * is most likely the kernel, for want of memory.
 */
export function howEnded({ code, signal }: Pick<Ended, 'code' | 'signal'>): { how: string; hint?: string } {
  if (signal === null) return { how: `ended with exit code ${code}` }
  if (signal !== 'SIGKILL') return { how: `was ended by ${signal}` }
  return {
    how: 'was ended by SIGKILL, probably because memory ran out',
    hint: 'raise the memory limit of the container, then run it again; the log of the kernel tells whether it was that',
  }
}

/** A running client program. */
export type Tool = {
  name: ToolName
  stdin: Writable
  stdout: Readable
  /** Settles when it has ended and its output was read. The end of its output alone does not mean success. */
  ended: Promise<Ended>
  /** Ends it and everything it started; resolves when it has ended. */
  kill(): Promise<void>
}

export type ToolOptions = {
  /** Where it connects to; without it, the program gets no connection. */
  connection?: Connection | undefined
  /** The database, if it is not the connection's own. */
  database?: string | undefined
  applicationName?: string
  /** Settings of its session. */
  settings?: Record<string, string>
  /** How many characters of its stderr are kept, from the end. */
  keptStderr?: number
}

const launch = (program: string, args: string[], env: Record<string, string>) =>
  execa(program, args, { env, extendEnv: false, detached: true, buffer: false, reject: false, stdin: 'pipe' })
type Child = ReturnType<typeof launch>

/**
 * Starts a client program without our environment. The connection and the password are passed in its own environment, never as
 * arguments. It leads a process group, so that everything it starts can be ended too. Always call `kill()` in the end.
 */
export function startTool(tools: Tools, name: ToolName, args: string[], options: ToolOptions = {}): Tool {
  const { dir } = tools
  const { connection } = options
  const password = connection?.password()
  const client = connection && toolEnvironment(connection, tools, options)
  const env = { PATH: `${dir}:/usr/bin:/bin`, LC_ALL: 'C', HOME: '/nonexistent', ...client?.env }
  const child = launch(join(dir, name), args, env)
  // it may end before it has read everything; `ended` tells how it ended
  child.stdin.on('error', () => {})
  let running = true
  const ended = endOf(child, name, password, options.keptStderr).finally(() => {
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
 * Writes everything to a program's stdin, chunk by chunk, and closes it. If the program stops reading, the rest of the content is still
 * read, to find out whether it is complete; not with `once`, where it is made while it is read.
 */
export async function feedTool(
  { stdin }: Pick<Tool, 'stdin'>,
  content: AsyncIterable<Uint8Array>,
  {
    signal,
    onBytes,
    once = false,
  }: { signal: AbortSignal; onBytes?: ((bytes: number) => void) | undefined; once?: boolean | undefined },
): Promise<void> {
  let bytes = 0
  for await (const chunk of content) {
    signal.throwIfAborted()
    if (once && !stdin.writable) break
    bytes += chunk.length
    onBytes?.(bytes)
    await feed(stdin, chunk)
  }
  if (stdin.writable) stdin.end()
}

/** Resolves when the chunk is used up, or nobody reads any more. Its memory may then be freed or overwritten. */
export const feed = (stdin: Writable, chunk: Uint8Array) =>
  new Promise<void>((resolve) => {
    if (!stdin.writable) return resolve()
    const done = () => {
      stdin.off('close', done)
      resolve()
    }
    stdin.on('close', done)
    stdin.write(chunk, done)
  })

async function endOf(child: Child, name: string, password: string | undefined, keptStderr = 8_192): Promise<Ended> {
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptStderr)
  })
  const { exitCode, signal, originalMessage = 'the reason is unknown', cause } = await child
  if (exitCode === undefined && signal === undefined)
    throw new AppError('backup', `${name} could not be started: ${originalMessage}`, {
      hint: 'check its executable file',
      cause,
    })
  // A shorter password could be part of ordinary words.
  const said = password && password.length > 3 ? stderr.replaceAll(password, '***') : stderr
  return { code: exitCode ?? null, signal: signal ?? null, stderr: said.trim() }
}

/** Ends a program and everything it started: with SIGTERM, and with SIGKILL if it has not ended after `graceMs`. */
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
 * libpq's variables for a connection, with the password, and with paths of certificates. Copies of those exist until `remove()` is
 * called. Other drivers read most of these variables too.
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
    // in a variable, a name stays a name: as an argument, `a=b` would be read as connection parameters
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
 * The same for PostgreSQL's own programs, with a search_path in which no function of the application can replace one of the server.
 * (The user's own program keeps the search_path of its role and database.) If libpq is asked for `read-write`, it takes a session that
 * is read-only by default for a standby. It knows `primary` from 14 on; before that, the setting is switched off.
 */
function toolEnvironment(connection: Connection, { major }: Tools, options: Omit<ToolOptions, 'connection'>) {
  const settings: Record<string, string> = { search_path: 'pg_catalog, pg_temp', ...options.settings }
  if (connection.target === 'primary' && major < 14) settings.default_transaction_read_only = 'off'
  const { env, remove } = clientEnvironment(connection, { ...options, settings })
  if (connection.target === 'primary' && major >= 14) env.PGTARGETSESSIONATTRS = 'primary'
  return { env, remove }
}

/**
 * Makes a client program notice when the network drops its packets, or the other side is gone. libpq has no variables for this. The
 * limit is long enough for a server that only reads slowly.
 */
export const livenessArgument = 'keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=120000'

/** The name of a database as an argument, in the form of connection parameters, so that a name that contains `=` stays a name. */
export const databaseArgument = (name: string) => `dbname='${name.replace(/[\\']/g, '\\$&')}' ${livenessArgument}`
