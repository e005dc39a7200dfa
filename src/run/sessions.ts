import { setTimeout as sleep } from 'node:timers/promises'
import { at, besides, type Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { type Log, silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import { startHeartbeat } from '../postgres/heartbeat.ts'
import { isPoolerError } from '../postgres/pooler.ts'
import type { Session } from '../postgres/session.ts'
import { openWhenReady } from '../postgres/wait.ts'
import type { Context } from './context.ts'

/** The sessions of one attempt at the work of a command. Each that is opened here ends with them at the latest. */
export type Sessions = {
  /** Leads to the host that was chosen, and to no other. */
  connection: Connection
  /** In `lock.database`. In a run that writes it holds the locks, and is only read on. */
  cluster: Session
  /** In the target database; undefined while that does not exist. */
  target: Session | undefined
  /** One more, as the same user. */
  open(database: string): Promise<Session>
  /** One more, as another user. */
  openAs(connection: Connection, database: string): Promise<Session>
  close(session: Session): Promise<void>
  /** Whether {@link end} was not called yet. */
  areOpen(): boolean
  /** Ends them all. */
  end(): Promise<void>
}

export type SessionsOptions = {
  /** The target database may be missing when it is declared. */
  mayBeMissing: boolean
  /** Nothing is written: the session in the target does for `lock.database` where that one may not be used. */
  reading: boolean
  /** What needs no database, done while the connections are on their way: reading files. */
  meanwhile?: (() => Promise<void>) | undefined
  /** Until when to wait, as `performance.now()` counts. */
  deadline: number
}

/**
 * Waits for the database, and opens a session in `lock.database` and one in the target. When the process is asked to stop, or the
 * session that holds the locks is lost, the server is told to end what the others are doing.
 *
 * @throws {AppError} `unreachable` or `refused`; also `refused` when `lock.database` may not be used
 */
export async function openSessions(context: Context, options: SessionsOptions): Promise<Sessions> {
  const { loaded, log, signal } = context
  const { config } = loaded
  const given = context.connection()
  const all = new Set<Session>()
  let cluster: Session | undefined
  let open = true
  let stopHeartbeat = () => {}
  const stop = () => void stopAll(cluster, all, log)
  signal.addEventListener('abort', stop)
  const end = async () => {
    open = false
    signal.removeEventListener('abort', stop)
    stopHeartbeat()
    await Promise.all([...all].map((session) => session.leave()))
  }

  const base = { applicationName: `pgbosun ${context.runId}`, log, signal, witness: () => cluster?.sql }
  const waiting = { ...base, patient: config.wait.patient, timeoutMs: config.wait.timeout, deadline: options.deadline }
  const mayBeMissing = options.mayBeMissing && Object.hasOwn(config.databases, given.database)
  const kept = async <S extends Session | undefined>(opening: Promise<S>): Promise<S> => {
    const session = await opening
    if (session) all.add(session)
    return session
  }
  try {
    const opening = openBoth(
      given,
      (host) => kept(openWhenReady(host, { ...waiting, mayBeMissing, lockDatabase: config.lock.database })),
      (host) =>
        kept(
          openWhenReady(host, { ...waiting, log: silentLog, command: context.command, database: config.lock.database }),
        ),
    )
    // A socket starts to connect at the end of the turn of the event loop that it was made in; in the next one the server is told who
    // we are, and begins to work.
    if (options.meanwhile) await nextTurn().then(nextTurn).then(options.meanwhile)
    const [first, second] = await opening
    if (first.status === 'rejected') throw first.reason
    const locking = lockingSession(first.value, second, options.reading, config.lock.database)
    cluster = locking
    const connection = at(given, locking)
    // This session only gets short queries; the others may be busy for hours.
    if (locking !== first.value) stopHeartbeat = startHeartbeat(locking, { log, onSilent: () => breakOffAll(all) })
    if (!options.reading) void locking.lost.then(() => endWork(context, connection, pidsOf(locking, all)))
    return {
      connection,
      cluster: locking,
      target: first.value,
      open: (database) => kept(openSession(connection, { ...base, database })),
      openAs: (other, database) => kept(openSession(besides(other, connection), { ...base, database })),
      async close(session) {
        all.delete(session)
        await session.end()
      },
      areOpen: () => open,
      end,
    }
  } catch (error) {
    await end()
    throw error
  }
}

type Opening = (where: Connection) => Promise<Session | undefined>

/** Opens both sessions at once. With several hosts, the second goes to the host that the first one chose. */
async function openBoth(connection: Connection, first: Opening, second: Opening) {
  if (connection.endpoints.length === 1) return Promise.allSettled([first(connection), second(connection)])
  const [one] = await Promise.allSettled([first(connection)])
  if (one.status === 'rejected') return [one, one] as const
  const [other] = await Promise.allSettled([second(one.value ? at(connection, one.value) : connection)])
  return [one, other] as const
}

/** Lets the sockets have their turn: what has arrived is answered before the caller goes on. */
export const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A command that only reads needs no lock, and the catalogs of roles and databases are the same in every database. */
function lockingSession(
  target: Session | undefined,
  inLockDatabase: PromiseSettledResult<Session | undefined>,
  reading: boolean,
  database: string,
): Session {
  if (inLockDatabase.status === 'fulfilled' && inLockDatabase.value) return inLockDatabase.value
  const { reason } = inLockDatabase as PromiseRejectedResult
  if (reading && target && isRefused(reason)) return target
  throw noLockDatabase(reason, database)
}

const isRefused = (error: unknown): error is AppError => error instanceof AppError && error.kind === 'refused'

function noLockDatabase(error: unknown, database: string): unknown {
  // An error without a code is about the connection, such as TLS.
  if (!isRefused(error) || [undefined, '28P01'].includes(error.sqlstate) || isPoolerError(error)) return error
  return error.with({
    message: `the lock database ${database} cannot be used: ${error.message}`,
    hint: 'all runners must take their locks in one database: grant connect on it, or set lock.database to one that every runner may connect to',
    cause: error,
  })
}

/** If the session with the locks no longer answers, the others must be assumed dead too. */
function breakOffAll(sessions: Set<Session>): void {
  for (const session of sessions) session.breakOff()
}

const pidsOf = (cluster: Session | undefined, all: Set<Session>) =>
  [...all].filter((session) => session !== cluster).map(({ pid }) => pid)

/** Ends what our backends are doing: after closing only the socket, a long statement would run on for seconds. */
async function stopAll(cluster: Session | undefined, all: Set<Session>, log: Log): Promise<void> {
  const pids = pidsOf(cluster, all)
  if (cluster && pids.length > 0) {
    const ending = cluster.sql
      .unsafe(
        `select pg_catalog.pg_cancel_backend(pid), pg_catalog.pg_terminate_backend(pid) from pg_catalog.unnest(array[${pids}]) pid`,
      )
      .catch((error: Error) => log.debug({ problem: error.message }, 'our backends could not be ended'))
    await Promise.race([ending, sleep(500)])
  }
  for (const session of all) await session.end()
}

/**
 * Ends our backends when the session that holds the locks was lost. The server must not execute messages that it has already received.
 * Ours all start with `reset session authorization;`, so exactly those are ended; a statement running outside a transaction does not
 * start with it, and may finish.
 */
async function endWork({ loaded, log, runId }: Context, connection: Connection, pids: number[]): Promise<void> {
  if (pids.length === 0) return
  try {
    const session = await openSession(connection, {
      applicationName: 'pgbosun',
      database: loaded.config.lock.database,
      log,
    })
    await session.sql.unsafe(
      `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
        where pid in (${pids}) and application_name = 'pgbosun ${runId}' and query like 'reset session authorization;%'`,
    )
    await session.end()
  } catch (error) {
    log.debug({ problem: (error as Error).message }, 'our backends could not be ended')
  }
}
