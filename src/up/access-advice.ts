import { adviceOnAccess, adviceOnPasswordAge, type DeclaredAccess } from '../check/access.ts'
import { readAccess, readPasswordsSet } from '../check/read-access.ts'
import type { DesiredRoles } from '../roles/types.ts'
import type { Run } from '../run/run.ts'
import { readFirstEventAt } from '../state/events.ts'

/** What could be safer about who may log in where, and what of it was not checked. */
export async function accessAdvice(run: Run, desired: DesiredRoles | undefined): Promise<string[]> {
  const { context, cluster, target } = run
  const { check, lock } = context.loaded.config
  const declared = desired ? declaredAccess(desired, Object.entries(context.loaded.config.databases)) : []
  if (declared.length === 0) return []
  const now = new Date()
  const access = await readAccess(
    cluster.sql,
    declared.map(({ role }) => role),
  )
  const advice = adviceOnAccess(declared, access, { lockDatabase: lock.database, now })
  if (check.passwordAge !== undefined && target) {
    const first = await readFirstEventAt(target.sql)
    const set = await readPasswordsSet(target.sql, first?.getTime())
    advice.push(...adviceOnPasswordAge(declared, set, { maxAgeMs: check.passwordAge, now }))
  }
  if (check.probeTrust) {
    const { probeTrust } = await import('./probe-trust.ts')
    advice.push(...(await probeTrust(context, declared)))
  }
  return advice
}

type Configured = [string, { users?: Record<string, unknown> | undefined } | null][]

/** The users of databases and their owners, each with its databases. Those of the whole server may connect everywhere. */
function declaredAccess({ roles, databases }: DesiredRoles, configured: Configured): DeclaredAccess[] {
  const usersOf = new Map(configured.map(([name, of]) => [name, Object.keys(of?.users ?? {})]))
  const named = new Map<string, string[]>()
  for (const { name, owner, access } of databases)
    for (const role of new Set([...(usersOf.get(name) ?? []), owner, ...access.map(({ grantee }) => grantee)]))
      named.set(role, [...(named.get(role) ?? []), name])
  return roles
    .filter(({ kind, name }) => (kind === 'user' || kind === 'implied') && named.has(name))
    .map(({ name, password }) => ({ role: name, databases: named.get(name)!, hasPassword: password !== undefined }))
}
