// pure
import { AppError } from '../errors.ts'
import { ofOneKind, type Warning } from '../plan.ts'
import { counted, someOf } from '../units.ts'
import { type DatabaseAction, type Planned, planned } from './actions.ts'
import type { Ownership, OwnershipQuestion, UnusableObject } from './ownership.ts'
import { spelledOut } from './privileges.ts'
import type {
  CurrentCatalog,
  CurrentCluster,
  DesiredDatabase,
  DesiredGrant,
  DesiredRoles,
  OwnedObject,
} from './types.ts'

/** The role that the sessions of an application's users start as, in one database. */
export type AppSessions = {
  role: string
  /** The users with the preset `app` in that database. */
  users: string[]
  /** Whether their sessions start as that role already, because of an earlier run. */
  settled: boolean
}

/** The sessions of a database's applications, by the role that they start as. Pure. */
export function appSessions(desired: DesiredRoles, { name, apps, owner }: DesiredDatabase, current: CurrentCatalog) {
  const roleOf = (
    user: string,
    settings: { role: string | null; database: string | null; name: string; value: unknown }[],
  ) => {
    const own = settings.filter((one) => one.role === user && one.name.toLowerCase() === 'role')
    const value = (own.find(({ database }) => database === name) ?? own.find(({ database }) => database === null))
      ?.value
    return typeof value === 'string' ? value : user
  }
  const databaseOwner = current.databases.find((database) => database.name === name)?.owner
  const sessions = apps.map((user) => {
    const role = roleOf(user, desired.settings)
    const settled = role === user ? databaseOwner === owner : roleOf(user, current.settings) === role
    return { user, role, settled }
  })
  return [...Map.groupBy(sessions, ({ role }) => role)].map(
    ([role, of]): AppSessions => ({
      role,
      users: of.map(({ user }) => user),
      settled: of.every(({ settled }) => settled),
    }),
  )
}

/** What to read in a database before anything is changed; undefined when nothing depends on who owns what. Pure. */
export function ownershipQuestion(
  desired: DesiredRoles,
  { owner, reassign, apps }: DesiredDatabase,
  sessions: AppSessions | undefined,
): OwnershipQuestion | undefined {
  if (!sessions && !reassign) return undefined
  const role = sessions?.role ?? owner
  return {
    roles: withMemberships(desired, role, role === owner ? ['pg_database_owner'] : []),
    users: sessions?.users ?? [],
    memberOf: (sessions?.users ?? []).flatMap((user) =>
      withMemberships(desired, user, []).filter((one) => one !== user),
    ),
    from: reassign?.from ?? [],
    to: owner,
    toRoles: withMemberships(desired, owner, ['pg_database_owner']),
    heirs: apps,
  }
}

/** A role, and the roles it is declared to be a member of, directly or through others. */
function withMemberships({ memberships }: DesiredRoles, role: string, more: string[]): string[] {
  const found = new Set([role])
  for (const name of found)
    for (const one of memberships) if (one.member === name && one.inherit !== false) found.add(one.role)
  return [...found, ...more]
}

/** The objects that an application would not be able to use. */
export type LockOut = {
  database: string
  sessions: AppSessions
  objects: UnusableObject[]
}

/**
 * The objects that the users of an application cannot use as the role that their sessions start as, after the plan is applied; undefined
 * when they can use everything. Pure.
 *
 * That is: objects that they can use today, and objects in the declared schemas, or in `public`, on which the role has no privilege.
 */
export function findLockOut(
  desired: DesiredRoles,
  database: DesiredDatabase,
  sessions: AppSessions,
  { unusable, owned }: Ownership,
  major: number,
): LockOut | undefined {
  const roles = new Set([...withMemberships(desired, sessions.role, []), 'PUBLIC'])
  const moves = new Set(owned.filter(({ bound }) => !bound).map(({ owner }) => owner))
  const becomesOwners = database.owner === sessions.role
  const schemas = new Set(database.covered)
  const objects = unusable.flatMap((object) => {
    if (becomesOwners && (moves.has(object.owner) || schemaBecomesOurs(object, database, sessions.role))) return []
    const granted = grantedTo(roles, database.grants, object, major)
    const lost = object.lost.filter((privilege) => !granted.has(privilege))
    const closed = object.closed && granted.size === 0 && schemas.has(object.schema)
    return lost.length > 0 || closed ? [{ ...object, lost, closed }] : []
  })
  return objects.length > 0 ? { database: database.name, sessions, objects } : undefined
}

