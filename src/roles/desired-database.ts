// pure
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { explicitDatabaseGrants, explicitDefault, explicitGrant, granteeName } from './desired-grants.ts'
import { databasePresets } from './presets.ts'
import type {
  DefaultKind,
  DesiredAccess,
  DesiredDatabase,
  DesiredDefault,
  DesiredGrant,
  DesiredSchema,
} from './types.ts'

type DatabaseConfig = NonNullable<Config['databases'][string]>
type SchemaConfig = NonNullable<NonNullable<DatabaseConfig['schemas']>[string]>

/** What each level of `access` allows, on existing and on future objects. */
export const levels: Record<string, Partial<Record<DefaultKind, string[]>>> = {
  read: { schema: ['USAGE'], table: ['SELECT'], sequence: ['SELECT'] },
  write: {
    schema: ['USAGE'],
    table: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
    sequence: ['USAGE', 'SELECT'],
    routine: ['EXECUTE'],
  },
  use: { schema: ['USAGE'] },
  create: { schema: ['USAGE', 'CREATE'] },
}

/**
 * One database of the configuration, with its presets written out as grants. Pure.
 * @param visitors roles that connect to every database
 */
export function desiredDatabase(name: string, fields: DatabaseConfig, visitors: string[] = []): DesiredDatabase {
  const users = Object.entries(fields.users ?? {})
  const { owner: creator, ...create } = fields.create ?? {}
  if (creator !== undefined && fields.owner !== undefined)
    throw usage(`databases.${name} has both owner and create.owner`, { hint: 'keep only one of them' })
  const owner = fields.owner ?? creator ?? `${name}_owner`
  const schemas = desiredSchemas(fields)
  const covered = fields.schemas === undefined ? ['public'] : Object.keys(fields.schemas)
  const levelled = users.flatMap(([user, { preset }]): [string, string][] => {
    const level = preset && databasePresets[preset].level
    return level ? [[user, level]] : []
  })
  const rules = covered.flatMap((schema) => schemaRules(name, schema, fields.schemas?.[schema] ?? {}, levelled))
  const wide = explicitDatabaseGrants(`databases.${name}`, fields.grants)
  const grants = [...rules.flatMap(({ grants }) => grants), ...wide.grants]
  // Those that act as the owner connect as its members.
  const connecting = new Set([
    ...users.filter(([, { preset }]) => !preset || !databasePresets[preset].asOwner).map(([user]) => user),
    ...grants.filter(({ absent }) => !absent).map(({ grantee }) => grantee),
    ...visitors,
  ])
  connecting.delete('PUBLIC')
  connecting.delete(owner)

  return {
    name,
    owner,
    apps: users.filter(([, { preset }]) => preset === 'app').map(([user]) => user),
    presets: users.flatMap(([user, { preset }]) => (preset && preset !== 'app' ? [{ user, preset }] : [])),
    ...(fields.reassign && { reassign: reassignOf(fields.reassign) }),
    closed: fields.schemaCreate === 'revoke',
    ownerFixed: fields.owner !== undefined || users.some(([, { preset }]) => preset === 'app'),
    create: definedOnly(create),
    ...(fields.connectionLimit !== undefined && { connectionLimit: fields.connectionLimit }),
    access: [
      ...[...connecting].map((grantee) => ({ grantee, privileges: ['CONNECT'] })),
      // only where the database belongs to somebody else
      ...(creator === undefined ? [] : [{ grantee: creator, privileges: ['CONNECT', 'CREATE', 'TEMPORARY'] }]),
      ...publicAccess(fields.public),
      ...wide.access,
    ],
    schemas,
    extensions: desiredExtensions(name, fields),
    covered,
    grants,
    defaults: rules.flatMap(({ defaults }) => defaults),
  }
}

const desiredExtensions = (database: string, { extensions = {} }: DatabaseConfig) =>
  Object.entries(extensions).map(([name, fields]) => {
    const { ensure, ...others } = fields ?? {}
    const [other] = ensure === 'absent' ? Object.keys(definedOnly(others)) : []
    if (other)
      throw usage(`databases.${database}.extensions.${name} is declared absent, but has ${other}`, {
        hint: 'with ensure: absent, nothing else has a meaning',
      })
    return { name, ...definedOnly(fields ?? {}) }
  })

const publicAccess = ({ connect, temporary }: DatabaseConfig['public'] = {}): DesiredAccess[] =>
  [
    { privilege: 'CONNECT', wanted: connect },
    { privilege: 'TEMPORARY', wanted: temporary },
  ].flatMap(({ privilege, wanted }): DesiredAccess[] =>
    wanted === undefined
      ? []
      : [{ grantee: 'PUBLIC', privileges: [privilege], ...(wanted === 'revoke' && { absent: true }) }],
  )

const reassignOf = (given: NonNullable<DatabaseConfig['reassign']>) =>
  Array.isArray(given) ? { from: given, definer: false } : given

function desiredSchemas({ schemas = {} }: DatabaseConfig): DesiredSchema[] {
  const named = Object.entries(schemas).map(([name, fields]) => ({
    name,
    owner: fields?.owner ?? null,
    implied: false,
  }))
  return Object.hasOwn(schemas, 'public') ? named : [{ name: 'public', owner: null, implied: true }, ...named]
}

type Rules = { grants: DesiredGrant[]; defaults: DesiredDefault[] }

function schemaRules(database: string, schema: string, fields: SchemaConfig, levelled: [string, string][]): Rules {
  const path = `databases.${database}.schemas.${schema}`
  const creators = fields.creators ?? null
  const access = [...levelled, ...Object.entries(fields.access ?? {})]
  const rules = access.map(([grantee, level]) => levelRules(schema, granteeName(grantee), level, creators))

  const explicit = (fields.grants ?? []).map((grant, i) => explicitGrant(`${path}.grants[${i}]`, schema, grant))
  const defaults = (fields.defaultPrivileges ?? []).map((one, i) =>
    explicitDefault(`${path}.defaultPrivileges[${i}]`, schema, one),
  )
  return {
    grants: [...rules.flatMap((rule) => rule.grants), ...explicit],
    defaults: [...rules.flatMap((rule) => rule.defaults), ...defaults],
  }
}

function levelRules(schema: string, grantee: string, level: string, creators: string[] | null): Rules {
  const entries = Object.entries(levels[level] ?? {}) as [Exclude<DefaultKind, 'large object'>, string[]][]
  return {
    grants: entries.map(([kind, privileges]) => ({ schema, kind, names: null, grantee, privileges })),
    defaults: entries
      .filter(([kind]) => kind !== 'schema')
      .map(([kind, privileges]) => ({ schema, kind, grantee, privileges, creators })),
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

const definedOnly = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
