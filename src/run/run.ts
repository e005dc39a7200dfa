import { setTimeout as sleep } from 'node:timers/promises'
import { at, besides, type Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { type Log, silentLog } from '../log.ts'
import { openSession, type Session } from '../postgres/connect.ts'
import { startHeartbeat } from '../postgres/heartbeat.ts'
import { claimWork, releaseRunLock, takeRunLock } from '../postgres/lock.ts'
import { clusterObject, databaseObject } from '../postgres/lock-keys.ts'
import { dropLogin, loginPrefix } from '../postgres/login.ts'
import { isPoolerError } from '../postgres/pooler.ts'
import { type Attempt, retryWhenLost } from '../postgres/retry.ts'
import { openWhenReady } from '../postgres/wait.ts'
import type { Context } from './context.ts'

/** Sessions of one attempt at the work of a command. */
export type Run = {
  /** Its connection leads to the host that was chosen, and to no other. */
  context: Context
  /** In `lock.database`. In a run that writes it holds the locks and is only read on. */
  cluster: Session
  /** In the target database; undefined while that does not exist. */
  target: Session | undefined
  /** Opens the target once it was created. */
  openTarget(): Promise<Session>
  /** A session in a declared database; the target's own where that is meant. Undefined when the database does not exist. */
  inDatabase<T>(name: string, use: (session: Session | undefined) => Promise<T>): Promise<T>
  /** A session of another login, which ends with the run at the latest; see `close`. */
  openAs(connection: Connection, database: string): Promise<Session>
  close(session: Session): Promise<void>
  /** A session in `lock.database` for changes of roles and databases. */
  changingCluster<T>(use: (session: Session) => Promise<T>): Promise<T>
  /** Throws when the session that holds the locks was lost: nothing may be written any more. */
  guard(): void
  /** To be called before the first write: from then on a lost connection ends the run instead of starting it over. */
  noteChange(): void
  /** Gives the lock on roles and databases back. */
  releaseCluster(): Promise<void>
}

/**
 * Which locks a run takes: none to read; the target's; that on roles and databases alone; or all of them, also those of all declared
 * databases.
 */
export type Locks = 'none' | 'target' | 'roles' | 'everything'

export type RunOptions = {
  locks: Locks
  /** The target database may be missing when it is declared: the command creates it, or plans as if it were empty. */
  mayBeMissing?: boolean
  /** What needs no database, done while the connections are on their way: reading files. */
  meanwhile?: () => Promise<void>
}

/**
 * Waits for the database, takes the locks and does the work. A connection that is lost before the first change leads back to
 * waiting, within the same timeout.
 *
 * @throws {AppError} `unreachable` when a connection is lost after the first change, or the timeout has passed
 */
export async function withRun<T>(context: Context, options: RunOptions, use: (run: Run) => Promise<T>): Promise<T> {
  const { loaded, signal, log } = context
  const deadline = performance.now() + loaded.config.wait.timeout
  return retryWhenLost({ deadline, signal, log }, (attempt) => runOnce(context, options, deadline, attempt, use))
}

type Opening = (where: Connection) => Promise<Session | undefined>

/** Both at once; where there are several hosts, the second goes where the first has gone. */
async function openBoth(connection: Connection, first: Opening, second: Opening) {
  if (connection.endpoints.length === 1) return Promise.allSettled([first(connection), second(connection)])
  const [one] = await Promise.allSettled([first(connection)])
  if (one.status === 'rejected') return [one, one] as const
  const [other] = await Promise.allSettled([second(one.value ? at(connection, one.value) : connection)])
  return [one, other] as const
}

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

async function runOnce<T>(
  context: Context,
  { locks, mayBeMissing = false, meanwhile }: RunOptions,
  deadline: number,
  attempt: Attempt,
  use: (run: Run) => Promise<T>,
): Promise<T> {
  const { loaded, signal, log } = context
  const { config } = loaded
  const given = context.connection()
  let connection = given
  const open = new Set<Session>()
  let cluster: Session | undefined
  const base = { applicationName: `pgbosun ${context.runId}`, log, signal, witness: () => cluster?.sql }
  const waiting = { ...base, patient: config.wait.patient, timeoutMs: config.wait.timeout, deadline }
  const declared = mayBeMissing && Object.hasOwn(config.databases, connection.database)

  const opened = async <S extends Session | undefined>(session: Promise<S>): Promise<S> => {
    const result = await session
    if (result) open.add(result)
    return result
  }
  const work = async (database: string): Promise<Session> => {
    const session = await opened(openSession(connection, { ...base, database }))
    if (locks === 'target' || locks === 'everything') await claim(context, session, database)
    return session
  }
  const close = async (session: Session) => {
    open.delete(session)
    await session.end()
  }
  let stopHeartbeat = () => {}
  const stop = () => void stopSessions(cluster, open, log)
  signal.addEventListener('abort', stop)
  try {
    const opening = openBoth(
      given,
      (host) => opened(openWhenReady(host, { ...waiting, mayBeMissing: declared })),
      (host) => opened(openWhenReady(host, { ...waiting, log: silentLog, database: config.lock.database })),
    )
    // A socket begins to connect at the end of the turn that it was made in.
    if (meanwhile) await nextTurn().then(meanwhile)
    const [first, second] = await opening
    if (first.status === 'rejected') throw first.reason
    // Who only looks needs no lock: the catalogs of roles and databases are the same in every database.
    const mayDoWithout = locks === 'none' && second.status === 'rejected' && isRefused(second.reason)
    const locking = mayDoWithout ? first.value : second.status === 'fulfilled' ? second.value : undefined
    if (!locking) throw noLockDatabase((second as PromiseRejectedResult).reason, config.lock.database)
    cluster = locking
    connection = at(given, locking)
    const here = { ...context, connection: () => connection }
    // It only answers short questions; the others may be busy for hours.
    if (locking !== first.value) stopHeartbeat = startHeartbeat(locking, { log, onSilent: () => breakOff(open) })
    if (locks !== 'none') void locking.lost.then(() => endWork(here, pidsOf(locking, open)))
    const run: Run = {
      context: here,
      cluster: locking,
      target: first.value,
      async openTarget() {
        run.target ??= await work(connection.database)
        return run.target
      },
      async inDatabase(name, inside) {
        if (name === connection.database) return inside(run.target)
        const session = await work(name).catch((error: { code?: string }) => {
          if (error.code === '3D000') return undefined
          throw error
        })
        try {
          return await inside(session)
        } finally {
          if (session) await close(session)
        }
      },
      openAs: (other, database) => opened(openSession(besides(other, connection), { ...base, database })),
      close,
      async changingCluster(inside) {
        const session = await opened(openSession(connection, { ...base, database: config.lock.database }))
        try {
          await claimWork(session.sql, { log, signal, object: 1 })
          return await inside(session)
        } finally {
          await close(session)
        }
      },
      guard: () => locking.guard(),
      noteChange: () => {
        attempt.changed = true
      },
      releaseCluster: async () => {
        await releaseRunLock(locking.sql, clusterObject)
      },
    }
    if (locks !== 'none') await takeLocks(run, locks)
    return await use(run)
  } finally {
    signal.removeEventListener('abort', stop)
    stopHeartbeat()
    for (const session of open) await session.end()
  }
}

/** Takes the locks in one order, 0 first and then databases by name, so that runs with different targets cannot wait for each other. */
async function takeLocks({ context, cluster, target }: Run, locks: Exclude<Locks, 'none'>): Promise<void> {
  const { loaded, signal, log } = context
  const options = { timeoutMs: loaded.config.lock.timeout, log, signal, takeLock: context.takeLock }
  const names = new Set([context.connection().database])
  if (locks !== 'target') await takeRunLock(cluster.sql, clusterObject, 'the lock on roles and databases', options)
  // Who has only that one does no work in the target.
  if (locks === 'roles') return
  if (locks === 'everything') {
    for (const name of Object.keys(loaded.config.databases)) names.add(name)
  }
  for (const name of [...names].sort())
    await takeRunLock(cluster.sql, databaseObject(name), `the lock of database ${name}`, options)
  if (target) await claim(context, target, context.connection().database)
}

/** Marks a session as the one that works in its database, and removes the logins that killed runs left there. */
async function claim({ log, signal }: Context, { sql }: Session, database: string): Promise<void> {
  for (const user of await claimWork(sql, { log, signal, logins: loginPrefix(database) })) {
    try {
      await dropLogin(sql, user)
      log.info({ role: user }, 'removed the login of a run that was killed')
    } catch (error) {
      log.warn({ role: user, problem: (error as Error).message }, 'the login of a killed run could not be removed')
    }
  }
}

const isRefused = (error: unknown): error is AppError => error instanceof AppError && error.kind === 'refused'

function noLockDatabase(error: unknown, database: string): unknown {
  // without a code it is about the way there, like TLS
  if (!isRefused(error) || [undefined, '28P01'].includes(error.sqlstate) || isPoolerError(error)) return error
  return error.with({
    message: `the lock database ${database} cannot be used: ${error.message}`,
    hint: 'all runners must take their locks in one database: grant connect on it, or set lock.database to one that every runner may connect to',
    cause: error,
  })
}

/** What swallows the questions swallows the work. */
function breakOff(sessions: Set<Session>): void {
  for (const session of sessions) session.breakOff()
}

const pidsOf = (cluster: Session | undefined, open: Set<Session>) =>
  [...open].filter((session) => session !== cluster).map(({ pid }) => pid)

/** Ends what our backends are doing: closing a socket alone would leave a long statement running for seconds. */
async function stopSessions(cluster: Session | undefined, open: Set<Session>, log: Log): Promise<void> {
  const pids = pidsOf(cluster, open)
  if (cluster && pids.length > 0) {
    const ending = cluster.sql
      .unsafe(
        `select pg_catalog.pg_cancel_backend(pid), pg_catalog.pg_terminate_backend(pid) from pg_catalog.unnest(array[${pids}]) pid`,
      )
      .catch((error: Error) => log.debug({ problem: error.message }, 'our backends could not be ended'))
    await Promise.race([ending, sleep(500)])
  }
  for (const session of open) await session.end()
}

/**
 * Ends our backends when the session that holds the locks was lost: messages that are on their way to them already must not
 * be worked off any more. They all begin alike; a statement outside a transaction does not, and is let end.
 */
async function endWork({ connection, loaded, log, runId }: Context, pids: number[]): Promise<void> {
  if (pids.length === 0) return
  try {
    const session = await openSession(connection(), {
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
