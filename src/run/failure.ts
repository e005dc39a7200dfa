import { AppError, type Kind } from '../errors.ts'
import { limitHint } from '../postgres/full.ts'
import { connectionLost, isConnectionLost } from '../postgres/lost.ts'
import { indented } from '../text.ts'

/** How the server's errors on our own statements, outside migrations and seeds, are classified: SQLSTATE, kind, hint. */
const ofServer: [RegExp, Kind, string][] = [
  [
    /^42501$/,
    'refused',
    'connect as the owner of the database or as a superuser, or grant this user the missing privilege',
  ],
  [
    /^25006$/,
    'refused',
    'connect to the primary, and check default_transaction_read_only of the user and the database',
  ],
  [/^(55P03|40P01)$/, 'locked', 'another session holds the lock: look in pg_stat_activity, then run this again'],
]

/** Whatever was thrown, as an AppError: an error of the server by its SQLSTATE, everything else as `failed`. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isConnectionLost(error)) return connectionLost(error)
  const {
    name,
    message,
    code = '',
  } = (error instanceof Error ? error : new Error(String(error))) as Error & { code?: string }
  const sqlstate = /^[0-9A-Z]{5}$/.test(code) ? code : undefined
  if (name === 'PostgresError' && code === '53300')
    return new AppError('unreachable', indented(message), {
      hint: `a run needs several connections at once: ${limitHint(error)}`,
      sqlstate,
      cause: error,
    })
  const [, kind, hint] = (name === 'PostgresError' && ofServer.find(([pattern]) => pattern.test(code))) || []
  if (kind) return new AppError(kind, indented(message), { hint, sqlstate, cause: error })
  return new AppError('failed', `unexpected: ${indented(message)}`, {
    hint: 'this is a bug in pgbosun: please report it with the log of --log-level debug',
    sqlstate,
    cause: error,
  })
}
