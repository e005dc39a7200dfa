import type { SecretSource } from '../config/fields.ts'
import type { Standing } from './standing.ts'

/** How a role is managed. `user` logs in, `group` does not, `implied` is created if missing and otherwise left alone, `external` is never changed. */
export type RoleKind = 'user' | 'group' | 'implied' | 'external'

/** Attributes of a role that are managed only where they are declared, as ALTER ROLE names them. */
export type RoleAttribute = 'createrole' | 'createdb' | 'replication' | 'inherit'

/** A role as declared. Missing fields are not managed. */
export type DesiredRole = {
  name: string
  kind: RoleKind
  connectionLimit?: number
  /** ISO instant or `infinity`. */
  validUntil?: string
  password?: SecretSource
  /** Whether it must inherit the privileges of the roles it is a member of (an attribute of the role up to PostgreSQL 15). */
  inherits: boolean
  bypassRls?: boolean
  /** Further attributes. */
  attributes?: Partial<Record<RoleAttribute, boolean>>
  /** For an owner that is not declared: the only database whose creation needs it. */
  createdWith?: string
}

/** Options of a membership: may grant the role to others; has its privileges without SET ROLE; may SET ROLE to it. */
export type MembershipOptions = { admin: boolean; inherit: boolean; set: boolean }

/** A membership as declared. Options that are missing are the default: no ADMIN, but INHERIT and SET. */
export type DesiredMembership = { role: string; member: string } & Partial<MembershipOptions>

/** A setting of a role, of a database, or of a role in a database. A list is sent as a list. */
/** `before`: only servers older than this major need it. */
export type Setting = {
  role: string | null
  database: string | null
  name: string
  value: string | string[]
  before?: number
}

/** Kinds of objects with privileges that are in no schema. */
export type WideKind = 'language' | 'foreign server' | 'foreign data wrapper' | 'large object'

/** Kinds of objects that have privileges; `schema` is the schema itself. */
export type GrantableKind = 'schema' | 'table' | 'sequence' | 'routine' | 'type' | WideKind

/**
 * Privileges on existing objects. `schema` null: kinds that are in no schema. `names` null: all objects of that kind. `columns`: only on
 * these columns. `grantable`: with the grant option. `absent`: nobody may have granted them. `ALL` depends on the server and is written
 * out when planning.
 */
export type DesiredGrant = {
  schema: string | null
  kind: GrantableKind
  names: string[] | null
  columns?: string[]
  grantee: string
  privileges: string[]
  grantable?: true
  absent?: true
}

/** Privileges on future objects. `creators` null: the owner of the schema. `wide`: wherever in the database they are created. */
export type DesiredDefault = {
  schema: string
  wide?: true
  kind: DefaultKind
  grantee: string
  privileges: string[]
  creators: string[] | null
  absent?: true
}

/** A privilege on the database itself, such as CONNECT. */
export type DesiredAccess = { grantee: string; privileges: string[]; grantable?: true; absent?: true }

/** A schema as declared. `owner` null: the owner of the database; `implied`: not declared, so never created. */
export type DesiredSchema = { name: string; owner: string | null; implied: boolean }

export type DesiredExtension = { name: string; schema?: string; version?: string; ensure?: 'absent' }

/** With what a database is created. */
export type CreateOptions = {
  encoding?: string
  locale?: string
  template?: string
  localeProvider?: 'libc' | 'icu' | 'builtin'
  icuLocale?: string
}

/** A database as declared. */
export type DesiredDatabase = {
  name: string
  owner: string
  /** Users with the preset `app` in this database. */
  apps: string[]
  /** Users with another preset in this database. */
  presets: { user: string; preset: string }[]
  /** The roles whose objects get the owner of the database. `definer`: including those that run with the rights of their owner. */
  reassign?: { from: string[]; definer: boolean }
  /** Whether CREATE on schemas is revoked from PUBLIC, even in a database that existed before. */
  closed: boolean
  /** Whether an existing database is given to `owner`; false when no owner is declared and no user has the preset `app` there. */
  ownerFixed: boolean
  create: CreateOptions
  connectionLimit?: number
  /** Privileges on the database itself, by role. */
  access: DesiredAccess[]
  schemas: DesiredSchema[]
  extensions: DesiredExtension[]
  /** Schemas whose grants are converged. */
  covered: string[]
  grants: DesiredGrant[]
  defaults: DesiredDefault[]
}

/** A role that must not exist. `path`: where that is declared. `reassignTo`: who gets what it owns; `definer`: even what runs with its rights. */
export type DesiredAbsence = {
  name: string
  path: string
  reassignTo?: string
  definer: boolean
  terminate: boolean
}

