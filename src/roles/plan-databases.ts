// pure
import { cutName } from '../sql/quote.ts'
import { type ClusterAction, exactRoles, type Planned, planned } from './actions.ts'
import { describeOthers, planSurplus } from './passed-on.ts'
import type { RandomBytes } from './plan-roles.ts'
import type { CurrentCluster, CurrentDatabaseEntry, DesiredAccess, DesiredDatabase, DesiredRoles } from './types.ts'

type Actions = Planned<ClusterAction>[]

/** A declared database, its present state, and its future owner. */
export type DatabasePair = { database: DesiredDatabase; existing: CurrentDatabaseEntry | undefined; owner: string }

/** Drops databases that a killed run left unfinished; only those with declared names. */
export function planLeftovers({ databases }: DesiredRoles, { leftovers }: CurrentCluster): Actions {
  const prefixes = databases.map(({ name }) => `${cutName(name)}__create_`)
  return leftovers
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix) && name.length === prefix.length + 8))
    .map((database) =>
      planned({ do: 'drop leftover', database }, 'drop', `database ${database}`, 'a killed run left it unfinished'),
    )
}

export const planNewDatabases = (databases: DatabasePair[], randomBytes: RandomBytes): Actions =>
  databases
    .filter(({ existing }) => existing === undefined)
    .map(({ database: { name, create }, owner }) => {
      const temporary = `${cutName(name)}__create_${randomBytes(4).toString('hex')}`
      return planned(
        { do: 'create database', database: name, temporary, owner, create },
        'create',
        `database ${name}`,
        'does not exist',
      )
    })

/** Owner, limit and access list of each database; for a new one, starting from its state right after creation. */
export function planDatabaseEntries(desired: DesiredRoles, databases: DatabasePair[]): Actions {
  const exact = exactRoles(desired)
  return databases.flatMap(({ database, existing, owner }) => {
    const entry = existing ?? { owner, connectionLimit: -1, acl: [] }
    return [...planProperties(database, entry, owner), ...planAccess(database, entry, owner, exact)]
  })
}

/** CONNECT on databases that are not declared: there, nothing is ever revoked. */
export const planConnects = ({ connects }: DesiredRoles, { databases }: CurrentCluster): Actions =>
  connects.flatMap(({ database, grantee }) => {
    const entry = databases.find(({ name }) => name === database)
    if (!entry) return []
    return planAccess({ name: database, access: [{ grantee, privileges: ['CONNECT'] }] }, entry, entry.owner, new Set())
  })

type Entry = Pick<CurrentDatabaseEntry, 'owner' | 'connectionLimit' | 'acl'>

function planProperties({ name, connectionLimit }: DesiredDatabase, entry: Entry, owner: string): Actions {
  const object = `database ${name}`
  const actions: Actions = []
  if (entry.owner !== owner) {
    actions.push(
      planned(
        { do: 'own database', database: name, owner },
        'alter',
        object,
        `owner is ${entry.owner}, declared ${owner}`,
      ),
    )
  }
  if (connectionLimit !== undefined && connectionLimit !== entry.connectionLimit) {
    const reason = `connection limit is ${entry.connectionLimit}, declared ${connectionLimit}`
    actions.push(planned({ do: 'limit database', database: name, connectionLimit }, 'alter', object, reason))
  }
  return actions
}

function planAccess(
  { name, access }: Pick<DesiredDatabase, 'name' | 'access'>,
  entry: Entry,
  owner: string,
  exact: Set<string>,
): Actions {
  const { wanted, isDeclared, mayPassOn, isAbsent } = accessRules(access.filter(({ grantee }) => grantee !== owner))
  const { surplus, stays } = planSurplus(
    // PostgreSQL merges the new owner's own entries into its ownership.
    entry.acl.filter(({ grantee }) => grantee !== owner),
    { exact, isDeclared, mayPassOn, isAbsent },
  )
  const grants = wanted.flatMap(({ grantee, privilege, grantable }) => {
    const held = stays.filter((row) => row.grantee === grantee && row.privilege === privilege)
    if (held.some((row) => row.grantable || !grantable)) return []
    return planned<ClusterAction>(
      { do: 'grant on database', database: name, grantee, privileges: [privilege], withOption: grantable },
      'grant',
      `${privilege} on database ${name} to ${grantee}${grantable ? ' with grant option' : ''}`,
      held.length === 0 ? 'is missing' : 'the grant option is missing',
    )
  })
  const revokes = surplus.map(({ entry: { grantee, grantor, privilege }, optionOnly, passedOn, keptBy }) => {
    const object = `${optionOnly ? 'the grant option of ' : ''}${privilege} on database ${name} from ${grantee}`
    const payload: ClusterAction = {
      do: 'revoke on database',
      database: name,
      grantee,
      privileges: [privilege],
      grantor: grantor === entry.owner ? null : grantor,
      optionOnly,
      cascade: passedOn.length > 0,
      impossible: keptBy.length > 0,
    }
    const why = isAbsent(grantee, privilege) ? 'is declared absent' : 'is not declared'
    const reason = [why, ...describeOthers({ grantee, passedOn, keptBy })].join('; ')
    return planned(payload, 'revoke', object, reason)
  })
  return [...grants, ...revokes]
}

/** What is declared of a database's privileges. What is declared absent is not wanted. */
function accessRules(access: DesiredAccess[]) {
  const keyOf = (grantee: string, privilege: string) => JSON.stringify([grantee, privilege])
  const keys = (some: DesiredAccess[]) =>
    new Set(some.flatMap(({ grantee, privileges }) => privileges.map((privilege) => keyOf(grantee, privilege))))
  const absent = keys(access.filter((one) => one.absent))
  const present = keys(access.filter((one) => !one.absent))
  const grantable = keys(access.filter((one) => one.grantable))
  const isAbsent = (grantee: string, privilege: string) => absent.has(keyOf(grantee, privilege))
  return {
    wanted: [...present]
      .map((key) => JSON.parse(key) as [string, string])
      .filter(([grantee, privilege]) => !isAbsent(grantee, privilege))
      .map(([grantee, privilege]) => ({ grantee, privilege, grantable: grantable.has(keyOf(grantee, privilege)) })),
    isDeclared: (grantee: string, privilege: string) =>
      present.has(keyOf(grantee, privilege)) && !isAbsent(grantee, privilege),
    mayPassOn: (grantee: string, privilege: string) => grantable.has(keyOf(grantee, privilege)),
    isAbsent,
  }
}
