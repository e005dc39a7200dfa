// pure

import { ofOneKind } from '../plan.ts'
import { counted, someOf } from '../units.ts'
import { type DatabaseAction, exactRoles, type GrantsPlan, makePlan, type Planned } from './actions.ts'
import { describeOthers, planSurplus } from './passed-on.ts'
import { findDatabase, schemaOwner } from './plan-database.ts'
import { planDefaults } from './plan-defaults.ts'
import { spelledOut } from './privileges.ts'
import type {
  AclEntry,
  CurrentDatabase,
  CurrentObject,
  DesiredDatabase,
  DesiredGrant,
  DesiredRoles,
  GrantableKind,
} from './types.ts'

type Actions = Planned<DatabaseAction>[]

/**
 * The privileges to grant and to revoke in a database, on existing and on future objects. Pure.
 * Only revokes from roles that we manage, in covered schemas, and never an owner's own privileges.
 */
export function planGrants(desired: DesiredRoles, name: string, current: CurrentDatabase): GrantsPlan {
  const database = withReaders(desired, findDatabase(desired, name), current)
  const exact = exactRoles(desired)
  exact.delete(current.owner)
  const defaults = planDefaults(desired, database, current, exact)
  const wanted = wantedPrivileges(database, current)
  const verdicts = judge(wanted, database, current, exact)
  return makePlan(
    current.session,
    [...planMissing(wanted, verdicts), ...defaults.grants, ...planRevokes(verdicts), ...defaults.revokes],
    [unmatchedNames(database, current), unexpectedCreators(database, current)].flatMap(ofOneKind),
  )
}

/** Up to PostgreSQL 13 there is no role that reads everything, so grants in every schema are needed, even in undeclared ones. */
function withReaders({ readAll }: DesiredRoles, database: DesiredDatabase, current: CurrentDatabase): DesiredDatabase {
  if (current.major >= 14) return database
  const grants = readAll.flatMap((grantee) =>
    current.schemas.flatMap(({ name: schema }): DesiredGrant[] => [
      { schema, kind: 'schema', names: null, grantee, privileges: ['USAGE'] },
      { schema, kind: 'table', names: null, grantee, privileges: ['SELECT'] },
      { schema, kind: 'sequence', names: null, grantee, privileges: ['SELECT'] },
    ]),
  )
  return { ...database, grants: [...database.grants, ...grants] }
}

/** Per object, the declared privileges of each grantee. */
type Wanted = Map<CurrentObject, Map<string, Set<string>>>

function wantedPrivileges({ grants }: DesiredDatabase, { objects, major }: CurrentDatabase): Wanted {
  const wanted: Wanted = new Map(objects.map((object) => [object, new Map()]))
  for (const grant of grants) {
    const privileges = spelledOut(grant.kind, grant.privileges, major)
    for (const object of objects) {
      if (!matches(grant, object)) continue
      const grantees = wanted.get(object)!
      grantees.set(grant.grantee, new Set([...(grantees.get(grant.grantee) ?? []), ...privileges]))
    }
  }
  return wanted
}

const matches = ({ kind, schema, names }: DesiredGrant, object: CurrentObject): boolean =>
  object.column === null &&
  object.kind === kind &&
  object.schema === schema &&
  (names === null || names.includes(object.name) || names.includes(`${object.name}(${object.arguments})`))

/** Grants what is missing. That includes privileges that are revoked together with the grant option they came from: the owner grants them again. */
function planMissing(wanted: Wanted, verdicts: Verdicts): Actions {
  const groups = new Map<string, Group>()
  for (const [object, { stays }] of verdicts) {
    for (const [grantee, privileges] of wanted.get(object)!) {
      if (grantee === object.owner) continue
      const held = new Set(stays.filter((entry) => entry.grantee === grantee).map(({ privilege }) => privilege))
      const missing = [...privileges].filter((privilege) => !held.has(privilege)).sort()
      if (missing.length > 0) addTo(groups, [object.kind, object.schema, grantee, missing], object)
    }
  }
  return [...groups.values()].map(({ key: [kind, schema, grantee, privileges], objects }) => ({
    change: {
      action: 'grant',
      object: `${privileges.join(', ')} on ${inWords(kind, schema, objects)} to ${grantee}`,
      reason: objects.length === 1 ? 'is missing' : `is missing on ${shortList(objects)}`,
    },
    payload: { do: 'grant', kind, targets: objects.map(target), grantee, privileges },
  }))
}

/** Per object, what must be revoked and what stays. */
type Verdicts = Map<CurrentObject, ReturnType<typeof planSurplus>>

/**
 * Privileges in schemas that are not declared are left alone. Revoking a privilege on a table also revokes it on its columns, so if it must
 * stay on a column, it stays on the table.
 */
