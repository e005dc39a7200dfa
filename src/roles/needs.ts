// pure
import type { ClusterAction, DatabaseAction, GrantTarget } from './actions.ts'
import type { DatabaseRights, Rights } from './rights.ts'
import type { CurrentDatabase, GrantableKind, OwnedObject } from './types.ts'

/** What somebody who is no superuser needs for an action. */
export type Need =
  /** Only a superuser may do it. `why`: half a sentence. */
  | { is: 'superuser'; why: string }
  | { is: 'attribute'; attribute: 'CREATEROLE' | 'CREATEDB' | 'BYPASSRLS' }
  /** To alter the role. `own`: enough that it is our own. */
  | { is: 'manage'; role: string; own?: boolean }
  /** To make others members of the role. */
  | { is: 'admin'; role: string }
  /** To have the rights of the role, and SET ROLE to it. */
  | { is: 'act'; role: string }

/** What is known of a database. A new one has no rights yet. */
export type DatabaseFacts = { current: CurrentDatabase; rights: DatabaseRights | undefined }

/** What is planned elsewhere, and changes what an action needs. */
export type Upcoming = {
  /** The owner of a database after the plan was applied; undefined for one that nothing is known of. */
  ownerOf(database: string): string | undefined
  /** The owners of schemas that the plan creates or gives away. */
  schemaOwner(database: string, schema: string): string | undefined
}

const superuser = (why: string): Need[] => [{ is: 'superuser', why }]
const act = (...roles: (string | undefined)[]): Need[] =>
  roles.flatMap((role): Need[] =>
    role === undefined ? superuser('nobody else knows its owner') : [{ is: 'act', role }],
  )

/** What an action on the whole server needs. Unknown actions need a superuser. Pure. */
export function needsOfCluster(action: ClusterAction, rights: Rights, { ownerOf }: Upcoming): Need[] {
  const present = (name: string) => rights.databases.find((database) => database.name === name)?.owner
  switch (action.do) {
    case 'join':
    case 'leave':
      return []
    case 'drop leftover':
      return act(present(action.database))
    case 'create role':
      return [{ is: 'attribute', attribute: 'CREATEROLE' }]
    case 'alter role':
      return toAlter(action, rights)
    case 'limit role':
    case 'expire role':
      return [{ is: 'manage', role: action.role }]
    case 'set password':
      return [{ is: 'manage', role: action.role, own: true }]
    case 'grant role':
      return [{ is: 'admin', role: action.role }, ...asGrantor(action.grantor)]
    case 'revoke role':
      return action.impossible ? [] : [{ is: 'admin', role: action.role }, ...asGrantor(action.grantor)]
    case 'set': {
      const { role, database, name } = action.setting
      return [
        ...(role === null ? act(ownerOf(database!)) : [{ is: 'manage', role, own: true } as const]),
        ...(rights.settings.includes(name.toLowerCase()) ? [] : superuser(`the setting ${name} takes it`)),
      ]
    }
    case 'create database': {
      const { template = 'template0' } = action.create
      const known = rights.databases.find(({ name }) => name === template)
      return [
        { is: 'attribute', attribute: 'CREATEDB' },
        ...act(action.owner),
        ...(known && !known.mayCopy ? act(known.owner) : []),
      ]
    }
    case 'own database':
      return [{ is: 'attribute', attribute: 'CREATEDB' }, ...act(present(action.database), action.owner)]
    case 'limit database':
    case 'grant on database':
      return act(ownerOf(action.database))
    case 'revoke on database':
      return action.impossible ? [] : act(action.grantor ?? ownerOf(action.database))
    default:
      return superuser('it is not known who else may')
  }
}

/** From PostgreSQL 16 on, only who has CREATEDB gives it. REPLICATION is left to superusers, which it is up to 15. */
function toAlter({ role, attribute }: Extract<ClusterAction, { do: 'alter role' }>, rights: Rights): Need[] {
  if (attribute === 'bypassrls') return toBypass(role, rights)
  if (attribute === 'replication') return superuser('REPLICATION takes it')
  const own: Need[] = attribute === 'createdb' && rights.major >= 16 ? [{ is: 'attribute', attribute: 'CREATEDB' }] : []
  return [...own, { is: 'manage', role }]
}

