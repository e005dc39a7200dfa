// pure
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { type AttributeKey, attributeKeys, attributesOf } from './attributes.ts'
import { declaredConnects } from './connects.ts'
import { takeAbsent } from './desired-absent.ts'
import { desiredDatabase } from './desired-database.ts'
import { granteeName } from './desired-grants.ts'
import { eachOnce, inMembershipOrder, membershipsOf, saysInherit } from './memberships.ts'
import { type DatabasePreset, databasePresets, type ServerPreset, serverPresets } from './presets.ts'
import { settingValue } from './settings.ts'
import type { DesiredDatabase, DesiredMembership, DesiredRole, DesiredRoles, Setting } from './types.ts'
import { validateReferences } from './validate.ts'

type AccessConfig = Pick<Config, 'databases' | 'roles' | 'users' | 'manage' | 'lock' | 'passwords'>
type Preset = DatabasePreset | ServerPreset
type UserConfig = Omit<Config['users'][string], 'preset'> & { preset?: Preset | undefined }
type Values = Record<string, string | number | boolean | string[]>
/** One declaration of a user: at the top level (`database` null) or under a database. */
type Declaration = { user: string; path: string; database: string | null; fields: UserConfig }

/**
 * The declared roles and databases, with presets written out and references checked.
 *
 * @throws {AppError} `usage` for a name that is not declared, contradicting declarations, and memberships in a circle
 */
export function desiredRoles(given: AccessConfig): DesiredRoles {
  const { absent, config } = takeAbsent(given)
  const declarations = userDeclarations(config)
  const ofServer = Object.entries(config.users).flatMap(([user, { preset }]) => (preset ? [{ user, preset }] : []))
  const connects = declaredConnects(config)
  const databases = Object.entries(config.databases).map(([name, fields]) =>
    desiredDatabase(
      name,
      fields ?? {},
      connects.filter(({ database }) => database === name).map(({ grantee }) => grantee),
    ),
  )
  const owners = new Map(databases.map(({ name, owner }) => [name, owner]))
  const users = [...new Set(declarations.map(({ user }) => user))].map((user) =>
    declarations.filter((declaration) => declaration.user === user),
  )

  const expanded = users.map((of) => desiredUser(of, owners))
  const groups = Object.entries(config.roles).map(([name, fields]) => desiredGroup(name, fields ?? {}))
  const named = [...groups, ...expanded]
  const desired: DesiredRoles = {
    mode: config.manage.privileges,
    strictAccept: config.manage.strictAccept.map(granteeName),
    ...(config.passwords.send === 'plaintext' && { plaintext: true }),
    roles: [...impliedOwners(databases, new Set(named.map(({ role }) => role.name))), ...named.map(({ role }) => role)],
    memberships: inMembershipOrder(eachOnce(named.flatMap(({ memberships }) => memberships))),
    settings: [...named.flatMap(({ settings }) => settings), ...databaseSettings(config)],
    databases,
    absent,
    readAll: ofServer.filter(({ preset }) => serverPresets[preset].readAll).map(({ user }) => user),
    connects: connects.filter(({ database }) => !owners.has(database)),
  }
  validateReferences(desired)
  return desired
}

function userDeclarations({ users, databases, roles }: AccessConfig): Declaration[] {
  const all: Declaration[] = [
    ...Object.entries(users).map(([user, fields]) => ({ user, path: `users.${user}`, database: null, fields })),
    ...Object.entries(databases).flatMap(([database, of]) =>
      Object.entries(of?.users ?? {}).map(([user, fields]) => ({
        user,
        path: `databases.${database}.users.${user}`,
        database,
        fields,
      })),
    ),
  ]
  const both = all.find(({ user }) => Object.hasOwn(roles, user))
  if (both)
    throw usage(`${both.path} is also declared under roles`, {
      hint: 'users log in and roles do not: keep only one of the two declarations',
    })
  return all
}

type Expanded = { role: DesiredRole; memberships: DesiredMembership[]; settings: Setting[] }

function desiredGroup(name: string, fields: NonNullable<Config['roles'][string]>): Expanded {
  const { external = false, connectionLimit } = fields
  if (external && Object.keys(fields).length > 1) {
    throw usage(`roles.${name} is external, but has other keys`, {
      hint: 'an external role is never changed: remove the other keys, or `external`',
    })
  }
  return {
    role: {
      name,
      kind: external ? 'external' : 'group',
      inherits: saysInherit(fields.memberOf),
      ...attributesOf(`roles.${name}`, fields, saysInherit(fields.memberOf)),
      ...(connectionLimit !== undefined && { connectionLimit }),
    },
    memberships: membershipsOf(name, fields),
    settings: roleSettings(name, fields, {}),
  }
}

