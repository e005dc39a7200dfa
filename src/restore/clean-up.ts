import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from '../config/connection.ts'
import type { Log } from '../log.ts'
import type { Db } from '../postgres/db.ts'
import { takeRunLock } from '../postgres/lock.ts'
import { databaseObject } from '../postgres/lock-keys.ts'
import { dropLogin } from '../postgres/login.ts'
import { wasLost } from '../postgres/lost.ts'
import type { Session } from '../postgres/session.ts'
import { type NotReady, openWhenReady } from '../postgres/wait.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import { renderDuration } from '../units.ts'
import { type Label, loginName } from './name.ts'
import { dropRoles } from './roles.ts'
import { dropDatabase } from './sweep.ts'

/** What became of a restore that failed. */
export type CleanedUp = {
  /** Whether the session with the run lock was lost. */
  lost: boolean
  /** Whether the server went down: nothing accepted connections, or it was started again. */
  down: boolean
  /** The database that could not be removed. */
  left: string | undefined
  /** Whether the database got its name nevertheless; undefined if that is not known. */
  published: boolean | undefined
}

/** Opens a session that holds the run lock; waits for the server until the deadline, and says when it turns out to be down. */
export type Reopen = (options: { deadline: number; signal: AbortSignal; onDown(): void }) => Promise<Session>

/** Opens sessions for {@link Reopen}. Somebody else who took the lock in the meantime does the same work. */
export const reopener =
  ({ connection, into, lock, wait, runId, command, log }: ReopenOptions): Reopen =>
  async ({ deadline, signal, onDown }) => {
    const where = { ...wait, applicationName: `pgbosun ${runId}`, command, log, database: lock.database }
    const onWaiting = ({ down }: NotReady) => {
      if (down) onDown()
    }
    const session = (await openWhenReady(connection, { ...where, deadline, signal, patient: true, onWaiting }))!
    const timeoutMs = Math.max(0, deadline - performance.now())
    try {
      await takeRunLock(session.sql, databaseObject(into), `the lock of database ${into}`, { timeoutMs, log, signal })
      return session
    } catch (error) {
      await session.end()
      throw error
    }
  }

type ReopenOptions = {
  connection: Connection
  /** The name whose run lock is taken. */
  into: string
  lock: { database: string }
  wait: { timeoutMs: number; patient: boolean }
  runId: string
  command: string
  log: Log
}

type World = {
  lock: Session
  connect(database: string): Promise<Session>
  reopen: Reopen
  /** How long to try. */
  patienceMs: number
  log: Log
  signal: AbortSignal
}

type Failed = {
  isolated: boolean
  story: Label
  /** When the server was started, before anything was changed. */
  startedAt: string
  /** Whether the last step had started, which gives the database its name. */
  publishing: boolean
  /** Roles that were created for it. */
  roles?: readonly string[]
}

/** How long to try once a person or a container engine waits for the end. */
const hurriedMs = 5_000

/** When the server was started. */
export async function readStart(db: Db): Promise<string> {
  const [row] = await db.unsafe<{ at: string }[]>('select pg_catalog.pg_postmaster_start_time()::text as at')
  return row?.at ?? ''
}

/** The statement that removes the database of a failed restore. */
export const removal = (database: string) => `drop database ${visibleSql(quoteIdent(database))} with (force)`

/**
 * Removes what a failed restore made. If its session was lost, does so on another one, trying for a while; being asked to stop ends that.
 * Never throws: what is left is said in the log and in the result, and the next restore removes it.
 */
export async function cleanUp(work: string, failed: Failed, world: World): Promise<CleanedUp> {
  const { log } = world
  const cleaned: CleanedUp = { lost: false, down: false, left: undefined, published: false }
  try {
    try {
      await remove(world.lock.sql, work, failed, world)
    } catch (error) {
      if (!wasLost(error)) throw error
      cleaned.lost = true
      await removeAnew(work, failed, world, cleaned)
    }
  } catch (error) {
    cleaned.left = work
    if (failed.publishing) cleaned.published = undefined
    log.warn(
      { database: work, problem: (error as Error).message, remove: removal(work) },
      'could not remove the partly restored database: the next restore will do it',
    )
  }
  return cleaned
}

async function remove(
  db: Db,
  work: string,
  { isolated, story, roles = [] }: Failed,
  { connect, log }: World,
): Promise<void> {
  await dropDatabase(db, work, connect)
  if (isolated) await dropLogin(db, loginName(story))
  await dropRoles(db, roles, log)
}

/** A server with a full disk may crash again while it removes a database, so one attempt is not enough. */
async function removeAnew(work: string, failed: Failed, world: World, cleaned: CleanedUp): Promise<void> {
  const { log, signal, patienceMs, reopen } = world
  const forMs = signal.aborted ? hurriedMs : patienceMs
  const options = {
    deadline: performance.now() + forMs,
    signal: signal.aborted ? new AbortController().signal : signal,
    onDown() {
      cleaned.down = true
    },
  }
  log.warn(`the connection was lost: trying for up to ${renderDuration(forMs)} to remove what was restored so far`)
  for (;;) {
    const session = await reopen(options)
    try {
      cleaned.down ||= (await readStart(session.sql)) !== failed.startedAt
      cleaned.published = failed.publishing && !(await exists(session.sql, work))
      return await remove(session.sql, work, failed, world)
    } catch (error) {
      if (!wasLost(error) || performance.now() > options.deadline) throw error
    } finally {
      await session.end()
    }
    await sleep(1_000, undefined, { signal: options.signal })
  }
}

async function exists(db: Db, name: string): Promise<boolean> {
  const rows = await db.unsafe(`select from pg_catalog.pg_database where datname = ${quoteLiteral(name)}`)
  return rows.length > 0
}
