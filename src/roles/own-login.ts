// pure
import { type AppError, usage } from '../errors.ts'
import type { Password } from '../postgres/scram.ts'
import type { ClusterAction, Planned } from './actions.ts'
import type { CurrentCluster, DesiredRoles } from './types.ts'

/** How many sessions of ours may be open at once: two for locks, those that work, and a backup with its pg_dump (test/own-login.int.test.ts). */
const sessionsNeeded = 8

/** Whether an action changes the user that we connect as. */
export function isOwn({ payload }: Planned<ClusterAction>, user: string): boolean {
  if (payload.do === 'set') return payload.setting.role === user
  return 'role' in payload && payload.role === user && !('member' in payload)
}

/** Changes to our own login come last: if an earlier change fails, the next run can still log in. Pure. */
export const ownLast = (actions: Planned<ClusterAction>[], user: string): Planned<ClusterAction>[] => [
  ...actions.filter((action) => !isOwn(action, user)),
  ...actions.filter((action) => isOwn(action, user)),
]

/**
 * Refuses declarations of the user that we connect as with which this run or the next one could no longer log in. Pure.
 * @returns exit 2, or undefined
 */
export function refusedLogin(
  { roles }: DesiredRoles,
  { session, roles: existing, verifiers }: CurrentCluster,
  { now, secret }: { now: Date; secret: Password | undefined },
): AppError | undefined {
  const role = roles.find(({ name, kind }) => name === session.name && kind === 'user')
  if (!role) return undefined
  const { connectionLimit, validUntil, name } = role
  const current = existing.find((one) => one.name === name)
  const hint = `declare another value, or let pgbosun connect as another user`
  if (connectionLimit !== undefined && connectionLimit >= 0 && connectionLimit < sessionsNeeded)
    return usage(
      `the connectionLimit of ${name} is ${connectionLimit}, but pgbosun itself connects as ${name}: a run needs up to ${sessionsNeeded} sessions`,
      { hint },
    )
  const until = validUntil === undefined || validUntil === 'infinity' ? undefined : Date.parse(validUntil)
  if (until !== undefined && until !== current?.validUntil && until <= now.getTime())
    return usage(
      `validUntil of ${name} is ${validUntil}, which has passed, but pgbosun itself connects as ${name}: the next connection would be refused`,
      { hint },
    )
  if (secret && 'verifier' in secret && verifiers?.get(name) !== secret.verifier)
    return usage(
      `the password of ${name} is declared as a verifier, but pgbosun itself connects as ${name}: it could not log in after the change`,
      { hint: 'declare the password itself, or set the verifier by hand and change the secret of the connection' },
    )
  return undefined
}
