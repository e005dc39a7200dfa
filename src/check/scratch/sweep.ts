import type { Log } from '../../log.ts'
import type { Db } from '../../postgres/db.ts'
import { releaseRunLock, tryRunLock } from '../../postgres/lock.ts'
import { databaseObject } from '../../postgres/lock-keys.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { isScratch, scratchPattern } from './name.ts'

/**
 * Removes the scratch databases that killed runs left behind. A running comparison holds the run lock of its scratch database; if we
 * cannot take that lock, the database is left alone.
 *
 * @param db a session in `lock.database`
 * @returns the databases removed
 */
export async function sweepScratch(db: Db, log: Log): Promise<string[]> {
  const rows = await db.unsafe<{ name: string; comment: string | null; owner: string }[]>(
    `select datname as name, pg_catalog.shobj_description(oid, 'pg_database') as comment, pg_catalog.pg_get_userbyid(datdba) as owner
       from pg_catalog.pg_database where datname ~ '${scratchPattern}' order by datname`,
  )
  const removed: string[] = []
  for (const { name, owner } of rows.filter((row) => isScratch(row.name, row.comment))) {
    const object = databaseObject(name)
    if (!(await tryRunLock(db, object))) continue
    try {
      await dropScratch(db, name, owner)
      removed.push(name)
      log.info({ database: name }, 'removed the scratch database that a killed run left behind')
    } catch (error) {
      const problem = (error as Error).message
      log.warn({ database: name, problem }, 'the scratch database that a killed run left behind could not be removed')
    } finally {
      await releaseRunLock(db, object)
    }
  }
  return removed
}

/**
 * Removes a scratch database and ends the sessions in it. A user that may SET ROLE to the owner but does not have its privileges removes it
 * as the owner, who may not end other sessions: the server then waits a few seconds for them to end.
 */
export async function dropScratch(db: Db, name: string, owner: string): Promise<void> {
  const drop = `drop database if exists ${quoteIdent(name)}`
  try {
    await db.unsafe(`${drop} with (force)`)
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
    await db.unsafe(`set role ${quoteIdent(owner)}`)
    try {
      await db.unsafe(drop)
    } finally {
      await db.unsafe('set role none')
    }
  }
}
