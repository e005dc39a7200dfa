import type { Log } from '../log.ts'
import type { Db } from '../postgres/db.ts'
import { releaseRunLock, tryRunLock } from '../postgres/lock.ts'
import { databaseObject } from '../postgres/lock-keys.ts'
import { dropLogin } from '../postgres/login.ts'
import type { Session } from '../postgres/session.ts'
import { quoteIdent } from '../sql/quote.ts'
import { type Label, lockOfLogin, loginPattern, readLabel, workPattern } from './name.ts'
import { dropSubscriptions, hasSubscriptions } from './subscriptions.ts'
import { repairDisabled } from './swap/disabled.ts'

/** A database that a restore works in, or left behind. */
export type Leftover = { name: string; story: Label }

/** Databases whose comment is the {@link Label} of a restore. */
async function readLeftovers(db: Db): Promise<(Leftover & { trusted: boolean })[]> {
  const rows = await db.unsafe<{ name: string; comment: string | null; trusted: boolean }[]>(
    `select datname as name, (select r.rolsuper or r.rolname = session_user or r.rolname ~ '${loginPattern}' from pg_catalog.pg_roles r where r.oid = datdba) as trusted, pg_catalog.shobj_description(oid, 'pg_database') as comment
       from pg_catalog.pg_database where datname ~ '${workPattern}' order by datname`,
  )
  return rows.flatMap(({ name, comment, trusted }) => {
    const story = readLabel(name, comment)
    return story ? [{ name, story, trusted }] : []
  })
}

/**
 * Removes what killed restores left behind. A restore that is still running holds the run lock of the name it restores into: if that
 * lock cannot be taken, its database is left alone.
 *
 * @param db the session in `lock.database` that holds our own run lock
 * @param connect see {@link dropDatabase}
 * @returns the databases removed
 */
export async function sweepLeftovers(db: Db, connect: Connect, log: Log): Promise<string[]> {
  const removed: string[] = []
  for (const { name, story, trusted } of await readLeftovers(db))
    await underItsLock(db, databaseObject(story.into), { database: name }, log, async () => {
      // A stranger's database may say anything: its comment changes nothing in another one.
      const left = trusted ? await repairDisabled(db, name, story, () => connect(story.into)) : []
      if (left.length > 0)
        log.warn(
          { database: story.into, subscriptions: left },
          'a killed run had left subscriptions disabled: enabled again',
        )
      await dropDatabase(db, name, connect)
      removed.push(name)
      log.info({ database: name, into: story.into }, 'removed what a killed restore left behind')
    })
  // After the databases, which belong to them.
  for (const user of await readLogins(db))
    await underItsLock(db, lockOfLogin(user), { role: user }, log, async () => {
      await dropLogin(db, user)
      log.info({ role: user }, 'removed the login that a killed restore left behind')
    })
  return removed
}

async function underItsLock(
  db: Db,
  object: number,
  what: Record<string, string>,
  log: Log,
  remove: () => Promise<void>,
): Promise<void> {
  if (!(await tryRunLock(db, object))) return
  try {
    await remove()
  } catch (error) {
    log.warn({ ...what, problem: (error as Error).message }, 'could not remove what a killed restore left behind')
  } finally {
    await releaseRunLock(db, object)
  }
}

async function readLogins(db: Db): Promise<string[]> {
  const rows = await db.unsafe<{ name: string }[]>(
    `select rolname as name from pg_catalog.pg_roles where rolname ~ '${loginPattern}' order by rolname`,
  )
  return rows.map(({ name }) => name)
}

/** Opens a session in a database. */
type Connect = (database: string) => Promise<Session>

/**
 * Drops a database of a restore, ending the sessions that are connected to it.
 * @param connect is only called if it has subscriptions, which are dropped from within
 */
export async function dropDatabase(db: Db, name: string, connect: Connect): Promise<void> {
  if (await hasSubscriptions(db, name)) {
    const session = await connect(name)
    await dropSubscriptions(session.sql).finally(() => session.end())
  }
  await db.unsafe(`drop database if exists ${quoteIdent(name)} with (force)`)
}
