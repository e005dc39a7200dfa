// pure
import type { ClusterAction, DatabaseAction, Planned } from './actions.ts'
import { type DatabaseFacts, type Need, needsOfCluster, needsOfDatabase, type Upcoming } from './needs.ts'
import type { Rights, RightsQuestion } from './rights.ts'
import type { DesiredRoles } from './types.ts'

type Action = ClusterAction | DatabaseAction

/** A planned action. `database` null: on the server as a whole. */
export type Item<A extends Action = Action> = { database: string | null; planned: Planned<A> }

/** An action for an administrator. `why`: what we lack; null for what others of these actions need. */
export type Theirs = Item & { why: string | null }

/** Who does what. */
export type Division = {
  ours: Item[]
  /** In the order of the plan; empty when we can do everything. */
  theirs: Theirs[]
  /** The owners of databases whose members we have to be, and which the script of an administrator grants to us. */
  lacking: string[]
  /** The roles that we have to become members of for an action, which we can do ourselves. */
  joins: Map<Planned<Action>, string[]>
  /** Those of them that stay: the owners of databases, with the database. */
  kept: Map<string, string>
}

export type DivisionInput = {
  desired: Pick<DesiredRoles, 'databases'>
  rights: Rights
  items: Item[]
  /** By database. */
  databases: ReadonlyMap<string, DatabaseFacts>
}

/** What to ask the server before {@link divide}. Pure. */
export function rightsQuestion({
  major,
  items,
  databases,
}: Omit<DivisionInput, 'desired' | 'rights'> & { major: number }): RightsQuestion {
  const payloads = items.map(({ planned: { payload } }) => payload)
  const owners = [...databases].flatMap(([name, { current, rights }]) => [
    name,
    current.owner,
    ...current.schemas.map(({ owner }) => owner),
    ...new Set(current.objects.map(({ owner }) => owner)),
    ...(rights?.extensions ?? []).map(({ owner }) => owner),
  ])
  return {
    major,
    names: [...new Set([...payloads.flatMap((payload) => stringsIn(payload)), ...owners])],
    settings: payloads.flatMap((payload) => (payload.do === 'set' ? [payload.setting.name] : [])),
    extensions: payloads.flatMap((payload) => ('extension' in payload ? [payload.extension] : [])),
  }
}

/** All texts in a value: names of roles and databases among others. Objects of a database are left out, but not their owners; passwords are. */
function stringsIn(value: unknown, key = ''): string[] {
  if (key === 'sent') return []
  if (typeof value === 'string') return [value]
  if (key === 'objects') return (value as { owner: string }[]).map(({ owner }) => owner)
  if (key === 'targets' || typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => stringsIn(one, name))
}

/**
 * Divides what is planned into what we can do, and what only an administrator can do, with reasons. Whatever an administrator's part
 * depends on becomes a part of it, so that it can be done first. Pure.
 */
export function divide(input: DivisionInput): Division {
  const { items, rights } = input
  const { user } = rights
  const kept = keptOwners(input)
  if (user.superuser) return { ours: items, theirs: [], lacking: [], joins: new Map(), kept }
  const judged = judge(input, kept)
  const theirs = new Map<Item, string | null>(
    judged.flatMap(({ item, lacks }) => (lacks.length > 0 ? [[item, lacks.join(' and ')] as const] : [])),
  )
  addWhatTheyNeed(items, theirs)
  const ours = items.filter((item) => !theirs.has(item))
  const joins = new Map(
    judged.flatMap(({ item, joins }) => (joins.length > 0 && !theirs.has(item) ? [[item.planned, joins]] : [])),
  )
  const lacking = judged.flatMap((one) => one.lacking)
  const ofScript = new Set([...theirs.keys()].flatMap((item) => made(item)))
  const exists = (role: string) => rights.roles.some(({ name }) => name === role) || ofScript.has(thing('role', role))
  const involved = [...kept.keys()].filter((role) => !actsAs(rights, role) && exists(role))
  return {
    ours,
    theirs: items.flatMap((item) => (theirs.has(item) ? [{ ...item, why: theirs.get(item) ?? null }] : [])),
    lacking: [...new Set(theirs.size > 0 ? [...lacking, ...involved] : lacking)].sort(),
    joins,
    kept,
  }
}

