import { openSession } from '../postgres/connect.ts'
import type { Db } from '../postgres/db.ts'
import { parsePath, type RunsAs, readRolePath, visibleSchemas } from '../postgres/search-path.ts'
import { tryUrlSettings } from '../postgres/url-settings.ts'
import type { Context } from '../run/context.ts'
import { defaultRole, mayBecome } from './owner.ts'

type UrlSettings = NonNullable<RunsAs['urlSettings']>
type Target = { database?: string | undefined; role?: string | undefined }

/**
 * The role that runs the files of a database, and the search_path that they get: that of the role, else the one that a session of ours has.
 * @param db a session in that database
 */
export async function placeOf(context: Context, db: Db, target: Target = {}): Promise<RunsAs> {
  const role = await defaultRole(context, db, target)
  return placeAs(context, db, target.database, role)
}

/** The same for a known role. @throws {AppError} `usage`, `refused` for a setting of the URL that the server does not accept */
export async function placeAs(
  context: Context,
  db: Db,
  database: string | undefined,
  role: string | undefined,
): Promise<RunsAs> {
  const urlSettings = urlSettingsFor(context, database)
  const [path] = await Promise.all([
    pathOf(context, db, database, role),
    urlSettings && tryAs(context, db, role, urlSettings),
  ])
  return { role, path, ...(urlSettings && { urlSettings }) }
}

/**
 * For a plan: checks that the server accepts the settings of the URL for files.
 * @throws {AppError} `usage`, `refused`
 */
export async function refuseUrlSettings(context: Context, db: Db, target: Target = {}): Promise<void> {
  const urlSettings = urlSettingsFor(context, target.database)
  if (urlSettings) await tryAs(context, db, await defaultRole(context, db, target), urlSettings)
}

/** If the session user may not act as the role, the code that runs the files reports it. */
async function tryAs(context: Context, db: Db, role: string | undefined, urlSettings: UrlSettings): Promise<void> {
  if (role !== undefined && !(await mayBecome(db, role))) return
  await tryUrlSettings(db, { role, urlSettings }, context.connection().source)
}

/** Undefined when there are none. */
function urlSettingsFor(context: Context, database: string | undefined): UrlSettings | undefined {
  const { settings = {} } = context.connection()
  return isOwn(context, database) && Object.keys(settings).length > 0 ? settings : undefined
}

/** The settings of the URL are for its own database only. */
function isOwn(context: Context, database: string | undefined): boolean {
  const target = context.connection().database
  return (database ?? target) === target
}

/** The search_path of a role. @param role undefined: the session user */
async function pathOf(
  context: Context,
  db: Db,
  database: string | undefined,
  role: string | undefined,
): Promise<string[]> {
  const { searchPath } = context.connection()
  if (searchPath !== undefined && isOwn(context, database)) return parsePath(searchPath)
  const own = role === undefined ? undefined : await readRolePath(db, role)
  return own ?? naturalPath(context, db, database)
}

/** The schemas in which the tool that writes a history looks for it, first to last. */
export async function schemasOf(
  context: Context,
  db: Db,
  { database }: Target,
  role: string | undefined,
): Promise<string[]> {
  return visibleSchemas(db, { role, path: await pathOf(context, db, database, role) })
}

/**
 * The search_path that server, database and login role give a session. Only a session that does not set it itself can tell, so one is
 * opened to ask; SHOW calls no function that somebody could have planted.
 */
function naturalPath(context: Context, db: Db, database: string | undefined): Promise<string[]> {
  const path = asking.get(db) ?? askNewSession(context, database).finally(() => asking.delete(db))
  asking.set(db, path)
  return path
}

/** What is being asked now. Two sessions at once would be one more than a user with few connections may have. */
const asking = new WeakMap<Db, Promise<string[]>>()

async function askNewSession({ connection, log, runId }: Context, database: string | undefined): Promise<string[]> {
  const applicationName = `pgbosun ${runId}`
  const session = await openSession(connection(), { applicationName, log, database, ownPath: true })
  try {
    const [row] = await session.sql.unsafe<{ search_path: string }[]>('show search_path')
    return parsePath(row?.search_path ?? '')
  } finally {
    await session.end()
  }
}
