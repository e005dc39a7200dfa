// pure
import { AppError } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import { type DatabaseAction, type DatabasePlan, makePlan, type Planned, planned } from './actions.ts'
import { planExtensions } from './plan-extensions.ts'
import type { CurrentDatabase, DesiredDatabase, DesiredRoles } from './types.ts'

type Actions = Planned<DatabaseAction>[]

/** What must change in a database before its migrations: schemas, their owners, extensions. Pure. */
export function planDatabase(desired: DesiredRoles, name: string, current: CurrentDatabase): DatabasePlan {
  const database = findDatabase(desired, name)
  const actions = [
    ...planSchemas(database, current),
    ...closePublic(database, current),
    ...planExtensions(database, current),
  ]
  return makePlan(current.session, actions, [])
}

/** The declaration of a database. Asking for an undeclared one is a bug of the caller. */
export function findDatabase({ databases }: DesiredRoles, name: string): DesiredDatabase {
  const database = databases.find((one) => one.name === name)
  if (!database) throw new AppError('failed', `the database ${name} is not declared`)
  return database
}

/** The present owner of a schema; `pg_database_owner` means the owner of the database. */
function actualOwner(schema: { owner: string }, database: DesiredDatabase, current: CurrentDatabase): string {
  if (schema.owner !== 'pg_database_owner') return schema.owner
  return fixedOwner(database, current) ?? current.owner
}

/**
 * The owner that the database and its schema `public` shall have: the declared one, or the default one that we created it with
 * (then PUBLIC may not connect). Undefined for a database that existed before and has no declared owner.
 */
function fixedOwner({ owner, ownerFixed }: DesiredDatabase, current: CurrentDatabase): string | undefined {
  return ownerFixed || (!current.publicMayConnect && current.owner === owner) ? owner : undefined
}

/** The owner of a schema after the plan is applied; undefined when the schema neither exists nor is declared. */
export function schemaOwner(name: string, database: DesiredDatabase, current: CurrentDatabase): string | undefined {
  const declared = database.schemas.find((schema) => schema.name === name)
  const existing = current.schemas.find((schema) => schema.name === name)
  if (!existing && (!declared || declared.implied)) return undefined
  const wanted = declared && (declared.owner ?? fixedOwner(database, current))
  return wanted ?? (existing ? actualOwner(existing, database, current) : current.owner)
}

function planSchemas(database: DesiredDatabase, current: CurrentDatabase): Actions {
  return database.schemas.flatMap(({ name }): Actions => {
    const wanted = schemaOwner(name, database, current)
    const existing = current.schemas.find((schema) => schema.name === name)
    if (wanted === undefined) return []
    if (!existing) {
      const create = { do: 'create schema', schema: name, owner: wanted } as const
      return [planned(create, 'create', `schema ${name}`, 'does not exist')]
    }
    const actual = actualOwner(existing, database, current)
    if (actual === wanted) return []
    const own = { do: 'own schema', schema: name, owner: wanted } as const
    return [planned(own, 'alter', `schema ${name}`, `owner is ${actual}, declared ${wanted}`)]
  })
}

/**
 * Up to PostgreSQL 14 everyone may create objects in `public`. This privilege is revoked where PUBLIC may not even connect, that is in
 * databases that we create; in a database that existed before, only if declared.
 */
function closePublic(database: DesiredDatabase, current: CurrentDatabase): Actions {
  const close = database.closed
    ? openSchemas(database, current)
    : openSchemas(database, current).filter((name) => name === 'public' && !current.publicMayConnect)
  return close.map((schema) =>
    planned(
      { do: 'close schema', schema },
      'revoke',
      `CREATE on schema ${schema} from PUBLIC`,
      'everyone may create objects there',
    ),
  )
}

/** Of `public` and the declared schemas, those in which everyone may create objects, unless that is declared for PUBLIC. */
function openSchemas({ covered, grants }: DesiredDatabase, { schemas }: CurrentDatabase): string[] {
  const ofPublic = grants.filter(({ grantee, kind }) => grantee === 'PUBLIC' && kind === 'schema')
  const meant = new Set(
    ofPublic
      .filter(({ privileges }) => privileges.some((one) => one === 'CREATE' || one === 'ALL'))
      .map((one) => one.schema),
  )
  const looked = new Set(['public', ...covered])
  return schemas
    .filter(({ name, publicMayCreate }) => publicMayCreate && looked.has(name) && !meant.has(name))
    .map(({ name }) => name)
}

/** Advice on schemas of an existing database in which everyone may create objects: the default up to PostgreSQL 14. */
export const adviceOnOpenSchemas = (desired: DesiredRoles, name: string, current: CurrentDatabase): string[] =>
  openSchemas(findDatabase(desired, name), current).map(
    (schema) =>
      `everyone may create objects in schema ${schema} of database ${name}, even users with the preset readonly: revoke create on schema ${quoteIdent(schema)} from public, or declare databases.${name}.schemaCreate: revoke`,
  )
