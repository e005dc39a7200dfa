// pure
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { columnPrivileges, databasePrivileges, privilegesOf } from './privileges.ts'
import type { DefaultKind, DesiredAccess, DesiredDefault, DesiredGrant, WideKind } from './types.ts'

type DatabaseConfig = NonNullable<Config['databases'][string]>
type SchemaConfig = NonNullable<NonNullable<DatabaseConfig['schemas']>[string]>
type GrantConfig = NonNullable<SchemaConfig['grants']>[number]
type DatabaseGrantConfig = NonNullable<DatabaseConfig['grants']>[number]
type DefaultConfig = NonNullable<SchemaConfig['defaultPrivileges']>[number]

/** A grantee, as it is named in an access control list. */
export const granteeName = (name: string) => (name.toLowerCase() === 'public' ? 'PUBLIC' : name)

/** The names of kinds in the configuration. */
const wideKinds: Record<Exclude<DatabaseGrantConfig['on'], 'database'>, WideKind> = {
  language: 'language',
  foreignServer: 'foreign server',
  foreignDataWrapper: 'foreign data wrapper',
  largeObject: 'large object',
}

/** @throws {AppError} `usage` for a privilege that the kind of object does not have */
export function explicitGrant(path: string, schema: string, grant: GrantConfig): DesiredGrant {
  const { to, on, names, columns, privileges } = grant
  if (columns && on !== 'table')
    throw usage(`${path}.columns: a ${on} has no columns`, { hint: 'columns belong to `on: table`' })
  return {
    schema,
    kind: on,
    names: names === undefined || on === 'schema' || names.includes('*') ? null : names,
    ...(columns && { columns }),
    grantee: granteeName(to),
    privileges: checked(path, columns ? 'column' : on, privileges, columns ? columnPrivileges : privilegesOf[on]),
    ...flags(path, grant),
  }
}

/** What `databases.D.grants` declares: privileges on the database, and on its objects that are in no schema. Errors as above. */
export function explicitDatabaseGrants(
  path: string,
  grants: DatabaseGrantConfig[] = [],
): { access: DesiredAccess[]; grants: DesiredGrant[] } {
  const access: DesiredAccess[] = []
  const others: DesiredGrant[] = []
  for (const [i, one] of grants.entries()) {
    const here = `${path}.grants[${i}]`
    const grantee = granteeName(one.to)
    if (one.on === 'database') {
      if (one.names)
        throw usage(`${here}.names: a grant on the database has no names`, { hint: 'it is about this database' })
      const upper = one.privileges.map((name) => (name.toUpperCase() === 'TEMP' ? 'TEMPORARY' : name))
      const privileges = checked(here, 'database', upper, databasePrivileges)
      const all = privileges.includes('ALL') ? [...databasePrivileges] : privileges
      access.push({ grantee, privileges: all, ...flags(here, one) })
      continue
    }
    const kind = wideKinds[one.on]
    const names = one.names?.map(String) ?? ['*']
    if (kind === 'large object' && !names.includes('*') && names.some((name) => !/^[0-9]+$/.test(name)))
      throw usage(`${here}.names: a large object has a number, not a name`, { hint: 'like names: [16401]' })
    others.push({
      schema: null,
      kind,
      names: names.includes('*') ? null : names,
      grantee,
      privileges: checked(here, kind, one.privileges, privilegesOf[kind]),
      ...flags(here, one),
    })
  }
  return { access, grants: others }
}

/** Errors as above, and for what PostgreSQL accepts without effect. */
export function explicitDefault(path: string, schema: string, given: DefaultConfig): DesiredDefault {
  const { creator, on, scope, to, privileges, ensure } = given
  const kind: DefaultKind = on === 'largeObject' ? 'large object' : on
  const wide = scope === 'database'
  if (!wide && (kind === 'schema' || kind === 'large object'))
    throw usage(`${path}: a ${kind} is in no schema`, { hint: 'add scope: database' })
  const grantee = granteeName(to)
  if (!wide && ensure === 'absent' && grantee === 'PUBLIC' && (kind === 'routine' || kind === 'type'))
    throw usage(`${path}: what PUBLIC has on every new ${kind} cannot be made absent in one schema`, {
      hint: 'PostgreSQL accepts that without effect: add scope: database',
    })
  return {
    schema,
    ...(wide && { wide }),
    kind,
    grantee,
    privileges: checked(path, kind, privileges, privilegesOf[kind]),
    creators: creator === undefined ? null : [creator],
    ...(ensure === 'absent' && { absent: true }),
  }
}

function flags(path: string, { to, grantOption, ensure }: Pick<GrantConfig, 'to' | 'grantOption' | 'ensure'>) {
  if (grantOption === true && (ensure === 'absent' || granteeName(to) === 'PUBLIC'))
    throw usage(`${path}.grantOption: ${ensure === 'absent' ? 'the grant is to be absent' : 'PUBLIC cannot have it'}`, {
      hint: 'remove grantOption',
    })
  return {
    ...(grantOption === true && { grantable: true as const }),
    ...(ensure === 'absent' && { absent: true as const }),
  }
}

function checked(path: string, kind: string, privileges: string[], known: readonly string[]): string[] {
  const upper = privileges.map((privilege) => privilege.toUpperCase().replace(/^ALL PRIVILEGES$/, 'ALL'))
  const unknown = upper.find((privilege) => privilege !== 'ALL' && !known.includes(privilege))
  if (unknown !== undefined) {
    throw usage(`${path}: a ${kind} has no privilege ${unknown}`, { hint: `use ${known.join(', ')}, or ALL` })
  }
  return kind === 'column' && upper.includes('ALL') ? [...known] : upper
}