function judge(
  wanted: Wanted,
  { covered }: DesiredDatabase,
  { objects }: CurrentDatabase,
  exact: Set<string>,
): Verdicts {
  const rolesIn = (schema: string) => (covered.includes(schema) ? exact : new Set<string>())
  const held = new Map<string, string[]>()
  const keyOf = ({ schema, name }: CurrentObject, { grantee, privilege, grantor }: AclEntry) =>
    JSON.stringify([schema, name, grantee, privilege, grantor])
  for (const object of objects.filter(({ column }) => column !== null))
    for (const { entry, keptBy } of planSurplus(object.acl, { exact: rolesIn(object.schema), isDeclared: () => false })
      .surplus)
      held.set(keyOf(object, entry), [...(held.get(keyOf(object, entry)) ?? []), ...keptBy])
  return new Map(
    objects.map((object) => {
      const isDeclared = (grantee: string, privilege: string) =>
        wanted.get(object)?.get(grantee)?.has(privilege) ?? false
      const heldBy = (entry: AclEntry) =>
        object.kind === 'table' && object.column === null ? (held.get(keyOf(object, entry)) ?? []) : []
      return [object, planSurplus(object.acl, { exact: rolesIn(object.schema), isDeclared, heldBy })]
    }),
  )
}

function planRevokes(verdicts: Verdicts): Actions {
  const groups = new Map<string, Group>()
  for (const [object, { surplus }] of verdicts)
    for (const { entry, optionOnly, passedOn, keptBy } of surplus) {
      const { grantee, privilege } = entry
      const key: Key = [
        object.kind,
        object.schema,
        grantee,
        [privilege],
        grantorOf(entry, object),
        object.column,
        optionOnly,
        passedOn,
        keptBy,
      ]
      addTo(groups, key, object)
    }
  // Grants by other roles are revoked first, because they may depend on grants by the owner; columns before tables, which would include them.
  const order = ({ key }: Group) => (key[4] === null ? 2 : 0) + (key[5] === null ? 1 : 0)
  return [...groups.values()]
    .toSorted((a, b) => order(a) - order(b))
    .map(
      ({
        key: [
          kind,
          schema,
          grantee,
          privileges,
          grantor = null,
          column = null,
          optionOnly = false,
          passedOn = [],
          keptBy = [],
        ],
        objects,
      }) => ({
        change: {
          action: 'revoke',
          object: `${optionOnly ? 'the grant option of ' : ''}${privileges.join(', ')} on ${column === null ? '' : `column ${column} of `}${inWords(kind, schema, objects)} from ${grantee}`,
          reason: [
            objects.length === 1 ? 'is not declared' : `is not declared on ${shortList(objects)}`,
            ...describeOthers({ grantee, passedOn, keptBy }),
          ].join('; '),
        },
        payload: {
          do: 'revoke',
          kind,
          targets: objects.map(target),
          grantee,
          privileges,
          grantor,
          column,
          optionOnly,
          cascade: passedOn.length > 0,
          impossible: keptBy.length > 0,
        },
      }),
    )
}

const grantorOf = ({ grantor }: AclEntry, { owner }: CurrentObject) => (grantor === owner ? null : grantor)

type Key = [
  kind: GrantableKind,
  schema: string,
  grantee: string,
  privileges: string[],
  grantor?: string | null,
  column?: string | null,
  optionOnly?: boolean,
  passedOn?: string[],
  keptBy?: string[],
]
type Group = { key: Key; objects: CurrentObject[] }

/** Groups objects that one statement can name together, in the order of the first object of each group. */
function addTo(groups: Map<string, Group>, key: Key, object: CurrentObject): void {
  const text = JSON.stringify(key)
  const group = groups.get(text)
  if (group) group.objects.push(object)
  else groups.set(text, { key, objects: [object] })
}

const target = ({ schema, name, arguments: types }: CurrentObject) => ({ schema, name, arguments: types })

const label = ({ name, arguments: types }: CurrentObject) => (types === null ? name : `${name}(${types})`)

function inWords(kind: GrantableKind, schema: string, objects: CurrentObject[]): string {
  if (kind === 'schema') return `schema ${schema}`
  return objects.length === 1
    ? `${kind} ${schema}.${label(objects[0]!)}`
    : `${counted(objects.length, kind)} in ${schema}`
}

const shortList = (objects: CurrentObject[]): string => someOf(objects.map(label), ', ', 5)

const unmatchedNames = ({ name, grants }: DesiredDatabase, { objects }: CurrentDatabase): string[] =>
  grants.flatMap((grant) =>
    (grant.names ?? [])
      .filter((one) => !objects.some((object) => matches({ ...grant, names: [one] }, object)))
      .map(
        (one) =>
          `database ${name} has no ${grant.kind} ${grant.schema}.${one}, but a grant to ${grant.grantee} names it`,
      ),
  )

/** Roles that may create objects that no default privileges are declared for. */
function unexpectedCreators(database: DesiredDatabase, current: CurrentDatabase): string[] {
  return current.objects.flatMap((object) => {
    const defaults = database.defaults.filter(({ schema }) => schema === object.name)
    if (object.kind !== 'schema' || defaults.length === 0) return []
    const expected = new Set([
      schemaOwner(object.name, database, current),
      ...defaults.flatMap(({ creators }) => creators ?? []),
    ])
    return object.acl
      .filter(({ privilege, grantee }) => privilege === 'CREATE' && grantee !== 'PUBLIC' && !expected.has(grantee))
      .map(
        ({ grantee }) =>
          `${grantee} may create objects in schema ${object.name}, but no default privileges are declared for them: add ${grantee} to \`creators\``,
      )
  })
}