/** Only a superuser changes BYPASSRLS up to 15; from 16 on also who has it. */
const toBypass = (role: string, { major }: Rights): Need[] =>
  major < 16
    ? superuser('BYPASSRLS takes it up to PostgreSQL 15')
    : [
        { is: 'attribute', attribute: 'BYPASSRLS' },
        { is: 'manage', role },
      ]

const asGrantor = (grantor: string | null): Need[] => (grantor === null ? [] : act(grantor))

/** What an action in a database needs. Unknown actions need a superuser. Pure. */
export function needsOfDatabase(
  name: string,
  action: DatabaseAction,
  { rights, database, upcoming }: { rights: Rights; database: DatabaseFacts; upcoming: Upcoming },
): Need[] {
  const { current } = database
  const owner = upcoming.ownerOf(name) ?? current.owner
  const resolved = (role: string) => (role === 'pg_database_owner' ? owner : role)
  const presentOwner = (schema: string) => current.schemas.find((one) => one.name === schema)?.owner
  const ownerOfSchema = (schema: string) => {
    const found = upcoming.schemaOwner(name, schema) ?? presentOwner(schema)
    return found && resolved(found)
  }
  const creating = rights.databases.some((one) => one.name === name && one.mayCreate) ? [] : act(owner)
  const inSchema = (schema: string) => (database.rights?.usable.includes(schema) ? [] : act(ownerOfSchema(schema)))
  const allowed = (extension: string) =>
    rights.extensions.some((one) => one.name === extension && !one.allowed)
      ? superuser(`the extension ${extension} is not a trusted one`)
      : []

  const ownerOf = (extension: string) => database.rights?.extensions.find((one) => one.name === extension)?.owner

  switch (action.do) {
    case 'join':
    case 'leave':
      return []
    case 'create schema':
      return [...creating, ...act(action.owner)]
    case 'own schema': {
      const present = presentOwner(action.schema)
      return [...creating, ...act(present && resolved(present), action.owner)]
    }
    case 'close schema':
      return act(ownerOfSchema(action.schema))
    case 'reassign':
      return [
        ...act(...new Set(action.objects.map((object) => object.owner)), action.owner),
        ...(action.word === 'schema' ? creating : []),
        ...(action.objects.every((object) => receives(action.owner, object, ownerOfSchema))
          ? []
          : superuser(`${action.owner} may not create such objects there`)),
      ]
    case 'create extension':
      return [...creating, ...allowed(action.extension)]
    case 'update extension':
      return [...act(ownerOf(action.extension)), ...allowed(action.extension)]
    case 'drop extension':
      return action.impossible ? [] : act(ownerOf(action.extension))
    case 'move extension':
      return superuser('the objects of an extension belong to one')
    case 'grant':
      return [...act(...ownersOf(action, current, ownerOfSchema)), ...namesOf(action).flatMap(inSchema)]
    case 'revoke':
      if (action.impossible) return []
      return [
        ...(action.grantor === null ? act(...ownersOf(action, current, ownerOfSchema)) : act(action.grantor)),
        ...namesOf(action).flatMap(inSchema),
      ]
    case 'grant default':
    case 'revoke default':
      return act(action.creator)
    default:
      return superuser('it is not known who else may')
  }
}

/** The new owner of an object must be able to create it where it is. */
const receives = (
  owner: string,
  { type, schema }: OwnedObject,
  ownerOfSchema: (schema: string) => string | undefined,
) => (schema === null ? type === 'large object' : type === 'schema' || ownerOfSchema(schema) === owner)

type Targets = { kind: GrantableKind; targets: GrantTarget[] }

/** The schemas whose USAGE it takes to name the objects. */
const namesOf = ({ kind, targets }: Targets) =>
  kind === 'schema' ? [] : [...new Set(targets.flatMap(({ schema }) => schema ?? []))]

function ownersOf(
  { kind, targets }: Targets,
  { objects }: CurrentDatabase,
  ownerOfSchema: (schema: string) => string | undefined,
): Set<string | undefined> {
  if (kind === 'schema') return new Set(targets.map(({ name }) => ownerOfSchema(name)))
  const key = (one: GrantTarget) => JSON.stringify([one.schema, one.name, one.arguments])
  const owners = new Map(objects.filter((one) => one.kind === kind).map((one) => [key(one), one.owner]))
  return new Set(targets.map((target) => owners.get(key(target))))
}