/** The declared roles and databases, with presets written out. */
export type DesiredRoles = {
  mode: 'declared' | 'additive' | 'strict'
  /** In mode `strict`: undeclared grantees that may lose privileges. */
  strictAccept: string[]
  /** Passwords are sent as they are, because the server refuses verifiers. */
  plaintext?: true
  roles: DesiredRole[]
  memberships: DesiredMembership[]
  settings: Setting[]
  databases: DesiredDatabase[]
  absent: DesiredAbsence[]
  /** Roles that read everything: as members of pg_read_all_data; on PostgreSQL 13 by grants in the declared databases. */
  readAll: string[]
  /** CONNECT on databases that are not declared; nothing else is managed there. */
  connects: { database: string; grantee: string }[]
}

/** The user that we connect as. */
export type SessionUser = { name: string; superuser: boolean; createRole: boolean; createDatabase: boolean }

/** One entry of an access control list; the owner's own are left out. `grantee` may be PUBLIC. */
export type AclEntry = { grantee: string; grantor: string; privilege: string; grantable: boolean }

export type CurrentRole = {
  name: string
  login: boolean
  superuser: boolean
  inherits: boolean
  bypassRls: boolean
  createRole: boolean
  createDb: boolean
  replication: boolean
  connectionLimit: number
  /** Milliseconds since 1970, or `infinity`. */
  validUntil: number | 'infinity'
}

/** One row of pg_auth_members. Up to PostgreSQL 15 `inherit` is the member's attribute and `set` is always true. */
export type CurrentMembership = {
  role: string
  member: string
  grantor: string
  grantedByBootstrap: boolean
} & MembershipOptions

export type CurrentDatabaseEntry = {
  name: string
  owner: string
  connectionLimit: number
  encoding: string
  collate: string
  /** `libc` up to PostgreSQL 14. */
  localeProvider: string
  icuLocale: string | null
  acl: AclEntry[]
}

/** The present state of what is declared for the whole server. */
export type CurrentCluster = {
  major: number
  session: SessionUser
  /** The number of iterations for new verifiers. */
  scramIterations: number
  roles: CurrentRole[]
  /** Stored verifiers of roles with a declared password, null for none; undefined when we may not read them. */
  verifiers: Map<string, string | null> | undefined
  /** What else is known of the declared passwords then, by role. */
  standings?: ReadonlyMap<string, Standing>
  /** Declared logins that a rotation has closed: they stay closed, and get no password. */
  closed?: ReadonlySet<string>
  memberships: CurrentMembership[]
  /** As stored: `value` is the text after the first `=`. */
  settings: { role: string | null; database: string | null; name: string; value: string }[]
  databases: CurrentDatabaseEntry[]
  /** Unfinished databases of killed runs. */
  leftovers: string[]
}

/** What everybody may read of it. */
export type CurrentCatalog = Omit<CurrentCluster, 'verifiers' | 'standings' | 'closed'>

/**
 * An object with privileges. `schema` null: it is in none. `arguments`: the types of a routine's arguments, as SQL. `column`: set for a
 * column, whose table is `name`.
 */
export type CurrentObject = {
  kind: GrantableKind
  schema: string | null
  name: string
  arguments: string | null
  column: string | null
  owner: string
  acl: AclEntry[]
}

export type DefaultKind = Exclude<GrantableKind, WideKind> | 'large object'

/** One default privilege. `schema` null: in the whole database. */
export type CurrentDefault = {
  creator: string
  schema: string | null
  kind: DefaultKind
  grantee: string
  privilege: string
  grantable: boolean
}

/** `neededBy`: the first few things outside it that need it, in PostgreSQL's words; `needs`: how many. `tables`: how many of its own. */
export type UnwantedExtension = { name: string; neededBy: string[]; needs: number; tables: number }

/** The present state of what is declared for one database. */
export type CurrentDatabase = {
  major: number
  session: SessionUser
  owner: string
  /** Whether PUBLIC may connect; false in the databases that we create. */
  publicMayConnect: boolean
  schemas: { name: string; owner: string; publicMayCreate: boolean }[]
  extensions: { name: string; schema: string; version: string }[]
  /** Declared extensions that are not installed, and whose control file says which schema they go to. */
  extensionsWithSchema: string[]
  /** Extensions that are declared absent and are installed. */
  unwantedExtensions: UnwantedExtension[]
  /** Only in covered schemas. */
  objects: CurrentObject[]
  /** In covered schemas and in the whole database. */
  defaults: CurrentDefault[]
  /** Creators with default privileges for the whole database; without, those that are built in apply. Empty unless such are declared. */
  changedDefaults: { creator: string; kind: DefaultKind }[]
}

/** An object whose owner shall change, as `pg_identify_object` names it: `identity` is SQL. */
export type OwnedObject = {
  /** `classid` and `oid`: where PostgreSQL keeps it. `print`: a fingerprint of what the object does; null for kinds without one. */
  classid: number
  oid: number
  print: string | null
  type: string
  schema: string | null
  identity: string
  owner: string
  /** Whether its owner has to be a superuser. */
  bound: boolean
  /** Whether it runs with the rights of its owner, and so with those of the new owner afterwards. */
  definer: boolean
}
