import type { Socket } from 'node:net'
import postgres from 'postgres'
import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import type { Log } from '../log.ts'
import { announcedPid, watchAnswers } from './answers.ts'
import type { Sql } from './db.ts'
import { freeCopies } from './freed.ts'
import { type LoginWarning, tellLoginWarnings } from './login-warnings.ts'
import { connectionLost, wasLost } from './lost.ts'
import { poolerRefused, refusePooler, settingsLost } from './pooler.ts'
import { pinnedPath } from './search-path.ts'
import { sign } from './signature.ts'
import { openSocket } from './socket.ts'
import { watchSending } from './unsent.ts'

/** One connection to one server. It is never reopened: once it is lost, every further query fails. */
export type Session = {
  sql: Sql
  /** The host that it is connected to. */
  endpoint: Endpoint
  /** `server_version_num`: 150020 is 15.20. */
  serverVersion: number
  inRecovery: boolean
  pid: number
  /** Throws `unreachable` once the connection is lost. */
  guard(): void
  /** Resolves when the connection is lost, but not when we end it. */
  lost: Promise<void>
  /** Closes the socket: the connection then counts as lost. */
  breakOff(): void
  /** Ends the connection. The server has at most a millisecond to do so too. */
  end(): Promise<void>
  /** The same at the end of a run: if nothing is under way, it does not wait for the server at all. */
  leave(): Promise<void>
}

export type SessionOptions = {
  /** The database, if it is not the connection's own. */
  database?: string | undefined
  applicationName: string
  /** For a session that holds locks: full name of the command, so that who waits for them can see which process this is (see `sign`). */
  command?: string | undefined
  log: Log
  /** Keeps the search_path of role and database, for a session that only reads it. */
  ownPath?: boolean
  /**
   * Ends the session at once, even while it is being opened, without waiting for the server. This is not the signal that asks a run to
   * stop: such a run still cleans up on its sessions.
   */
  endWith?: AbortSignal
  /** With a single host, only `endWith` ends a login that hangs: giving up would not end the server's process. */
  loginMayHang?: boolean
  /** Accept a standby, without looking for the primary. */
  allowStandby?: boolean
  /** Runs no event triggers of the database, not even at login. Only for superusers, from PostgreSQL 17 on: others are refused. */
  withoutEventTriggers?: boolean
  /** `statement_timeout` of the session. */
  statementTimeoutMs?: number
  /** Another session of the same server that can run a short query when this one hangs, because new sessions may be refused then. */
  witness?: () => Sql | undefined
}

/** Settings of a session that must not come from the role or the database. Servers before 14 do not know those in `from14`. */
const everywhere = {
  role: 'none',
  search_path: pinnedPath,
  standard_conforming_strings: 'on',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  // The locks of a machine that vanished silently are released after a minute, not after the two hours of the system's default.
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
}

// Keepalives are only sent while nothing waits to be acknowledged. Otherwise tcp_user_timeout decides, instead of the system's 15 minutes.
const from14 = { client_connection_check_interval: '2s', idle_session_timeout: '0', tcp_user_timeout: '60000' }

export async function openAt(endpoint: Endpoint, connection: Connection, options: SessionOptions): Promise<Session> {
  try {
    return await start(endpoint, connection, options, { ...everywhere, ...from14 })
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    if (code !== '42704' || !Object.keys(from14).some((name) => message?.includes(name))) throw error
    return start(endpoint, connection, options, everywhere)
  }
}

/**
 * Whether a server process does something other than wait for us to send. Asks on the witness session; without one, or if that may not
 * see it, on a new session. If it cannot be found out, the process counts as busy, unless the server does not answer at all.
 */
async function isBusy(
  pid: number,
  witness: Sql | undefined,
  endpoint: Endpoint,
  connection: Connection,
  options: Pick<SessionOptions, 'database' | 'log'>,
): Promise<boolean> {
  const endWith = AbortSignal.timeout(20_000)
  try {
    const seen = witness && (await readBusy(witness, pid))
    if (seen !== undefined) return seen
    const session = await openAt(endpoint, connection, { ...options, applicationName: 'pgbosun', endWith })
    return (await readBusy(session.sql, pid).finally(() => session.end())) ?? true
  } catch (error) {
    return !endWith.aborted && !wasLost(error)
  }
}

/** Undefined if the user may not see it. A process that is gone is not busy. */
async function readBusy(sql: Sql, pid: number): Promise<boolean | undefined> {
  const [row] = await sql.unsafe<{ busy: boolean | null }[]>(
    `select case when state is not null then wait_event_type is distinct from 'Client' end as busy
       from pg_catalog.pg_stat_activity where pid = ${pid}`,
  )
  return row ? (row.busy ?? undefined) : false
}

/** Begins each query of a session with its signature. It must be the last query that shows it, because it is all that others see. */
function signEach(sql: Sql, command: string): void {
  const comment = sign(command)
  const unsafe = sql.unsafe.bind(sql)
  sql.unsafe = ((text, ...rest) => unsafe(comment + text, ...rest)) as Sql['unsafe']
}

