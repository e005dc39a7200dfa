// pure
import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { yamlWord } from '../text.ts'
import { counted, plural, someOf } from '../units.ts'
import type { GrantsPlan } from './actions.ts'
import type { CurrentDatabase, CurrentDefault, CurrentObject, DesiredDatabase, DesiredRoles } from './types.ts'

/** Roles of hosted services, which work for their operator: RDS, Cloud SQL, AlloyDB, Azure, Neon, Supabase, DigitalOcean, Aiven. */
const ofProviders =
  /^(rds|rdsadmin|rds_.*|cloudsql.*|alloydb.*|azure.*|neon_superuser|cloud_admin|supabase_.*|authenticator|anon|authenticated|service_role|dashboard_user|pgsodium_.*|pgbouncer|doadmin|_dodb|avnadmin|_aiven)$/

/** Whether a role, by its name, is one of a hosted service, which works for its operator. */
export const isOfProvider = (name: string): boolean => ofProviders.test(name)

/** Finds who has something that nobody declared. */
export type Strangers = {
  /** Grantees of an object that the file does not name, and that shall have nothing on it. */
  on(object: CurrentObject): string[]
  /** Whether an entry of default privileges is of one. */
  isDefault(row: CurrentDefault): boolean
}

/**
 * With `manage.privileges: strict`, grantees in declared schemas that the file does not name shall have nothing there. Never counted are
 * roles of a hosted service, predefined roles, the owners of the object, its schema and the database, the user that we connect as, and
 * what PostgreSQL itself gives to PUBLIC, unless the file says what PUBLIC shall have on such objects of that schema. Pure.
 */
export function strangersIn(desired: DesiredRoles, database: DesiredDatabase, current: CurrentDatabase): Strangers {
  if (desired.mode !== 'strict') return { on: () => [], isDefault: () => false }
  const named = new Set(desired.roles.map(({ name }) => name))
  const ownerOf = new Map(current.schemas.map(({ name, owner }) => [name, owner]))
  const isLeftAlone = (name: string, schema: string) =>
    named.has(name) ||
    name.startsWith('pg_') ||
    ofProviders.test(name) ||
    [current.owner, current.session.name, ownerOf.get(schema)].includes(name)
  const ofPublic = new Set(
    database.grants.filter(({ grantee }) => grantee === 'PUBLIC').map(({ schema, kind }) => `${kind} ${schema}`),
  )
  return {
    on({ schema, kind, acl }) {
      if (schema === null || !database.covered.includes(schema)) return []
      const isStranger = ({ grantee, privilege }: CurrentObject['acl'][number]) =>
        grantee === 'PUBLIC'
          ? ofPublic.has(`${kind} ${schema}`) || !isBuiltIn(kind, schema, privilege)
          : !isLeftAlone(grantee, schema)
      return [...new Set(acl.filter(isStranger).map(({ grantee }) => grantee))]
    },
    isDefault: ({ schema, grantee, creator }) =>
      schema !== null &&
      database.covered.includes(schema) &&
      !ofProviders.test(creator) &&
      (grantee === 'PUBLIC' || !isLeftAlone(grantee, schema)),
  }
}

/** What PUBLIC has on a new object, and in schema `public` of a new database. */
const isBuiltIn = (kind: CurrentObject['kind'], schema: string, privilege: string) =>
  ['routine', 'type'].includes(kind) ||
  (kind === 'schema' && schema === 'public' && ['USAGE', 'CREATE'].includes(privilege))

/** What grantees that the file does not name would lose in one database, without those that are accepted. Pure. */
export function lossesOf({ strictAccept }: DesiredRoles, plan: GrantsPlan): Map<string, Change[]> {
  const losses = new Map<string, Change[]>()
  for (const { change, payload } of plan.actions) {
    const losers = payload.do === 'revoke' || payload.do === 'revoke default' ? (payload.losers ?? []) : []
    for (const name of losers) if (!strictAccept.includes(name)) losses.set(name, [...(losses.get(name) ?? []), change])
  }
  return losses
}

/** What {@link unaccepted} says, for a plan. */
export const describeLosses = (losses: Map<string, Change[]>): string =>
  `manage.privileges: strict takes privileges from ${plural(losses.size, 'a role', 'roles')} that the file does not name: ${someOf(
    [...losses].map(([name, changes]) => `${name} (${counted(changes.length, 'change')})`),
  )}`

/** Exit 30, before any of it is taken away. */
export function unaccepted(losses: Map<string, Change[]>): AppError {
  const names = [...losses.keys()].map(yamlWord).join(', ')
  return new AppError('roles', describeLosses(losses), {
    report: { changes: [...losses.values()].flat() },
    hint: `nobody has lost anything; read \`pgbosun roles plan\`, then declare what they shall have, or accept it: manage.strictAccept: [${names}], or once: pgbosun roles apply --accept-revokes`,
  })
}
