import { randomBytes } from 'node:crypto'
import type { DeclaredAccess } from '../check/access.ts'
import { describe } from '../config/connection.ts'
import { openSession } from '../postgres/connect.ts'
import type { Context } from '../run/context.ts'
import { someOf } from '../units.ts'

/** Longer than a server needs to refuse a login, even one that delays that. */
const probeMs = 10_000

/** 28P01: wrong password, 28000: no rule lets it in. */
const refused = new Set(['28P01', '28000'])

/** What the server only says to somebody who has logged in: there is no such database, it may not be used, it takes no connections. */
const afterLogin = new Set(['3D000', '42501', '55000'])

/**
 * Tries to log in as our own user and as each declared one with a password that is certainly wrong. If that succeeds, nobody asks for a
 * password there: `trust` or `peer`. A certificate of ours is not shown, because that might be what lets us in.
 */
export async function probeTrust(context: Context, declared: DeclaredAccess[]): Promise<string[]> {
  const { cert, key, files, ...tls } = context.connection().tls
  const base = { ...context.connection(), tls, login: undefined, foreign: undefined }
  const own = { role: base.user, databases: [base.database] }
  const logins = [own, ...declared.filter(({ hasPassword, role }) => hasPassword && role !== own.role)]
  const trusted: string[] = []
  const unknown: string[] = []
  for (const { role, databases } of logins) {
    const database = databases[0] ?? base.database
    const wrong = randomBytes(24).toString('base64url')
    const endWith = AbortSignal.any([context.signal, AbortSignal.timeout(probeMs)])
    try {
      const session = await openSession(
        { ...base, user: role, database, password: () => wrong },
        { applicationName: 'pgbosun', log: context.log, allowStandby: true, endWith },
      )
      trusted.push(`${role} (${describe({ ...base, database })})`)
      await session.end()
    } catch (error) {
      context.signal.throwIfAborted()
      const { code = '', message } = error as { code?: string; message: string }
      if (afterLogin.has(code)) trusted.push(`${role} (${describe({ ...base, database })})`)
      else if (!refused.has(code)) unknown.push(`${role}: ${message}`)
    }
  }
  return [
    ...(trusted.length === 0
      ? []
      : [
          `a wrong password is enough to log in as ${someOf(trusted)}: pg_hba.conf trusts this address; use scram-sha-256 there`,
        ]),
    ...(unknown.length === 0 ? [] : [`whether a wrong password is refused was not checked: ${someOf(unknown, '; ')}`]),
  ]
}
