import { type Log, silentLog } from '../log.ts'
import type { Db } from './db.ts'
import { isServerError } from './server-error.ts'

/** A warning that the server sends while somebody logs in. From 19 on: of an MD5 password, and of one that expires within days. */
export type LoginWarning = { message: string; detail?: string | undefined }

/** When a warning was last told, by user and message: every session gets them, and a run opens several. */
const told = new Map<string, number>()
const againMs = 24 * 3_600_000

/** Names of the logins that are made for one run and expire with it; see `createLogin`. */
const ofOneRun = /^pgbosun_(?:[a-z]+_)?[0-9a-f]{8}(?:_[0-9a-f]{8})?$/

/** Logs what the server warned of, once a day for each user, with what to do about a password that expires. */
export async function tellLoginWarnings(
  db: Db,
  warnings: readonly LoginWarning[],
  { user, log }: { user: string; log: Log },
): Promise<void> {
  if (ofOneRun.test(user) || log === silentLog) return
  const news = warnings.filter(({ message }) => isNews(`${user}: ${message}`))
  if (news.length === 0) return
  const hint = await expiryHint(db).catch(unlessLost)
  for (const { message, detail } of news)
    log.warn({ user, ...(detail !== undefined && { detail }), ...(hint && { hint }) }, `the server warns: ${message}`)
}

function isNews(key: string): boolean {
  const now = performance.now()
  if (now - (told.get(key) ?? Number.NEGATIVE_INFINITY) < againMs) return false
  told.set(key, now)
  return true
}

/** A server may hide its roles: then the warning is told without the instant. */
function unlessLost(error: unknown): undefined {
  if (!isServerError(error)) throw error
}

/** Undefined unless the password expires so soon that the server warns of it. The words of the warning do not decide that. */
async function expiryHint(db: Db): Promise<string | undefined> {
  const [row] = await db.unsafe<{ until: string }[]>(
    `select pg_catalog.to_char(rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as until from pg_catalog.pg_roles
      where rolname = session_user and rolvaliduntil < pg_catalog.now()
        + pg_catalog.current_setting('password_expiration_warning_threshold', true)::interval`,
  )
  return row && `the password expires at ${row.until}: set a later \`validUntil\`, or run ALTER ROLE … VALID UNTIL`
}