const schemaBecomesOurs = ({ kind, name }: UnusableObject, { schemas }: DesiredDatabase, role: string) =>
  kind === 'schema' && schemas.some((schema) => schema.name === name && (schema.owner ?? role) === role)

function grantedTo(roles: Set<string>, grants: DesiredGrant[], object: UnusableObject, major: number): Set<string> {
  const label = `${object.name}(${object.arguments})`
  return new Set(
    grants
      .filter(({ kind, schema, names, grantee, columns, absent }) => {
        const named = names === null || names.includes(object.name) || names.includes(label)
        return !columns && !absent && roles.has(grantee) && kind === object.kind && schema === object.schema && named
      })
      .flatMap(({ kind, privileges }) => spelledOut(kind, privileges, major)),
  )
}

/**
 * Whether a run must refuse: it would take away something that an application can use, or give it a role that cannot use what exists.
 * A new object of another owner, in a database that is already in use, is only reported: a refused run would stop the application.
 */
export const mustRefuse = ({ sessions, objects }: LockOut): boolean =>
  !sessions.settled || objects.some(({ ofUsers, lost }) => ofUsers && lost.length > 0)

/** `2 tables of legacy (public.a, public.b), 1 sequence of legacy (public.s)` */
function inWords(objects: UnusableObject[]): string {
  const groups = Map.groupBy(objects, ({ kind, owner }) => JSON.stringify([kind, owner]))
  return someOf(
    [...groups.values()].map((group) => {
      const [{ kind, owner }] = group as [UnusableObject]
      return `${counted(group.length, kind)} of ${owner} (${someOf(group.map(label))})`
    }),
  )
}

const label = ({ kind, schema, name, arguments: types }: UnusableObject) =>
  kind === 'schema' ? name : `${schema}.${name}${types === null ? '' : `(${types})`}`

/** One sentence, for `check` and for warnings. */
export const describeLockOut = ({ database, sessions: { role, users, settled }, objects }: LockOut): string =>
  settled
    ? `sessions of ${someOf(users)} in database ${database} start as ${role}, which cannot use ${inWords(objects)}`
    : `${someOf(users)} would be locked out of database ${database}: sessions start as ${role}, which cannot use ${inWords(objects)}`

/** Exit 12, before anything is changed. */
export function lockedOut(lockOut: LockOut, owner: string): AppError {
  const owners = [...new Set(lockOut.objects.map((object) => object.owner))]
  const list = `[${owners.join(', ')}]`
  const path = `databases.${lockOut.database}`
  const [only] = lockOut.sessions.users
  const own =
    owners.length === 1 && owners[0] === only && owner !== only
      ? `set \`${path}.owner: ${only}\` to leave it the owner; or `
      : ''
  return new AppError('refused', describeLockOut(lockOut), {
    report: {
      objects: lockOut.objects.map(
        ({ kind, owner, ...object }) => `${kind} ${label({ kind, owner, ...object })} of ${owner}`,
      ),
    },
    hint: `nothing was changed; ${own}set \`${path}.reassign: ${list}\` to give what ${someOf(owners, ' and ')} own${owners.length === 1 ? 's' : ''} there to ${owner}; or declare grants to ${lockOut.sessions.role} under ${path}.schemas`,
  })
}

/** A user with a preset in a database that is a superuser. */
export type SuperuserPreset = { database: string; user: string; preset: string }

/** The users with a preset in a database that are superusers. Pure. */
export function superuserPresets(desired: DesiredRoles, { roles }: CurrentCluster): SuperuserPreset[] {
  const superusers = new Set(roles.filter(({ superuser }) => superuser).map(({ name }) => name))
  return desired.databases.flatMap(({ name, apps, presets }) =>
    [...apps.map((user) => ({ user, preset: 'app' })), ...presets]
      .filter(({ user }) => superusers.has(user))
      .map((one) => ({ database: name, ...one })),
  )
}

export const describeSuperuserPreset = ({ database, user, preset }: SuperuserPreset) =>
  ['app', 'owner'].includes(preset)
    ? `${user} is a superuser and cannot have the preset ${preset} in database ${database}: whatever role its sessions start as, they can leave it`
    : `${user} is a superuser and cannot have the preset ${preset} in database ${database}: privileges do not apply to it`

