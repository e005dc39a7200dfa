import type { Connection } from '../config/connection.ts'
import type { Db } from '../postgres/db.ts'
import { claimWork, releaseRunLock } from '../postgres/lock.ts'
import { clusterObject } from '../postgres/lock-keys.ts'
import { type Attempt, retryWhenLost } from '../postgres/retry.ts'
import type { Session } from '../postgres/session.ts'
import { remembering } from './answers.ts'
import type { Context } from './context.ts'
import { claimDatabase, type Locks, takeLocks } from './locks.ts'
import { nextTurn, openSessions, type Sessions } from './sessions.ts'

/** One attempt at the work of a command: its sessions, and what may be done with them. */
export type Run = {
  /** Its connection leads only to the host that was chosen. */
  context: Context
  /** In `lock.database`. In a run that writes, this session holds the locks and otherwise only reads. */
  cluster: Session
  /** In the target database; undefined while the database does not exist. */
  target: Session | undefined
  /**
   * A session for reading what the run may change. Until it changes something, a question is asked only once; from then on every time.
   */
  reads(session: Session): Db
  /** What was read before counts no longer, because somebody else may have changed it. */
  forget(): void
  /** Opens the target database after it was created. */
  openTarget(): Promise<Session>
  /** Ends the session in the target database, which is about to be another one: {@link openTarget} opens that. */
  closeTarget(): Promise<void>
  /** Gives `use` a session in a declared database (for the target, its own session), or undefined when the database does not exist. */
  inDatabase<T>(name: string, use: (session: Session | undefined) => Promise<T>): Promise<T>
  /** A session of another login. It ends with the run at the latest; `close` ends it earlier. */
  openAs(connection: Connection, database: string): Promise<Session>
  close(session: Session): Promise<void>
  /** A session in `lock.database` for changing roles and databases. What was read before counts no longer. */
  changingCluster<T>(use: (session: Session) => Promise<T>): Promise<T>
  /** The history whose tool's own lock this run holds, if there is one. */
  nativeLock?: string
  /** Throws when the session that holds the locks was lost, because then nothing more may be written. */
  guard(): void
  /** Call this before the first write: from then on a lost connection ends the run instead of starting it over. */
  noteChange(): void
  /** Releases the lock on roles and databases, without waiting for the answer. */
  releaseCluster(): void
}

export type RunOptions = {
  locks: Locks
  /** The target database may be missing when it is declared: the command creates it, or plans as if it were empty. */
  mayBeMissing?: boolean
  /** Work that needs no database, such as reading files; done while the connections are being opened. */
  meanwhile?: () => Promise<void>
}

/**
 * Waits for the database, takes the locks and does the work. When the connection is lost before the first change, it waits and starts
 * over, within the same timeout.
 *
 * @throws {AppError} `unreachable` when a connection is lost after the first change, or the timeout has passed
 */
export async function withRun<T>(context: Context, options: RunOptions, use: (run: Run) => Promise<T>): Promise<T> {
  const { loaded, signal, log } = context
  const deadline = performance.now() + loaded.config.wait.timeout
  return retryWhenLost({ deadline, signal, log }, (attempt) => runOnce(context, options, { deadline, attempt }, use))
}

async function runOnce<T>(
  context: Context,
  { locks, mayBeMissing = false, meanwhile }: RunOptions,
  { deadline, attempt }: { deadline: number; attempt: Attempt },
  use: (run: Run) => Promise<T>,
): Promise<T> {
  const sessions = await openSessions(context, { mayBeMissing, meanwhile, reading: locks === 'none', deadline })
  try {
    if (locks !== 'none') await takeLocks(context, sessions, locks)
    return await use(createRun(context, sessions, { locks, attempt }))
  } finally {
    await sessions.end()
  }
}

function createRun(context: Context, sessions: Sessions, { locks, attempt }: { locks: Locks; attempt: Attempt }): Run {
  const { loaded, log, signal } = context
  const { connection, cluster, open, openAs, close } = sessions
  const openToWork = async (database: string): Promise<Session> => {
    const session = await open(database)
    if (locks === 'target' || locks === 'everything') await claimDatabase(context, session, database)
    return session
  }
  let known = true
  const readers = new WeakMap<Session, Db>()
  const run: Run = {
    context: { ...context, connection: () => connection },
    cluster,
    target: sessions.target,
    openAs,
    close,
    reads(session) {
      const reader = readers.get(session) ?? remembering(session.sql, () => known && !attempt.changed)
      readers.set(session, reader)
      return reader
    },
    forget() {
      known = false
    },
    async openTarget() {
      run.target ??= await openToWork(connection.database)
      return run.target
    },
    async closeTarget() {
      const { target } = run
      run.target = undefined
      run.forget()
      if (target) await close(target)
    },
    async inDatabase(name, use) {
      if (name === connection.database) return use(run.target)
      const session = await openToWork(name).catch(unlessMissing)
      try {
        return await use(session)
      } finally {
        if (session) await close(session)
      }
    },
    async changingCluster(use) {
      const session = await open(loaded.config.lock.database)
      try {
        await claimWork(session.sql, { log, signal, object: 1 })
        run.forget()
        return await use(session)
      } finally {
        await close(session)
      }
    },
    guard: () => cluster.guard(),
    noteChange: () => {
      attempt.changed = true
    },
    releaseCluster() {
      // A run that has nothing more to do ends before, and all its locks with it.
      const release = async () => {
        await nextTurn()
        if (sessions.areOpen()) await releaseRunLock(cluster.sql, clusterObject)
      }
      release().catch((error: Error) =>
        log.debug({ problem: error.message }, 'the lock on roles and databases was not released'),
      )
    },
  }
  return run
}

/** 3D000: there is no such database. */
function unlessMissing(error: { code?: string }): undefined {
  if (error.code !== '3D000') throw error
}
