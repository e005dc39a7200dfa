import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { AppError, hasReason } from '../errors.ts'
import { announcedPid } from './answers.ts'
import type { Sql } from './db.ts'

/** Where a session was being opened, and which setting said so. */
export type PoolerPlace = { endpoint: Endpoint; source: Connection['source'] }

/**
 * PgBouncer's own messages, which are always in English. It checks start-up parameters first, before the name of the database and the
 * password, so that message is the most frequent one.
 */
const saidByPgBouncer =
  /^(unsupported startup parameter|no such database: |server login has been failing|client_login_timeout|query_wait_timeout|no more connections allowed)/

/**
 * Exit 12 if an error of opening a session came from PgBouncer; otherwise undefined. PostgreSQL's own errors always carry a severity
 * that is not translated (`V`), PgBouncer's never do (send_pooler_error in its src/proto.c).
 */
export function poolerRefused(error: unknown, place: PoolerPlace): AppError | undefined {
  const { message = '', code, severity } = error as { message?: string; code?: string; severity?: string }
  if (code === undefined || severity !== undefined || !saidByPgBouncer.test(message)) return undefined
  return poolerError(place, 'PgBouncer', `it said “${message}”`, { sqlstate: code, cause: error })
}

/** Some of the settings that all our sessions start with (see connect.ts) and that PgBouncer does not pass on. */
const startupSettings = ['standard_conforming_strings', 'statement_timeout', 'lock_timeout', 'tcp_keepalives_idle']

/**
 * Throws if a new session goes through a pooler. The server announces its process when a session starts. Only a pooler or a proxy
 * announces another one, so this costs nothing for a direct session. A proxy that gives each client its own session passes on the
 * start-up parameters: then their source is `client`. PgBouncer drops them or sends its own SET. An idle PgBouncer gives us the same
 * process twice, so neither sign alone is enough.
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

/** Exit 12: a session does not have the settings that it was started with. */
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

/** Whether the error says that the target is a pooler. Neither waiting nor connecting to another database helps then. */
export const isPoolerError = (error: unknown): boolean => hasReason(error, 'pooler')
