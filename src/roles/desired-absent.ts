// pure
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import type { DesiredAbsence } from './types.ts'

type Roles = Pick<Config, 'roles' | 'users' | 'databases'>
type Fields = NonNullable<Config['roles'][string]> | Config['users'][string]

/**
 * The roles that are declared absent, and the configuration without them.
 *
 * @throws {AppError} `usage` for keys that have no meaning together
 */
export function takeAbsent<C extends Roles>(config: C): { absent: DesiredAbsence[]; config: C } {
  const absent: DesiredAbsence[] = []
  const without = <F extends Fields | null>(section: 'roles' | 'users', entries: Record<string, F>) =>
    Object.fromEntries(
      Object.entries(entries).filter(([name, fields]) => {
        const found = absenceOf(`${section}.${name}`, name, fields ?? {})
        if (found) absent.push(found)
        return !found
      }),
    )
  const rest = { ...config, roles: without('roles', config.roles), users: without('users', config.users) }
  for (const { name, path } of absent) refuseDeclared(name, path, rest)
  return { absent, config: rest }
}

function absenceOf(path: string, name: string, fields: Fields): DesiredAbsence | undefined {
  const { ensure, reassignTo, terminate, ...others } = fields
  if (ensure === undefined) {
    const lost = [reassignTo !== undefined && 'reassignTo', terminate !== undefined && 'terminate'].find(Boolean)
    if (lost)
      throw usage(`${path}.${lost} has no meaning for a role that shall exist`, {
        hint: `add ensure: absent, or remove ${lost}`,
      })
    return undefined
  }
  const other = Object.entries(others).find(([, value]) => value !== undefined)
  if (other)
    throw usage(`${path} is declared absent, but has ${other[0]}`, {
      hint: 'with ensure: absent, only reassignTo and terminate have a meaning',
    })
  const to = typeof reassignTo === 'string' ? { role: reassignTo } : reassignTo
  if (to?.role === name) throw usage(`${path}.reassignTo is ${name} itself`, { hint: 'name another role' })
  return {
    name,
    path,
    ...(to && { reassignTo: to.role }),
    definer: to?.definer ?? false,
    terminate: terminate ?? false,
  }
}

function refuseDeclared(name: string, path: string, { roles, users, databases }: Roles): void {
  const database = Object.keys(databases).find((one) => Object.hasOwn(databases[one]?.users ?? {}, name))
  const other = Object.hasOwn(roles, name)
    ? `roles.${name}`
    : Object.hasOwn(users, name)
      ? `users.${name}`
      : database && `databases.${database}.users.${name}`
  if (other) throw usage(`${path} is declared absent, but ${other} declares it`, { hint: 'keep only one of the two' })
}
