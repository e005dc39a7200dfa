// pure
import { withReaders } from './plan-memberships.ts'
import type { DesiredDatabase, DesiredGrant, DesiredMembership, DesiredRole, DesiredRoles, Setting } from './types.ts'

/** A part of a configuration file. */
type Part = Record<string, unknown>

/**
 * The declared roles and databases as a configuration without presets, access levels and defaults: what a short file stands for. Used as
 * a file, it plans the same on a server of this major version. Passwords are only their sources. Pure.
 */
export function expandedConfig(declared: DesiredRoles, major: number): Part {
  const desired = withReaders(declared, major)
  const { roles, databases, absent } = desired
  const gone = (section: string) =>
    absent.filter(({ path }) => path.startsWith(`${section}.`)).map((one) => [one.name, absence(one)])
  const ofKind = (kind: DesiredRole['kind']) =>
    roles.filter((role) => role.kind === kind).map((role) => [role.name, roleOf(role, desired, major)])
  return withoutEmpty({
    manage: withoutEmpty({ privileges: desired.mode, strictAccept: desired.strictAccept }),
    databases: Object.fromEntries(databases.map((database) => [database.name, databaseOf(database, desired)])),
    roles: Object.fromEntries([
      ...ofKind('group'),
      ...roles.filter(({ kind }) => kind === 'external').map(({ name }) => [name, { external: true }]),
      ...gone('roles'),
    ]),
    users: Object.fromEntries([...ofKind('user'), ...gone('users')]),
  })
}

const withoutEmpty = (part: Part): Part =>
  Object.fromEntries(
    Object.entries(part).filter(
      ([, value]) => value !== undefined && !(typeof value === 'object' && Object.keys(value ?? {}).length === 0),
    ),
  )

const absence = ({ reassignTo, definer, terminate }: DesiredRoles['absent'][number]): Part => ({
  ensure: 'absent',
  ...(reassignTo !== undefined && { reassignTo: definer ? { role: reassignTo, definer } : reassignTo }),
  ...(terminate && { terminate }),
})

function roleOf(role: DesiredRole, desired: DesiredRoles, major: number): Part {
  const { name, attributes = {} } = role
  const settings = desired.settings.filter(
    (one) => one.role === name && (one.before === undefined || major < one.before),
  )
  const configIn = Map.groupBy(
    settings.filter(({ database }) => database !== null),
    ({ database }) => database!,
  )
  return withoutEmpty({
    // PostgreSQL 13 has no role that reads everything: only the preset says so.
    preset: major < 14 && desired.readAll.includes(name) ? 'backup' : undefined,
    password: role.password,
    memberOf: desired.memberships.filter(({ member }) => member === name).map(membershipOf),
    connect: desired.connects.filter(({ grantee }) => grantee === name).map(({ database }) => database),
    connectionLimit: role.connectionLimit,
    validUntil: role.validUntil,
    createRole: attributes.createrole,
    createDb: attributes.createdb,
    replication: attributes.replication,
    bypassRls: role.bypassRls,
    // Up to PostgreSQL 15 it decides whether memberships are inherited.
    inherit: attributes.inherit ?? (major < 16 && role.inherits ? true : undefined),
    config: values(settings.filter(({ database }) => database === null)),
    configIn: Object.fromEntries([...configIn].map(([database, of]) => [database, values(of)])),
  })
}

const values = (settings: Setting[]): Part => Object.fromEntries(settings.map(({ name, value }) => [name, value]))

/** Only options that are not the default: an explicit `inherit: true` means more. */
function membershipOf({ role, admin = false, inherit = true, set = true }: DesiredMembership): unknown {
  const options = { ...(admin && { admin }), ...(!inherit && { inherit }), ...(!set && { set }) }
  return Object.keys(options).length === 0 ? role : { role, ...options }
}

function databaseOf(database: DesiredDatabase, { settings }: DesiredRoles): Part {
  const { name, schemas, covered, grants, access } = database
  const wide = grants.filter(({ schema }) => schema === null)
  const shown = schemas.filter(
    (schema) => !schema.implied || (covered.includes(schema.name) && hasRules(database, schema.name)),
  )
  const part = withoutEmpty({
    owner: database.ownerFixed ? database.owner : undefined,
    create: database.create,
    connectionLimit: database.connectionLimit,
    config: values(settings.filter((one) => one.role === null && one.database === name)),
    reassign: database.reassign,
    schemaCreate: database.closed ? 'revoke' : undefined,
    extensions: Object.fromEntries(database.extensions.map(({ name, ...fields }) => [name, fields])),
    grants: [
      ...eachOnce(
        access.map(({ grantee, privileges, ...flags }) => ({
          to: grantee,
          on: 'database',
          privileges,
          ...flagsOf(flags),
        })),
      ),
      ...wide.map(grantOf),
    ],
    schemas: Object.fromEntries(shown.map(({ name, owner }) => [name, schemaOf(database, name, owner)])),
  })
  // No schema at all means that `public` is managed; an empty list, that none is.
  return covered.length === 0 ? { ...part, schemas: {} } : part
}

const eachOnce = (parts: Part[]): Part[] => [...new Map(parts.map((part) => [JSON.stringify(part), part])).values()]

const hasRules = ({ grants, defaults }: DesiredDatabase, name: string) =>
  [...grants, ...defaults].some(({ schema }) => schema === name)

const schemaOf = ({ grants, defaults }: DesiredDatabase, name: string, owner: string | null): Part =>
  withoutEmpty({
    owner: owner ?? undefined,
    grants: grants.filter(({ schema }) => schema === name).map(grantOf),
    defaultPrivileges: defaults
      .filter(({ schema }) => schema === name)
      .flatMap(({ creators, kind, wide, grantee, privileges, absent }) =>
        (creators ?? [undefined]).map((creator) => ({
          ...(creator !== undefined && { creator }),
          on: inCamelCase(kind),
          ...(wide && { scope: 'database' }),
          to: grantee,
          privileges,
          ...flagsOf({ absent }),
        })),
      ),
  })

const grantOf = ({ kind, names, columns, grantee, privileges, ...flags }: DesiredGrant): Part => ({
  to: grantee,
  on: inCamelCase(kind),
  ...(names && { names }),
  ...(columns && { columns }),
  privileges,
  ...flagsOf(flags),
})

const flagsOf = ({ grantable, absent }: { grantable?: true | undefined; absent?: true | undefined }): Part => ({
  ...(grantable && { grantOption: true }),
  ...(absent && { ensure: 'absent' }),
})

const inCamelCase = (kind: string) => kind.replaceAll(/ (\w)/g, (_, letter: string) => letter.toUpperCase())
