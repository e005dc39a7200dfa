import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { renderDuration } from '../units.ts'
import type { Db } from './db.ts'
import { adviceOn, endSessions, type Holder, type LockRows, readHolder } from './holder.ts'
import { backupKey, databaseObject, runKey, workKey } from './lock-keys.ts'

type LockOptions = {
  timeoutMs: number
  log: Log
  signal: AbortSignal
  /** Whether `--take-lock` was given: the session of a holder that is not ours is ended. Undefined for locks that the flag does not affect. */
  takeLock?: boolean | undefined
}

/**
 * Takes one run lock on its own session in `lock.database`. If somebody holds it, logs who and waits.
 * It polls, because a blocked `pg_advisory_lock` holds a snapshot, which CREATE INDEX CONCURRENTLY would wait for forever.
 *
 * @param object {@link clusterObject} or {@link databaseObject}
 * @throws {AppError} `locked` if it is still held after the timeout, or taken by others again and again; `refused` if the session of
 *         its holder should be ended but may not be
 */
export const takeRunLock = (db: Db, object: number, what: string, options: LockOptions) =>
  takeLock(db, runKey, object, what, options)

/** Each lock is nested in the one before. */
const mostAtOnce = 100

/** A run lock, and what messages call it. */
export type RunLock = { object: number; what: string }

/**
 * Takes several run locks, in this order: all that are free with one question, then the others as {@link takeRunLock} does. None is taken
 * while one before it is held by somebody else.
 */
export async function takeRunLocks(db: Db, locks: RunLock[], options: LockOptions): Promise<void> {
  options.signal.throwIfAborted()
  const first = locks.slice(0, mostAtOnce)
  const taken = first.reduceRight(
    (more, { object }, i) =>
      `case when pg_catalog.pg_try_advisory_lock(${runKey}, ${object}) then ${more} else ${i} end`,
    String(first.length),
  )
  const [row] = await db.unsafe<{ taken: number }[]>(`select ${taken} as taken`)
  for (const { object, what } of locks.slice(row?.taken)) await takeRunLock(db, object, what, options)
}

/**
 * Takes the backup lock of a database in the same way. Backups exclude each other, but a backup and a run never wait for each other.
 *
 * @throws {AppError} `locked` when it is still held after the timeout
 */
export const takeBackupLock = (db: Db, database: string, options: LockOptions) =>
  takeLock(db, backupKey, databaseObject(database), `the backup lock of database ${database}`, options)

/**
 * Takes the lock of another tool, a key of 64 bits, in the same way.
 *
 * @throws {AppError} `locked` when it is still held after the timeout
 */
export const takeForeignLock = (db: Db, key: bigint, what: string, options: LockOptions) =>
  takeLock(db, key, undefined, what, options)

/**
 * Cancels queries that wait for a lock of 64 bits while another session of ours waits for them. A blocked `pg_advisory_lock` holds a
 * snapshot, which CREATE INDEX CONCURRENTLY waits for. If we hold the lock on one session and build the index on another, the server
 * cannot see that this is a deadlock. It is resolved as the server would do it: one of the participants fails.
 *
 * @param application name of our sessions
 * @returns descriptions of the sessions, for messages
 */
export async function cancelWaits(db: Db, key: bigint, application: string): Promise<string[]> {
  const rows = await db.unsafe<{ text: string }[]>(
    `select pg_catalog.format('pid %s (application "%s", user %s)', pid, application_name, usename) as text
       from (select distinct l.pid, a.application_name, a.usename
               from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a using (pid)
              where ${inThisDatabase(key, undefined, 'not l.granted')} and exists (
                select from pg_catalog.pg_stat_activity o
                 where o.application_name = ${quoteLiteral(application)} and l.pid = any(pg_catalog.pg_blocking_pids(o.pid)))) w
      where pg_catalog.pg_cancel_backend(pid) order by pid`,
  )
  return rows.map(({ text }) => text)
}

/** How long the holder of a lock gets to release it, and after that its session to end. */
const graceMs = 5_000
/** How many rounds of ending sessions, if somebody takes the lock again each time. */
const tries = 10

/** A key of 64 bits, or two of 32. */
async function takeLock(
  db: Db,
  key: number | bigint,
  object: number | undefined,
  what: string,
  { timeoutMs, log, signal, takeLock }: LockOptions,
): Promise<void> {
  const lock = (state: string) => inThisDatabase(key, object, state)
  const startedAt = performance.now()
  const end = endingOf(db, lock, what, 'others', log)
  let holder: Holder | undefined
  let patienceMs = timeoutMs
  for (;;) {
    signal.throwIfAborted()
    if (await tryLock(db, key, object)) return
    const waitedMs = performance.now() - startedAt
    const now = await readHolder(db, lock)
    const toBeEnded = takeLock === true && now !== undefined && !now.ours
    if (now !== undefined && now.statement !== holder?.statement)
      log.info(`waiting for ${what}: held by ${now.text}${toBeEnded ? '; --take-lock will end it' : ''}`)
    holder = now ?? holder
    if (toBeEnded && waitedMs >= Math.min(graceMs, timeoutMs) && (await end(now))) patienceMs = waitedMs + graceMs
    if (waitedMs > Math.max(timeoutMs, patienceMs)) {
      const who = holder?.text ?? 'another run'
      throw new AppError('locked', `${what} was held for more than ${renderDuration(timeoutMs)} by ${who}`, {
        hint: adviceOn(holder, takeLock === false),
      })
    }
    const pauseMs = toBeEnded && patienceMs !== timeoutMs ? 25 : Math.min(1_000, 25 + waitedMs / 10)
    await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal })
  }
}

