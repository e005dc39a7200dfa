import type { Connection } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { silentLog } from '../log.ts'
import { openAt } from './session.ts'

/** Longest time for one login. */
const limitMs = 10_000

/**
 * Tries to log in as a user, at the same host, with the same TLS, and ends the session at once.
 *
 * @param signal ends it
 * @returns whether the server asked for the password, and with which SQLSTATE it refused; a login that came to nothing has no asked password
 */
export async function probeLogin(
  connection: Connection,
  endpoint: Endpoint,
  { user, password }: { user: string; password: string },
  signal: AbortSignal,
): Promise<{ asked: boolean; code: string | undefined }> {
  let asked = false
  const login: Connection = {
    ...connection,
    user,
    password() {
      asked = true
      return password
    },
    fresh: undefined,
  }
  const endWith = AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
  try {
    const session = await openAt(endpoint, login, {
      applicationName: 'pgbosun',
      log: silentLog,
      allowStandby: true,
      statementTimeoutMs: limitMs / 2,
      endWith,
    })
    await session.end()
    return { asked, code: undefined }
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as { code?: unknown }
    const isSqlstate = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)
    return isSqlstate && !endWith.aborted ? { asked, code } : { asked: false, code: undefined }
  }
}
