import { AppError, hasReason } from '../../errors.ts'
import { wasLost } from '../../postgres/lost.ts'
import { isServerError, type ServerError } from '../../postgres/server-error.ts'
import { renderDuration } from '../../units.ts'

/** The backup could be tried, and something is wrong with it. */
export class NotAsBackedUp extends Error {}

/** SQLSTATEs that say something about the server or the user, and nothing about the backup. */
const ofServer = /^(08|25006|28|42501|53|55P02|57|58|F0|XX)/

/** An error while loading: about the backup, or about the server. */
export function judged(error: unknown): unknown {
  if (wasLost(error)) return error
  if (isServerError(error)) return ofServer.test(error.code) ? serverFailed(error) : new NotAsBackedUp(said(error))
  if (error instanceof AppError && error.kind === 'refused') return error.with({ hint: loginHint })
  if (!hasReason(error, 'load-failed')) return error
  const detail = /^ *DETAIL: +(.*)/.exec(error.excerpt ?? '')?.[1]
  return new NotAsBackedUp(detail === undefined ? error.message : `${error.message}: ${detail}`)
}

const loginHint =
  'pg_hba.conf of that server must allow logins with a password, for example with `host all all samenet scram-sha-256`'

const said = ({ message, detail }: ServerError) => (detail ? `${message}: ${detail}` : message)

/** For a step that only the server can fail at. */
export const byServer = (error: unknown): never => {
  throw isServerError(error) && !wasLost(error) ? serverFailed(error) : error
}

const serverFailed = (error: ServerError) =>
  new AppError(error.code === '42501' ? 'refused' : 'restore', `the backup could not be tried: ${said(error)}`, {
    hint:
      error.code === '42501'
        ? 'set backup.verify.url to a superuser of another server, where the backup is loaded by a login without rights'
        : (error.hint ?? 'look at the log of that server'),
    sqlstate: error.code,
    cause: error,
  })

type Named = { what?: string; timeoutMs: number }

/** Exit 10. */
export const lost = (cause: unknown, { what = 'test restore' }: Named) =>
  new AppError('unreachable', `the connection was lost during the ${what}`, {
    hint: 'run it again once that server is back: what is left of it is removed then',
    cause,
  })

/** Exit 70. */
export const tooLong = ({ what = 'test restore', timeoutMs }: Named) =>
  new AppError('restore', `the ${what} took longer than backup.timeout (${renderDuration(timeoutMs)})`, {
    hint: 'raise backup.timeout, or set backup.verify.url to a faster server',
  })
