import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { AppError, hasReason } from '../errors.ts'
import { announcedPid } from './answers.ts'
import type { Sql } from './db.ts'

/** Where a session was to be opened, and which setting said so. */
export type PoolerPlace = { endpoint: Endpoint; source: Connection['source'] }

/**
 * What PgBouncer says by itself, in no language but English. Start-up parameters are the first thing it looks at, before the
 * name of the database and the password, so most often it is that one.
 */
const saidByPgBouncer =
  /^(unsupported startup parameter|no such database: |server login has been failing|client_login_timeout|query_wait_timeout|no more connections allowed)/

/**
 * The error of opening a session as exit 12, when it is PgBouncer that made it; else undefined. PostgreSQL's own errors always
 * carry a severity that is not translated (`V`), PgBouncer's never do (send_pooler_error in its src/proto.c).
 */
export function poolerRefused(error: unknown, place: PoolerPlace): AppError | undefined {
  const { message = '', code, severity } = error as { message?: string; code?: string; severity?: string }
  if (code === undefined || severity !== undefined || !saidByPgBouncer.test(message)) return undefined
  return poolerError(place, 'PgBouncer', `it said “${message}”`, { sqlstate: code, cause: error })
}

/** Some of the settings that every session of ours starts with (see connect.ts), of those that PgBouncer does not pass on. */
const startupSettings = ['standard_conforming_strings', 'statement_timeout', 'lock_timeout', 'tcp_keepalives_idle']

/**
 * Throws when a new session goes through a pooler. The server announces its process when a session starts; only a pooler or a
 * proxy announces another one, so a direct session costs nothing here. A proxy that gives each client a session of its own
 * hands the start-up parameters on: then their source is `client`. PgBouncer drops them or sends a SET of its own, and an idle
 * one gives us the same process twice: neither sign alone is enough.
 *
 * @param pid the server process that worked on the session's first query
 * @throws {AppError} `refused`
 */
export async function refusePooler(sql: Sql, pid: number, place: PoolerPlace): Promise<void> {
  if (announcedPid(sql) === pid) return
  const names = startupSettings.map((name) => `'${name}'`).join(', ')
  const [row] = await sql.unsafe<{ pid: number; arrived: boolean }[]>(
    `select pg_catalog.pg_backend_pid() as pid, coalesce(pg_catalog.bool_or(source operator(pg_catalog.=) 'client'), false) as arrived
       from pg_catalog.pg_settings where name operator(pg_catalog.=) any (array[${names}])`,
  )
  if (row?.pid !== pid) throw poolerError(place, 'such as PgBouncer', 'each transaction gets another server process')
  if (!row.arrived) throw settingsLost(place)
}

/** Exit 12: what a session is started with is not what it has. */
export const settingsLost = (place: PoolerPlace) =>
  poolerError(place, 'such as PgBouncer', 'the settings of our session did not arrive at the server')

function poolerError(
  { endpoint: { host, port }, source }: PoolerPlace,
  name: string,
  sign: string,
  options: { sqlstate?: string; cause?: unknown } = {},
): AppError {
  const key =
    source === 'backup.url' ? '`backup.url` (PGBOSUN_BACKUP_URL)' : '`database.directUrl` (PGBOSUN_DATABASE_DIRECT_URL)'
  return new AppError('refused', `${host}:${port} is a connection pooler (${name}): ${sign}`, {
    reason: 'pooler',
    hint: `set ${key} to the server itself: locks and settings need a session of their own`,
    ...options,
  })
}

/** Whether it says that we were to connect to a pooler: waiting does not heal that, nor does another database of it. */
export const isPoolerError = (error: unknown): boolean => hasReason(error, 'pooler')
