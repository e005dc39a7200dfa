import { setTimeout as sleep } from 'node:timers/promises'
import { renderDuration } from '../config/units.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Db, quoteLiteral } from './sql.ts'

/** First keys of the advisory locks. Permanent: programs of different versions must exclude each other. */
const runKey = 1885823599
const backupKey = 1885823586
const workKey = 1885823607

/** The object of the run lock while databases and roles converge. */
export const clusterObject = 0

/** Second key of a database's run lock: CRC-32 of its name in UTF-8, as PostgreSQL's int4. */
export function databaseObject(database: string): number {
  let crc = -1
  for (const byte of Buffer.from(database)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return ~crc
}

type LockOptions = { timeoutMs: number; log: Log; signal: AbortSignal }

/**
 * Takes one run lock on a session of its own in `lock.database`, or waits for it, saying who holds it.
 * It polls: a blocked `pg_advisory_lock` holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that for ever.
 *
 * @param object {@link clusterObject} or {@link databaseObject}
 * @throws {AppError} `locked` when it is still held after the timeout
 */
export const takeRunLock = (db: Db, object: number, what: string, options: LockOptions) =>
  takeLock(db, runKey, object, what, options)

/**
 * Takes the backup lock of a database in the same way. Backups exclude each other; they never wait for a run, nor a run for them.
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
 * Ends the waits for a lock of 64 bits that keep another session of ours waiting. A blocked `pg_advisory_lock` holds a
 * snapshot, which CREATE INDEX CONCURRENTLY waits for: while we hold the lock on one session and build the index on another,
 * the server does not see that this is a deadlock. It is resolved as the server would: one of those in it fails.
 *
 * @param application name of our sessions
 * @returns who they were, in words
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

/** A key of 64 bits, or two of 32. */
async function takeLock(
  db: Db,
  key: number | bigint,
  object: number | undefined,
  what: string,
  { timeoutMs, log, signal }: LockOptions,
): Promise<void> {
  const startedAt = performance.now()
  let holder: { pid: number; text: string } | undefined
  for (;;) {
    signal.throwIfAborted()
    if (await tryLock(db, key, object)) return
    const waitedMs = performance.now() - startedAt
    const now = await lockHolder(db, key, object)
    if (now !== undefined && now.pid !== holder?.pid) log.info(`waiting for ${what}: held by ${now.text}`)
    holder = now ?? holder
    if (waitedMs > timeoutMs)
      throw new AppError(
        'locked',
        `${what} was held for more than ${renderDuration(timeoutMs)} by ${holder?.text ?? 'another runner'}`,
        {
          hint: 'wait for that runner to finish, or raise lock.timeout',
        },
      )
    await sleep(Math.min(1_000, 25 + waitedMs / 10) * (0.5 + Math.random()), undefined, { signal })
  }
}

/** Takes one run lock at once, or not at all. A session may hold a lock several times. */
export const tryRunLock = (db: Db, object: number) => tryLock(db, runKey, object)

async function tryLock(db: Db, key: number | bigint, object: number | undefined): Promise<boolean> {
  const keys = object === undefined ? key : `${key}, ${object}`
  const [row] = await db.unsafe<{ taken: boolean }[]>(`select pg_catalog.pg_try_advisory_lock(${keys}) as taken`)
  return row?.taken ?? false
}

/** Gives one run lock back before the session ends. */
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

/** Who holds a lock, in words; undefined when it was given back in the meantime. */
async function lockHolder(
  db: Db,
  key: number | bigint,
  object: number | undefined,
): Promise<{ pid: number; text: string } | undefined> {
  const [row] = await db.unsafe<{ pid: number; application: string; user: string; age: string }[]>(
    `select l.pid, coalesce(a.application_name, '?') as application, coalesce(a.usename, '?') as "user",
            extract(epoch from pg_catalog.clock_timestamp() - a.backend_start)::int as age
       from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a using (pid)
      where ${inThisDatabase(key, object)} order by l.pid limit 1`,
  )
  if (!row) return undefined
  const { pid, application, user, age } = row
  return { pid, text: `${application} (pid ${pid}, user ${user}, connected for ${age} s)` }
}

/** Marks the session once more: what it ran may have given up all its advisory locks. Gives a row. */
export const markWork = `select pg_catalog.pg_try_advisory_lock_shared(${workKey}, 0)`

const graceMs = 5_000

/**
 * Marks a session as the one that works in its database. Called while holding the run lock, so whoever still has the mark
 * is the backend of a runner that was killed: after 5 s it is ended.
 *
 * @param object 0 in the database that is changed; 1 for changes of roles and databases, made from `lock.database`
 * @param logins how the names of logins begin that runs in this database make
 * @returns logins that killed runs left behind
 */
export async function claimWork(
  db: Db,
  { log, signal, object = 0, logins }: { log: Log; signal: AbortSignal; object?: number; logins?: string },
): Promise<string[]> {
  const startedAt = performance.now()
  const claim = `select case when pg_catalog.pg_try_advisory_lock(${workKey}, ${object})
    then pg_catalog.pg_try_advisory_lock_shared(${workKey}, ${object}) and pg_catalog.pg_advisory_unlock(${workKey}, ${object}) else false end as claimed, ${leftLogins(logins)} as left`
  for (;;) {
    signal.throwIfAborted()
    const [row] = await db.unsafe<{ claimed: boolean; left: string[] }[]>(claim)
    if (row?.claimed) return row.left
    if (performance.now() - startedAt > graceMs) {
      const ended = await db.unsafe<{ pid: number }[]>(
        `select l.pid, pg_catalog.pg_terminate_backend(l.pid) as ended from pg_catalog.pg_locks l
          where ${inThisDatabase(workKey, object)} and l.pid <> pg_catalog.pg_backend_pid()`,
      )
      for (const { pid } of ended) log.warn({ pid }, 'ended the backend that a killed run left behind')
    }
    await sleep(100 * (0.5 + Math.random()), undefined, { signal })
  }
}

const leftLogins = (prefix: string | undefined) =>
  prefix === undefined
    ? `'[]'::json`
    : `(select coalesce(pg_catalog.json_agg(rolname), '[]'::json) from pg_catalog.pg_roles
         where pg_catalog.starts_with(rolname::text, ${quoteLiteral(prefix)}) and rolname ~ '^pgbosun_[0-9a-f]{8}_[0-9a-f]{8}$')`
