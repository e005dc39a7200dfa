import type { SecretSource } from '../config/fields.ts'

/** What a role is to us. `user` logs in, `group` does not, `implied` is created when missing and else left alone, `external` is never changed. */
export type RoleKind = 'user' | 'group' | 'implied' | 'external'

/** A role as it should be. What is left out is not managed. */
export type DesiredRole = {
  name: string
  kind: RoleKind
  connectionLimit?: number
  /** ISO instant or `infinity`. */
  validUntil?: string
  password?: SecretSource
  /** Whether it must inherit what it is a member of (an attribute of the role up to PostgreSQL 15). */
  inherits: boolean
  bypassRls?: boolean
  /** The one database whose creation needs this role: an owner nobody named. */
  createdWith?: string
}

/** `member` has the privileges of `role` and may `SET ROLE` to it. */
export type DesiredMembership = { role: string; member: string }

/** A setting of a role, of a database, or of a role in a database. A list is sent as a list. */
export type Setting = { role: string | null; database: string | null; name: string; value: string | string[] }

/** Kinds of things in a schema that have privileges; `schema` is the schema itself. */
export type GrantableKind = 'schema' | 'table' | 'sequence' | 'routine' | 'type'

/** Privileges on existing things. `names` null: all of that kind. `ALL` depends on the server and is spelled out when planning. */
export type DesiredGrant = {
  schema: string
  kind: GrantableKind
  names: string[] | null
  grantee: string
  privileges: string[]
}

/** Privileges on future things. `creators` null: whoever owns the schema. */
export type DesiredDefault = Omit<DesiredGrant, 'names'> & { creators: string[] | null }

/** A schema as it should be. `owner` null: the owner of the database; `implied`: not named, so never created. */
export type DesiredSchema = { name: string; owner: string | null; implied: boolean }

export type DesiredExtension = { name: string; schema?: string; version?: string }

/** A database as it should be. */
export type DesiredDatabase = {
  name: string
  owner: string
  /** Users with the preset `app` here. */
  apps: string[]
  /** Whose objects here get the owner of the database. `definer`: also what runs with the rights of its owner. */
  reassign?: { from: string[]; definer: boolean }
  /** Whether nobody may create objects through PUBLIC, also in a database that existed before. */
  closed: boolean
  /** Whether an existing database is given to `owner`; false when nobody named an owner and no user is an `app` there. */
  ownerFixed: boolean
  create: { encoding?: string; locale?: string; template?: string }
  connectionLimit?: number
  /** CONNECT and the like, by role. */
  access: { grantee: string; privileges: string[] }[]
  schemas: DesiredSchema[]
  extensions: DesiredExtension[]
  /** Schemas whose grants are converged. */
  covered: string[]
  grants: DesiredGrant[]
  defaults: DesiredDefault[]
}

/** Everything the configuration says about roles and databases, presets spelled out. */
export type DesiredRoles = {
  mode: 'declared' | 'additive'
  roles: DesiredRole[]
  memberships: DesiredMembership[]
  settings: Setting[]
  databases: DesiredDatabase[]
  /** Roles that read everything: members of pg_read_all_data, on PostgreSQL 13 by grants in declared databases. */
  readAll: string[]
  /** CONNECT on databases that are not declared, where nothing else is managed. */
  connects: { database: string; grantee: string }[]
}

/** Who we are on the server. */
export type SessionUser = { name: string; superuser: boolean; createRole: boolean; createDatabase: boolean }

/** One entry of an access control list, the owner's own left out. `grantee` may be PUBLIC. */
export type AclEntry = { grantee: string; grantor: string; privilege: string; grantable: boolean }

export type CurrentRole = {
  name: string
  login: boolean
  superuser: boolean
  inherits: boolean
  bypassRls: boolean
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
  admin: boolean
  inherit: boolean
  set: boolean
}

export type CurrentDatabaseEntry = {
  name: string
  owner: string
  connectionLimit: number
  encoding: string
  collate: string
  acl: AclEntry[]
}

/** What the whole server has of what is declared. */
export type CurrentCluster = {
  major: number
  session: SessionUser
  /** What new verifiers are made with. */
  scramIterations: number
  roles: CurrentRole[]
  /** Stored verifiers of roles with a declared password, null for none; undefined when we may not read them. */
  verifiers: Map<string, string | null> | undefined
  memberships: CurrentMembership[]
  /** As stored: `value` is the text behind the first `=`. */
  settings: { role: string | null; database: string | null; name: string; value: string }[]
  databases: CurrentDatabaseEntry[]
  /** Half-made databases of a run that was killed. */
  leftovers: string[]
}

/** A thing with privileges. `arguments`: the types of a routine's, as SQL. `column`: set for a column; `name` is its table's then. */
export type CurrentObject = {
  kind: GrantableKind
  schema: string
  name: string
  arguments: string | null
  column: string | null
  owner: string
  acl: AclEntry[]
}

export type DefaultKind = GrantableKind | 'large object'

/** One default privilege. `schema` null: in the whole database. */
export type CurrentDefault = {
  creator: string
  schema: string | null
  kind: DefaultKind
  grantee: string
  privilege: string
  grantable: boolean
}

/** What one database has of what is declared. */
export type CurrentDatabase = {
  major: number
  session: SessionUser
  owner: string
  /** Whether PUBLIC may connect; not so in the databases that we create. */
  publicMayConnect: boolean
  schemas: { name: string; owner: string; publicMayCreate: boolean }[]
  extensions: { name: string; schema: string; version: string }[]
  /** Of the declared ones that are not installed, those whose control file says in which schema they are. */
  extensionsWithSchema: string[]
  /** Only in covered schemas. */
  objects: CurrentObject[]
  /** In covered schemas and in the whole database. */
  defaults: CurrentDefault[]
}

/** Something whose owner is to change, as `pg_identify_object` names it: `identity` is SQL. */
export type OwnedObject = {
  /** Where PostgreSQL has it, and what cannot change without changing what it does. */
  classid: number
  oid: number
  print: string | null
  type: string
  schema: string | null
  identity: string
  owner: string
  /** Whether its owner has to be a superuser. */
  bound: boolean
  /** Whether it runs with the rights of its owner, and so with others afterwards. */
  definer: boolean
}