function desiredUser(declarations: Declaration[], owners: Map<string, string>): Expanded {
  const name = declarations[0]!.user
  const presets = declarations.filter(({ fields, database }) => fields.preset !== undefined && database !== null)
  const ofServer = serverPreset(declarations, presets)
  const limit = agreed(declarations, 'connectionLimit') ?? ofServer?.connectionLimit
  const password = agreed(declarations, 'password')
  const actsAs = agreed(declarations, 'actsAs')
  const declared = declarations.flatMap(({ fields }) => membershipsOf(name, fields))
  const roles = [
    ...(ofServer?.memberOf ?? []),
    ...(actsAs === undefined ? [] : [actsAs]),
    ...presets.flatMap(({ fields, database }) => (isAsOwner(fields) ? [owners.get(database!)!] : [])),
  ]
  // Sessions that start as a role need no more than SET.
  const isDeclared = (role: string) =>
    role === actsAs && declared.some((one) => one.role === role && one.member === name && one.set !== false)
  const implied = [...new Set(roles)].filter((role) => !isDeclared(role)).map((role) => ({ role, member: name }))

  const inherits =
    ofServer !== undefined ||
    presets.some(({ fields }) => isAsOwner(fields)) ||
    declarations.some(({ fields }) => saysInherit(fields.memberOf))

  return {
    role: {
      name,
      kind: 'user',
      inherits,
      ...(ofServer && { bypassRls: ofServer.bypassRls }),
      ...attributesOf(
        declarations[0]!.path,
        {
          ...(ofServer?.replication !== undefined && { replication: ofServer.replication }),
          ...Object.fromEntries(
            attributeKeys
              .map((key) => [key, agreed(declarations, key)] as const)
              .filter(([, value]) => value !== undefined),
          ),
        },
        inherits,
      ),
      ...(limit !== undefined && { connectionLimit: limit }),
      ...(password !== undefined && { password }),
      ...validUntil(declarations),
    },
    memberships: eachOnce([...declared, ...implied]).filter(({ role, member }) => role !== member),
    settings: mergeSettings([
      ...toSettings(name, null, ofServer?.settings ?? {}).map((one) => ({
        ...one,
        ...before(ofServer?.settingsBefore, one.name),
      })),
      // The settings of a single preset apply in every database; those of several, each in its own database.
      ...presets.flatMap(({ fields, database }) =>
        presetSettings(name, fields, owners.get(database!)!, presets.length > 1 ? database : null),
      ),
      ...declarations.flatMap(({ fields }) => roleSettings(name, fields, actsAs === undefined ? {} : { role: actsAs })),
    ]),
  }
}

/** The meaning of a preset under `users`. The same user cannot have a preset in a database too: that one allows writing, or sets other limits. */
function serverPreset(declarations: Declaration[], [other]: Declaration[]) {
  const own = declarations.find(({ fields, database }) => fields.preset !== undefined && database === null)
  if (own === undefined) return undefined
  if (other !== undefined)
    throw usage(`${own.path}.preset and ${other.path}.preset contradict each other`, {
      hint: 'use two users, one for each purpose',
    })
  return serverPresets[own.fields.preset as ServerPreset]
}

const isAsOwner = ({ preset }: UserConfig) =>
  preset !== undefined && Object.hasOwn(databasePresets, preset) && databasePresets[preset as DatabasePreset].asOwner

const presetSettings = (user: string, fields: UserConfig, owner: string, database: string | null): Setting[] => [
  ...toSettings(user, database, databasePresets[fields.preset as DatabasePreset].settings),
  ...(isAsOwner(fields) && owner !== user && fields.actsAs === undefined
    ? toSettings(user, database, { role: owner })
    : []),
]

const roleSettings = (
  role: string,
  { config = {}, configIn = {} }: Pick<UserConfig, 'config' | 'configIn'>,
  more: Values,
): Setting[] => [
  ...toSettings(role, null, { ...more, ...config }),
  ...Object.entries(configIn).flatMap(([database, values]) => toSettings(role, database, values)),
]

const toSettings = (role: string | null, database: string | null, values: Values): Setting[] =>
  Object.entries(values).map(([name, value]) => ({ role, database, name, value: settingValue(name, value) }))

const before = (majors: Record<string, number> = {}, name: string): Pick<Setting, 'before'> => {
  const major = majors[name]
  return major === undefined ? {} : { before: major }
}

/** The last one of each name wins. */
const mergeSettings = (settings: Setting[]): Setting[] => [
  ...new Map(settings.map((one) => [JSON.stringify([one.database, one.name.toLowerCase()]), one])).values(),
]

const databaseSettings = ({ databases }: AccessConfig): Setting[] =>
  Object.entries(databases).flatMap(([name, of]) => toSettings(null, name, of?.config ?? {}))

/** The value of a field of a user who may be declared in several places: all declarations must agree. */
function agreed<K extends 'password' | 'connectionLimit' | 'actsAs' | 'validUntil' | AttributeKey>(
  declarations: Declaration[],
  key: K,
) {
  const given = declarations.filter(({ fields }) => fields[key] !== undefined)
  const [first] = given
  const other = given.find(({ fields }) => JSON.stringify(fields[key]) !== JSON.stringify(first?.fields[key]))
  if (first && other) {
    throw usage(`${first.path}.${key} and ${other.path}.${key} differ`, {
      hint: 'a role has only one of these on the whole server: declare it once',
    })
  }
  return first?.fields[key] as UserConfig[K]
}

function validUntil(declarations: Declaration[]): { validUntil?: string } {
  const value = agreed(declarations, 'validUntil')
  if (value === undefined || value === 'infinity') return value === undefined ? {} : { validUntil: value }
  if (Number.isNaN(Date.parse(value))) {
    throw usage(`${declarations[0]!.path}.validUntil is not an instant: ${value}`, {
      hint: 'write it like 2027-01-01T00:00:00Z, or infinity',
    })
  }
  return { validUntil: new Date(value).toISOString() }
}

/** Owners that are not declared under `roles` or `users`. */
const impliedOwners = (databases: DesiredDatabase[], declared: Set<string>): DesiredRole[] =>
  databases
    .filter(({ owner }, i) => !declared.has(owner) && databases.findIndex((other) => other.owner === owner) === i)
    .map(({ name, owner }) => ({
      name: owner,
      kind: 'implied',
      inherits: false,
      ...(!databases.some((one) => one.owner === owner && one.ownerFixed) && { createdWith: name }),
    }))
