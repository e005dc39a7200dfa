import { openSession } from '../../db/connect.ts'
import { type Place, parsePath, readRolePath, visibleSchemas } from '../../db/path.ts'
import type { Db } from '../../db/sql.ts'
import type { Context } from '../command.ts'
import { defaultRole } from './owner.ts'

type Target = { database?: string | undefined; role?: string | undefined }

/**
 * Who runs the files of a database, and the search_path that they get: that of the role, else what a session of ours would have had.
 * @param db a session in that database
 */
export async function placeOf(context: Context, db: Db, target: Target = {}): Promise<Place> {
  const role = await defaultRole(context, db, target)
  return { role, path: await pathOf(context, db, target.database, role) }
}

/** Where unqualified names lead for a role; undefined is the session user. */
export async function pathOf(
  context: Context,
  db: Db,
  database: string | undefined,
  role: string | undefined,
): Promise<string[]> {
  const { searchPath, database: target } = context.connection()
  // The URL speaks of its own database.
  if (searchPath !== undefined && (database ?? target) === target) return parsePath(searchPath)
  const own = role === undefined ? undefined : await readRolePath(db, role)
  return own ?? naturalPath(context, database)
}

/** The schemas in which the tool that writes a history would look for it, first to last. */
export async function schemasOf(
  context: Context,
  db: Db,
  { database }: Target,
  role: string | undefined,
): Promise<string[]> {
  return visibleSchemas(db, { role, path: await pathOf(context, db, database, role) })
}

/**
 * What the server, the database and the role that we log in as make of search_path. Only a session that does not set it is told, so
 * one is opened for this question; SHOW calls nothing that somebody could have planted.
 */
async function naturalPath({ connection, log, runId }: Context, database: string | undefined): Promise<string[]> {
  const applicationName = `pgbosun ${runId}`
  const session = await openSession(connection(), { applicationName, log, database, ownPath: true })
  try {
    const [row] = await session.sql.unsafe<{ search_path: string }[]>('show search_path')
    return parsePath(row?.search_path ?? '')
  } finally {
    await session.end()
  }
}