/** Together with those in `start`, every option of the driver: for the others it would read PG* and print notices to stdout. */
const driverOptions = {
  ssl: false,
  sslnegotiation: null,
  max: 1,
  idle_timeout: null,
  max_lifetime: null,
  max_pipeline: 100,
  backoff: 0,
  keep_alive: 30,
  prepare: false,
  debug: false,
  fetch_types: false,
  publications: '',
  no_subscribe: true,
}

async function start(
  endpoint: Endpoint,
  connection: Connection,
  {
    database,
    applicationName,
    command,
    log,
    ownPath = false,
    endWith,
    withoutEventTriggers = false,
    statementTimeoutMs,
    loginMayHang = false,
    witness,
  }: SessionOptions,
  settings: Record<string, string>,
): Promise<Session> {
  const patient = loginMayHang && connection.endpoints.length === 1
  const place = { endpoint, source: connection.source }
  endWith?.throwIfAborted()
  // Opened right away: the driver would start one turn of the event loop later.
  const opening = openSocket(endpoint, connection.tls, { signal: endWith, patient })
  opening.catch(() => {})
  let socket: Socket | undefined
  let failure: unknown
  let ended = false
  let lost = false
  /** Until the first query is answered. */
  let warnings: LoginWarning[] | undefined = []
  const { promise: whenLost, resolve: tellLost } = Promise.withResolvers<void>()
  const sql: Sql = postgres({
    host: endpoint.host.startsWith('/') ? 'localhost' : endpoint.host,
    port: endpoint.port,
    database: database ?? connection.database,
    user: connection.user,
    pass: () => connection.password() ?? '',
    connection: {
      application_name: applicationName,
      ...settings,
      ...(ownPath && { search_path: undefined }),
      ...(withoutEventTriggers && { event_triggers: 'off' }),
      ...(statementTimeoutMs !== undefined && { statement_timeout: String(statementTimeoutMs) }),
    },
    socket: async () => {
      if (socket) throw Object.assign(new Error('the connection was lost'), { code: 'CONNECTION_CLOSED' })
      try {
        socket = await opening
        watchAnswers(sql, socket)
        watchSending(socket, {
          log,
          isBusy() {
            const other = witness?.()
            return isBusy(announcedPid(sql) ?? 0, other === sql ? undefined : other, endpoint, connection, {
              database,
              log,
            })
          },
        })
        return freeCopies(socket)
      } catch (error) {
        failure = error
        throw error
      }
    },
    ...driverOptions,
    connect_timeout: patient ? null : 15,
    onnotice: ({ severity, message, detail }: postgres.Notice) => {
      if (warnings && severity === 'WARNING' && message !== undefined) warnings.push({ message, detail })
      else log.debug({ severity }, `server: ${message}`)
    },
    // The driver would reconnect and, if that fails, never answer any query after the first.
    onclose: () => {
      lost = !ended
      if (lost) tellLost()
      void sql.end({ timeout: 0 })
    },
  } as unknown as postgres.Options<Record<string, never>>) as Sql

  if (command !== undefined) signEach(sql, command)
  const abort = () => {
    ended = true
    socket?.destroy()
    opening.then((opened) => opened.destroy()).catch(() => {})
    void sql.end({ timeout: 0 })
  }
  const finish = () => {
    ended = true
    endWith?.removeEventListener('abort', abort)
    return sql.end({ timeout: 0 })
  }
  endWith?.addEventListener('abort', abort, { once: true })
  try {
    endWith?.throwIfAborted()
    // All names are qualified and no operators are used: the search_path is only known once this is answered.
    const [row] = await sql.unsafe<{ version: number; standby: boolean; pid: number; path: string }[]>(
      "select pg_catalog.current_setting('server_version_num')::int as version, pg_catalog.pg_is_in_recovery() as standby, pg_catalog.pg_backend_pid() as pid, pg_catalog.current_setting('search_path') as path",
    )
    if (row === undefined) throw new Error('the server did not answer')
    const heard = warnings
    warnings = undefined
    await refusePooler(sql, row.pid, place)
    if (!ownPath && row.path !== pinnedPath) throw settingsLost(place)
    if (heard.length > 0) await tellLoginWarnings(sql, heard, { user: connection.user, log })
    return {
      sql,
      endpoint,
      serverVersion: row.version,
      inRecovery: row.standby,
      pid: row.pid,
      guard() {
        if (lost) throw connectionLost()
      },
      lost: whenLost,
      breakOff: () => void socket?.destroy(),
      async end() {
        await finish()
        socket?.unref()
      },
      async leave() {
        const ending = finish()
        // By then the driver has taken leave of the server, unless that still has to answer.
        await undefined
        if (!socket?.writableEnded) await ending
        socket?.unref()
      },
    }
  } catch (error) {
    await finish()
    opening.then((opened) => opened.destroy()).catch(() => {})
    throw failure ?? poolerRefused(error, place) ?? error
  }
}