type Judged = { item: Item; lacks: string[]; joins: string[]; lacking: string[] }

function judge(input: DivisionInput, kept: ReadonlyMap<string, string>): Judged[] {
  const { items, rights, databases } = input
  const upcoming = comingOwners(input)
  const created = new Set(
    items.flatMap(({ planned: { payload } }) => (payload.do === 'create role' ? [payload.role] : [])),
  )
  const abilities = abilitiesOf(rights, {
    created,
    above: comingMembers(items, rights.user.name),
    replicating: comingReplicators(items),
  })
  return items.map((item): Judged => {
    const { database, planned } = item
    const needs =
      database === null
        ? needsOfCluster(planned.payload as ClusterAction, rights, upcoming)
        : needsOfDatabase(database, planned.payload as DatabaseAction, {
            rights,
            database: databases.get(database)!,
            upcoming,
          })
    const judged: Judged = { item, lacks: [], joins: [], lacking: [] }
    for (const need of needs) {
      if (need.is !== 'act') {
        judged.lacks.push(...abilities.lacks(need))
        continue
      }
      const how = abilities.act(need.role)
      if (how === 'join') judged.joins.push(need.role)
      else if (how !== 'already' && kept.has(need.role) && how !== 'never') judged.lacking.push(need.role)
      else if (how !== 'already') judged.lacks.push(`it cannot act as ${need.role}`)
    }
    return { ...judged, lacks: [...new Set(judged.lacks)], joins: [...new Set(judged.joins)] }
  })
}

/** The owners that the plan gives to databases and schemas. */
function comingOwners({ items, rights, databases }: DivisionInput): Upcoming {
  const ofDatabases = new Map([
    ...rights.databases.map(({ name, owner }): [string, string] => [name, owner]),
    ...[...databases]
      .filter(([name]) => !rights.databases.some((one) => one.name === name))
      .map(([name, { current }]): [string, string] => [name, current.owner]),
  ])
  const ofSchemas = new Map<string, string>()
  for (const { database, planned } of items) {
    const { payload } = planned
    if (payload.do === 'create database' || payload.do === 'own database')
      ofDatabases.set(payload.database, payload.owner)
    if (payload.do === 'create schema' || payload.do === 'own schema')
      ofSchemas.set(schemaKey(database, payload.schema), payload.owner)
    if (payload.do === 'reassign' && payload.word === 'schema')
      for (const { schema } of payload.objects) ofSchemas.set(schemaKey(database, schema!), payload.owner)
  }
  return {
    ownerOf: (name) => ofDatabases.get(name),
    schemaOwner: (database, schema) => ofSchemas.get(schemaKey(database, schema)),
  }
}

const schemaKey = (database: string | null, schema: string) => JSON.stringify([database, schema])

/** Roles that the plan makes members of ours. */
const comingMembers = (items: Item[], us: string) =>
  new Set(
    items.flatMap(({ planned: { payload } }) =>
      payload.do === 'grant role' && payload.role === us ? [payload.member] : [],
    ),
  )

/** Roles that the plan gives REPLICATION. */
const comingReplicators = (items: Item[]) =>
  new Set(
    items.flatMap(({ planned: { payload } }) =>
      payload.do === 'alter role' && payload.attribute === 'replication' && payload.value ? [payload.role] : [],
    ),
  )

/** The declared owners of the databases that the plan concerns, each with a database: whoever manages one acts as its owner. */
function keptOwners({ desired, items, rights }: DivisionInput): Map<string, string> {
  const kept = new Map<string, string>()
  const owners = desired.databases.map(({ name, owner, ownerFixed }) => {
    const existing = rights.databases.find((one) => one.name === name)
    return { name, owner: existing && !ownerFixed ? existing.owner : owner }
  })
  for (const { database, planned } of items)
    for (const { name, owner } of owners) {
      const { payload } = planned
      const concerns =
        database === name ||
        ('database' in payload && payload.database === name) ||
        (payload.do === 'create role' && payload.role === owner)
      const known = rights.roles.find((role) => role.name === owner)
      if (concerns && !known?.superuser && !known?.above && owner !== rights.user.name && !kept.has(owner))
        kept.set(owner, name)
    }
  return kept
}

