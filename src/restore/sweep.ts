import { databaseObject, releaseRunLock, tryRunLock } from '../db/lock.ts'
import { type Db, quoteIdent } from '../db/sql.ts'
import type { Log } from '../log.ts'
import { readStory, type Story, workPattern } from './name.ts'

/** A database that a restore works in, or left behind. */
export type Leftover = { name: string; story: Story }

/** Databases that carry the story of a restore. */
export async function readLeftovers(db: Db): Promise<Leftover[]> {
  const rows = await db.unsafe<{ name: string; comment: string | null }[]>(
    `select datname as name, pg_catalog.shobj_description(oid, 'pg_database') as comment
       from pg_catalog.pg_database where datname ~ '${workPattern}' order by datname`,
  )
  return rows.flatMap(({ name, comment }) => {
    const story = readStory(name, comment)
    return story ? [{ name, story }] : []
  })
}

/**
 * Removes what killed restores left behind. One that still runs holds the run lock of the name it restores into:
 * without that lock, its database is left alone.
 *
 * @param db the session in `lock.database` that holds our own run lock
 * @returns the databases removed
 */
export async function sweepLeftovers(db: Db, log: Log): Promise<string[]> {
  const removed: string[] = []
  for (const { name, story } of await readLeftovers(db)) {
    const object = databaseObject(story.into)
    if (!(await tryRunLock(db, object))) continue
    try {
      await dropDatabase(db, name)
      removed.push(name)
      log.info({ database: name, into: story.into }, 'removed what a killed restore left behind')
    } catch (error) {
      log.warn(
        { database: name, problem: (error as Error).message },
        'what a killed restore left behind could not be removed',
      )
    } finally {
      await releaseRunLock(db, object)
    }
  }
  return removed
}

/** Removes a database of ours with whoever is connected to it. */
export const dropDatabase = (db: Db, name: string) =>
  db.unsafe(`drop database if exists ${quoteIdent(name)} with (force)`)
