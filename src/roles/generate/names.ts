// pure
import { predicates } from '../../config/predicates.ts'
import { AppError } from '../../errors.ts'
import { isOfProvider } from '../strict.ts'
import type { CurrentObject } from '../types.ts'
import type { Found, Names } from './types.ts'

/**
 * How the roles of a server can be named in a file, and which of them it must leave alone. Pure.
 *
 * @throws {AppError} `roles` for a role whose privileges would become those of everybody
 */
export function namesOf(found: Found): Names {
  const { roles, session } = found.cluster
  const all = roles.map(({ name }) => name)
  if (all.includes('PUBLIC'))
    throw new AppError('roles', 'a role has the name PUBLIC: its privileges cannot be told from those of everybody', {
      hint: 'rename it: alter role "PUBLIC" rename to …',
    })
  const unnamed = new Set(all.filter((name) => !isNameable(name)))
  const external = new Map(
    roles.flatMap(({ name, superuser }): [string, { reason: string; lost: boolean }][] => {
      if (name.startsWith('pg_') || unnamed.has(name)) return []
      const reason = whyExternal(name, superuser, session.name)
      return reason === undefined ? [] : [[name, { reason, lost: false }]]
    }),
  )
  for (const [name, reason] of inexpressible(found, unnamed)) {
    if (name !== 'PUBLIC' && !unnamed.has(name) && !name.startsWith('pg_') && !external.has(name))
      external.set(name, { reason, lost: true })
  }
  const users = roles.filter(({ name, login }) => login && !external.has(name) && !unnamed.has(name))
  return { unnamed, external, variables: variablesOf(users.map(({ name }) => name)) }
}

function whyExternal(name: string, superuser: boolean, ourselves: string): string | undefined {
  if (superuser) return 'a superuser'
  if (isOfProvider(name)) return 'a role of the provider'
  return name === ourselves ? 'the user that pgbosun connects as' : undefined
}

/** A name that a key of the file can be, or that of a predefined role. */
const isNameable = (name: string) => name !== '__proto__' && (name.startsWith('pg_') || predicates.isNotReserved(name))

/** Roles with something that no key can say, and that would therefore be taken away from them. */
function inexpressible({ cluster, inside }: Found, unnamed: ReadonlySet<string>): [string, string][] {
  return [
    ...cluster.memberships
      .filter(({ role }) => unnamed.has(role))
      .map(({ member, role }): [string, string] => [
        member,
        `it is a member of ${role}, a name that the file cannot have`,
      ]),
    ...inside.defaults
      .filter(({ grantable, creator }) => grantable || unnamed.has(creator))
      .map(({ grantee, creator, grantable }): [string, string] => [
        grantee,
        grantable
          ? 'it has default privileges with the grant option, which the file cannot say'
          : `it has default privileges of ${creator}, a name that the file cannot have`,
      ]),
    ...inside.objects
      .filter(meansAll)
      .flatMap(({ kind, schema, acl }) =>
        acl.map(({ grantee }): [string, string] => [
          grantee,
          `it has privileges on the ${kind} ${schema}.*, a name that means all in the file`,
        ]),
      ),
  ]
}

/** Whether the name of an object would mean all objects in a list of names. */
export const meansAll = ({ kind, name }: CurrentObject): boolean =>
  name === '*' && kind !== 'routine' && kind !== 'schema'

/** A variable for each password: no two roles share one, and none has a meaning elsewhere. */
function variablesOf(users: string[]): Map<string, string> {
  const taken = new Set<string>()
  return new Map(
    users.map((user) => {
      const words = user.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')
      const plain = words.replace(/^_+|_+$/g, '')
      const base = `${/^(|\d.*|(PG|POSTGRES|DATABASE|INIT_POSTGRES).*)$/.test(plain) ? `ROLE_${plain}` : plain}_PASSWORD`
      const start = base.replace('__', '_')
      let name = start
      for (let i = 2; taken.has(name); i++) name = `${start}_${i}`
      taken.add(name)
      return [user, name]
    }),
  )
}