/** Exit 12: for a superuser the preset would only look like least privilege. */
export const superuserPreset = (one: SuperuserPreset) =>
  new AppError('refused', describeSuperuserPreset(one), {
    hint:
      one.preset === 'app'
        ? `nothing was changed; let the application log in as a user of its own (\`databases.${one.database}.users\`), with \`databases.${one.database}.reassign: [${one.user}]\` for what ${one.user} owns there; or take SUPERUSER from ${one.user} yourself`
        : `nothing was changed; give the preset to a user of its own (\`databases.${one.database}.users\`), or take SUPERUSER from ${one.user} yourself`,
  })

type Actions = Planned<DatabaseAction>[]

/** Objects that get another owner, grouped by schema, kind and present owner. */
export type ReassignPlan = { actions: Actions; warnings: Warning[] }

/** The kinds that `pg_identify_object` gives, as ALTER … OWNER TO names them, where they differ. */
const words: Record<string, string> = {
  function: 'routine',
  procedure: 'routine',
  aggregate: 'routine',
  'statistics object': 'statistics',
}

/**
 * What `databases.D.reassign` changes. Pure.
 *
 * @throws {AppError} `refused` for objects that run with the rights of their owner, unless accepted with `definer: true`
 */
export function planReassign(
  {
    name,
    owner,
    reassign,
    schemas = [],
  }: Pick<DesiredDatabase, 'name' | 'owner' | 'reassign'> & Partial<Pick<DesiredDatabase, 'schemas'>>,
  ownership: Ownership,
): ReassignPlan {
  if (!reassign) return { actions: [], warnings: [] }
  // A schema that is declared to belong to one of them stays theirs.
  const stays = ({ type, schema, owner: present }: OwnedObject) =>
    type === 'schema' && schemas.some((one) => one.name === schema && one.owner === present)
  const owned = ownership.owned.filter((object) => !stays(object))
  const [bound, free] = [true, false].map((wanted) => owned.filter((object) => object.bound === wanted))
  const definers = free!.filter(({ definer }) => definer)
  if (definers.length > 0 && !reassign.definer) throw unagreedDefiners(name, owner, reassign.from, definers)
  // Schemas first: their new owner must be able to create what is in them.
  const ordered = free!.toSorted((a, b) => Number(b.type === 'schema') - Number(a.type === 'schema'))
  const groups = Map.groupBy(ordered, ({ type, schema, owner, definer }) =>
    // `definer` is part of the key: those are shown one by one, for a person to review
    JSON.stringify([schema, type, owner, definer]),
  )
  return {
    actions: [...groups.values()].flatMap((group) => {
      const [{ type, schema, owner: from, definer }] = group as [OwnedObject]
      const word = words[type] ?? type
      const action = (objects: OwnedObject[], what: string, reason: string) =>
        planned<DatabaseAction>({ do: 'reassign', word, objects, owner }, 'alter', what, reason)
      const reason = `owner is ${from}, reassigned to ${owner}`
      if (definer)
        return group.map((one) =>
          action([one], `${type} ${one.identity}`, `${reason}: it runs with the rights of its owner`),
        )
      if (group.length === 1) return [action(group, `${type} ${group[0]!.identity}`, reason)]
      const inSchema = schema === null || type === 'schema' ? '' : ` in schema ${schema}`
      return [action(group, `${group.length} ${plural(type)}${inSchema}`, reason)]
    }),
    warnings: ofOneKind(
      bound!.map(
        ({ type, identity, owner }) =>
          `${type} ${identity} of database ${name} keeps its owner ${owner}: its owner must be a superuser`,
      ),
    ),
  }
}

const plural = (type: string) =>
  type.endsWith('y') ? `${type.slice(0, -1)}ies` : type.endsWith('s') ? `${type}es` : `${type}s`

function unagreedDefiners(database: string, owner: string, from: string[], definers: OwnedObject[]): AppError {
  const named = definers.map(({ type, identity, owner: present }) => `${type} ${identity} of ${present}`)
  return new AppError(
    'refused',
    `databases.${database}.reassign would change the rights with which these run: ${someOf(named, ', ', 10)}`,
    {
      report: { objects: named },
      hint: `nothing was changed; they would run with the rights of ${owner}: review them, then write \`databases.${database}.reassign: { from: [${from.join(', ')}], definer: true }\``,
    },
  )
}