/**
 * Ends the sessions that hold a lock, and those that queue for it, which would get it before us: repeatedly, but not forever.
 * @returns a function that tells whether it ended a session that it had not ended before
 */
function endingOf(db: Db, lock: LockRows, what: string, whose: 'others' | 'all', log: Log) {
  const known = new Set<number>()
  let rounds = 0
  return async (holder: Holder | undefined): Promise<boolean> => {
    if (holder?.pid === null)
      throw new AppError('refused', `${what} is held by ${holder.text}, which has no session to end`, {
        hint: `as its user or a superuser, in the database of the lock: ${holder.statement}`,
      })
    if (rounds === tries && holder && !known.has(holder.pid)) throw takenAgain(what, holder)
    const ended = (await endSessions(db, lock, what, whose)).filter(({ pid }) => !known.has(pid))
    for (const { pid, who, ours } of ended) {
      known.add(pid)
      const session = ours
        ? 'the backend that a killed run left behind'
        : `a session of ${who}: it was in the way of ${what}`
      log.warn({ pid }, `ended ${session}`)
    }
    if (ended.length > 0) rounds++
    return ended.length > 0
  }
}

const takenAgain = (what: string, { text, user }: Holder) =>
  new AppError('locked', `${what} was taken again each time its holder was ended (${tries} times), now by ${text}`, {
    hint: `keep that user out, then run this again: alter role ${quoteIdent(user)} nologin; or revoke connect on the database of the lock from public, and grant it only to the users that pgbosun connects as`,
  })

/** Tries to take one run lock, without waiting. A session may hold a lock several times. */
export const tryRunLock = (db: Db, object: number) => tryLock(db, runKey, object)

async function tryLock(db: Db, key: number | bigint, object: number | undefined): Promise<boolean> {
  const keys = object === undefined ? key : `${key}, ${object}`
  const [row] = await db.unsafe<{ taken: boolean }[]>(`select pg_catalog.pg_try_advisory_lock(${keys}) as taken`)
  return row?.taken ?? false
}

/** Releases one run lock before the session ends. */
export const releaseRunLock = (db: Db, object: number) =>
  db.unsafe(`select pg_catalog.pg_advisory_unlock(${runKey}, ${object})`)

const inThisDatabase = (key: number | bigint, object: number | undefined, state = 'l.granted') => `
  l.locktype = 'advisory' and ${state} and ${lockId(key, object)}
  and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`

/** How pg_locks shows the key. */
function lockId(key: number | bigint, object: number | undefined): string {
  if (object !== undefined) return `l.classid = ${key} and l.objid = ${object >>> 0} and l.objsubid = 2`
  const bits = BigInt.asUintN(64, BigInt(key))
  return `l.classid = ${bits >> 32n} and l.objid = ${bits & 0xffffffffn} and l.objsubid = 1`
}

/** Marks the session again, because what it ran may have released all its advisory locks. Returns a row. */
export const markWork = `select pg_catalog.pg_try_advisory_lock_shared(${workKey}, 0)`

/**
 * Marks a session as the one that works in its database, with an advisory lock. It is called while holding the run lock. So if another
 * session still has the mark, it is the backend of a run that was killed, or only pretends to be one: after 5 s it is ended.
 *
 * @param object 0 in the database that is changed; 1 for changes of roles and databases, made from `lock.database`
 * @param logins start of the names of the logins that runs in this database create
 * @returns logins that killed runs left behind
 * @throws {AppError} `refused` if that session may not be ended; `locked` if the mark is taken by others again and again
 */
export async function claimWork(
  db: Db,
  { log, signal, object = 0, logins }: { log: Log; signal: AbortSignal; object?: number; logins?: string },
): Promise<string[]> {
  const startedAt = performance.now()
  const claim = `select case when pg_catalog.pg_try_advisory_lock(${workKey}, ${object})
    then pg_catalog.pg_try_advisory_lock_shared(${workKey}, ${object}) and pg_catalog.pg_advisory_unlock(${workKey}, ${object}) else false end as claimed, ${leftLogins(logins)} as left`
  const lock = (state: string) => inThisDatabase(workKey, object, state)
  const end = endingOf(db, lock, 'the lock of the session that works in this database', 'all', log)
  for (;;) {
    signal.throwIfAborted()
    const [row] = await db.unsafe<{ claimed: boolean; left: string[] }[]>(claim)
    if (row?.claimed) return row.left
    if (performance.now() - startedAt > graceMs) await end(await readHolder(db, lock))
    await sleep(100 * (0.5 + Math.random()), undefined, { signal })
  }
}

const leftLogins = (prefix: string | undefined) =>
  prefix === undefined
    ? `'[]'::json`
    : `(select coalesce(pg_catalog.json_agg(rolname), '[]'::json) from pg_catalog.pg_roles
         where pg_catalog.starts_with(rolname::text, ${quoteLiteral(prefix)}) and rolname ~ '^pgbosun_[0-9a-f]{8}_[0-9a-f]{8}$')`