const actsAs = ({ roles, user }: Rights, role: string) =>
  role === user.name || (roles.find(({ name }) => name === role)?.acts ?? false)

/** What we can do with roles. `created`: the roles that the plan creates; their creator has ADMIN. */
function abilitiesOf(
  rights: Rights,
  { created, above, replicating }: { created: Set<string>; above: Set<string>; replicating: Set<string> },
) {
  const { user, major } = rights
  const known = new Map(rights.roles.map((role) => [role.name, role]))
  const admin = (role: string) => {
    const found = known.get(role)
    if (found?.superuser) return false
    if (found?.admin || (major < 16 && user.createRole)) return true
    return found === undefined && created.has(role) && user.createRole
  }
  return {
    /** How we come to have the rights of a role: `script` when an administrator makes us a member, `never` for roles that we must not become. */
    act(role: string): 'already' | 'join' | 'script' | 'never' {
      const found = known.get(role)
      if (actsAs(rights, role)) return 'already'
      if (found?.superuser || found?.above || above.has(role) || (major < 16 && !user.inherits)) return 'never'
      return admin(role) ? 'join' : 'script'
    },
    lacks(need: Exclude<Need, { is: 'act' }>): string[] {
      if (need.is === 'superuser') return [`only a superuser may: ${need.why}`]
      if (need.is === 'attribute') return hasAttribute(user, need.attribute) ? [] : [`it lacks ${need.attribute}`]
      if (need.is === 'manage' && need.own && need.role === user.name) return []
      const found = known.get(need.role)
      if (found?.superuser) return [`${need.role} is a superuser`]
      if (need.is === 'manage' && !user.createRole) return ['it lacks CREATEROLE']
      if (need.is === 'manage' && major < 16 && (found?.replication || replicating.has(need.role)))
        return [`${need.role} has REPLICATION`]
      return admin(need.role) ? [] : [major < 16 ? 'it lacks CREATEROLE' : `it lacks ADMIN on ${need.role}`]
    },
  }
}

const hasAttribute = (user: Rights['user'], attribute: 'CREATEROLE' | 'CREATEDB' | 'BYPASSRLS') =>
  ({ CREATEROLE: user.createRole, CREATEDB: user.createDatabase, BYPASSRLS: user.bypassRls })[attribute]

/** What an administrator's statements name must exist by then: whatever creates it becomes theirs as well. */
function addWhatTheyNeed(items: Item[], theirs: Map<Item, string | null>): void {
  const makers = new Map(items.flatMap((item) => made(item).map((thing): [string, Item] => [thing, item])))
  for (const item of theirs.keys())
    for (const thing of used(item)) {
      const maker = makers.get(thing)
      if (maker && !theirs.has(maker)) theirs.set(maker, null)
    }
}

const thing = (...parts: (string | null)[]) => JSON.stringify(parts)

function made({ database, planned: { payload } }: Item): string[] {
  if (payload.do === 'create role') return [thing('role', payload.role)]
  if (payload.do === 'create database') return [thing('database', payload.database)]
  return payload.do === 'create schema' ? [thing('schema', database, payload.schema)] : []
}

function used({ database, planned: { payload } }: Item): string[] {
  const { role, member, owner, creator, grantee, grantor, schema, targets, ...rest } = payload as Record<
    string,
    unknown
  >
  const setting = payload.do === 'set' ? payload.setting : undefined
  const value = setting?.name.toLowerCase() === 'role' ? setting.value : undefined
  const texts = (values: unknown[]) => values.filter((one) => typeof one === 'string')
  const databases = texts([database, rest.database, setting?.database])
  const schemas = texts([
    schema,
    ...((targets as { schema: string }[] | undefined) ?? []).map((target) => target.schema),
  ])
  return [
    ...(payload.do === 'create role'
      ? []
      : texts([role, member, owner, creator, grantee, grantor, setting?.role, value]).map((name) =>
          thing('role', name),
        )),
    ...(payload.do === 'create database' ? [] : databases.map((name) => thing('database', name))),
    ...(payload.do === 'create schema' ? [] : schemas.map((name) => thing('schema', database, name))),
  ]
}
