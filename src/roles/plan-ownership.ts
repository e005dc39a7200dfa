// pure
import { AppError } from '../errors.ts'
import { counted } from '../units.ts'
import { type DatabaseAction, type Planned, planned } from './actions.ts'
import type { Ownership, OwnershipQuestion, UnusableObject } from './ownership.ts'
import { spelledOut } from './privileges.ts'
import type { CurrentCluster, DesiredDatabase, DesiredGrant, DesiredRoles, OwnedObject } from './types.ts'

/** The role that sessions of an application's users are in, in one database. */
export type AppSessions = {
  role: string
  /** With the preset `app` there. */
  users: string[]
  /** Whether an earlier run has put them into that role already. */
  settled: boolean
}

/** The sessions of a database's applications, by the role that they are in. Pure. */
export function appSessions(desired: DesiredRoles, { name, apps, owner }: DesiredDatabase, current: CurrentCluster) {
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

/** What is to be read in a database before anything is changed; undefined when nothing depends on who owns what. Pure. */
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

/** A role, and what it is declared to be a member of, however far. */
function withMemberships({ memberships }: DesiredRoles, role: string, more: string[]): string[] {
  const found = new Set([role])
  for (const name of found) for (const { member, role: of } of memberships) if (member === name) found.add(of)
  return [...found, ...more]
}

/** What an application cannot use, and why that matters. */
export type LockOut = {
  database: string
  sessions: AppSessions
  objects: UnusableObject[]
}

/**
 * What the users of an application cannot use in the role that their sessions are in, once the plan is applied; undefined where
 * they can use all of it. Pure.
 *
 * That is: what they can use today, and what lies in the declared schemas, or in `public`, and is closed to the role.
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
      .filter(({ kind, schema, names, grantee }) => {
        const named = names === null || names.includes(object.name) || names.includes(label)
        return roles.has(grantee) && kind === object.kind && schema === object.schema && named
      })
      .flatMap(({ kind, privileges }) => spelledOut(kind, privileges, major)),
  )
}

/**
 * Whether a run must stop before it: it would take from an application what it can use, or is about to give it a role that cannot use
 * what is there. Something new of somebody else's, in a database that is in use, is only told: a run that stops would stop the application.
 */
export const mustRefuse = ({ sessions, objects }: LockOut): boolean =>
  !sessions.settled || objects.some(({ ofUsers, lost }) => ofUsers && lost.length > 0)

/** `2 tables of legacy (public.a, public.b), 1 sequence of legacy (public.s)` */
function inWords(objects: UnusableObject[]): string {
  const groups = Map.groupBy(objects, ({ kind, owner }) => JSON.stringify([kind, owner]))
  return [...groups.values()]
    .map((group) => {
      const [{ kind, owner }] = group as [UnusableObject]
      const names = group.slice(0, 3).map((object) => label(object))
      const more = group.length > 3 ? ` and ${group.length - 3} more` : ''
      return `${counted(group.length, kind)} of ${owner} (${names.join(', ')}${more})`
    })
    .join(', ')
}

const label = ({ kind, schema, name, arguments: types }: UnusableObject) =>
  kind === 'schema' ? name : `${schema}.${name}${types === null ? '' : `(${types})`}`

/** One sentence for `check` and for warnings. */
export const describeLockOut = ({ database, sessions: { role, users, settled }, objects }: LockOut): string =>
  settled
    ? `sessions of ${users.join(', ')} in database ${database} start as ${role}, which cannot use ${inWords(objects)}`
    : `${users.join(', ')} would be locked out of database ${database}: sessions start as ${role}, which cannot use ${inWords(objects)}`

/** Exit 12, before anything is changed. */
export function lockedOut(lockOut: LockOut, owner: string): AppError {
  const owners = [...new Set(lockOut.objects.map((object) => object.owner))]
  const list = `[${owners.join(', ')}]`
  const path = `databases.${lockOut.database}`
  const [only] = lockOut.sessions.users
  const own =
    owners.length === 1 && owners[0] === only && owner !== only ? `\`${path}.owner: ${only}\` leaves them to it; ` : ''
  return new AppError('refused', describeLockOut(lockOut), {
    hint: `nothing was changed. ${own}\`${path}.reassign: ${list}\` hands what ${owners.join(' and ')} own${owners.length === 1 ? 's' : ''} there to ${owner}; or declare grants to ${lockOut.sessions.role} under ${path}.schemas`,
  })
}

/** Applications whose users are superusers, with the way out. Pure. */
export function superuserApps(desired: DesiredRoles, { roles }: CurrentCluster): { database: string; user: string }[] {
  const superusers = new Set(roles.filter(({ superuser }) => superuser).map(({ name }) => name))
  return desired.databases.flatMap(({ name, apps }) =>
    apps.filter((user) => superusers.has(user)).map((user) => ({ database: name, user })),
  )
}

export const describeSuperuserApp = ({ database, user }: { database: string; user: string }) =>
  `${user} is a superuser and cannot have the preset app in database ${database}: whatever role its sessions start as, they can undo that`

/** Exit 12: a preset would only look like least privilege. */
export const superuserApp = (app: { database: string; user: string }) =>
  new AppError('refused', describeSuperuserApp(app), {
    hint: `nothing was changed. Let the application log in as a user of its own (\`databases.${app.database}.users\`), with \`databases.${app.database}.reassign: [${app.user}]\` for what ${app.user} owns there; or take SUPERUSER from ${app.user} yourself`,
  })

type Actions = Planned<DatabaseAction>[]

/** Objects that get another owner, by schema, kind and present owner. */
export type ReassignPlan = { actions: Actions; warnings: string[] }

/** As ALTER … OWNER TO names the kinds that `pg_identify_object` tells. */
const words: Record<string, string> = {
  function: 'routine',
  procedure: 'routine',
  aggregate: 'routine',
  'statistics object': 'statistics',
}

/**
 * What `databases.D.reassign` changes. Pure.
 *
 * @throws {AppError} `refused` for what runs with the rights of its owner, unless that was agreed to: it would run with others
 */
export function planReassign({ name, owner, reassign }: DesiredDatabase, { owned }: Ownership): ReassignPlan {
  if (!reassign) return { actions: [], warnings: [] }
  const [bound, free] = [true, false].map((wanted) => owned.filter((object) => object.bound === wanted))
  const definers = free!.filter(({ definer }) => definer)
  if (definers.length > 0 && !reassign.definer) throw unagreedDefiners(name, owner, reassign.from, definers)
  const groups = Map.groupBy(free!, ({ type, schema, owner, definer }) =>
    // one by one where a person has to look at them
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
    warnings: bound!.map(
      ({ type, identity, owner }) =>
        `${type} ${identity} of database ${name} stays with ${owner}: its owner must be a superuser`,
    ),
  }
}

const plural = (type: string) =>
  type.endsWith('y') ? `${type.slice(0, -1)}ies` : type.endsWith('s') ? `${type}es` : `${type}s`

function unagreedDefiners(database: string, owner: string, from: string[], definers: OwnedObject[]): AppError {
  const named = definers.slice(0, 10).map(({ type, identity, owner: present }) => `${type} ${identity} of ${present}`)
  const more = definers.length > 10 ? ` and ${definers.length - 10} more` : ''
  return new AppError(
    'refused',
    `databases.${database}.reassign would change with whose rights these run: ${named.join(', ')}${more}`,
    {
      hint: `nothing was changed. They would run with those of ${owner}: look at them, then write \`databases.${database}.reassign: { from: [${from.join(', ')}], definer: true }\``,
    },
  )
}
