// pure
import { usage } from '../errors.ts'
import { ofOneKind } from '../plan.ts'
import { sameSetting } from '../sql/settings.ts'
import { type ClusterAction, type ClusterPlan, makePlan, type Planned } from './actions.ts'
import { immutableDifferences, refuseProviders } from './create-options.ts'
import { ownLast } from './own-login.ts'
import { planConnects, planDatabaseEntries, planLeftovers, planNewDatabases } from './plan-databases.ts'
import { planMemberships, refuseOptions, withReaders } from './plan-memberships.ts'
import { planPasswords, planRoles, type RandomBytes, type Secrets } from './plan-roles.ts'
import type { CurrentCluster, DesiredRoles, Setting } from './types.ts'

/**
 * What must change on the server as a whole: roles, passwords, memberships, settings, databases and their access lists. Pure.
 *
 * @param secrets by role, from `readSecrets`
 * @param randomBytes for salts and for the names of unfinished databases
 * @throws {AppError} `usage` for a reference to something that does not exist, `refused` when passwords cannot be compared
 */
export function planCluster(
  declared: DesiredRoles,
  current: CurrentCluster,
  secrets: Secrets,
  randomBytes: RandomBytes,
): ClusterPlan {
  const desired = withReaders(declared, current.major)
  refuseMissing(desired, current)
  refuseLineBreaks(desired, current)
  refuseOptions(desired, current.major)
  refuseProviders(desired.databases, current.major)
  refuseUnknownOwners(desired, current)
  const databases = desired.databases.map((database) => {
    const existing = current.databases.find(({ name }) => name === database.name)
    return { database, existing, owner: existing && !database.ownerFixed ? existing.owner : database.owner }
  })
  return makePlan(
    current.session,
    ownLast(
      [
        ...planLeftovers(desired, current),
        ...planRoles(desired, current),
        ...planMemberships(desired, current),
        ...planPasswords(desired, current, secrets, randomBytes),
        ...planNewDatabases(databases, randomBytes),
        ...planDatabaseEntries(desired, databases),
        ...planConnects(desired, current),
        ...planSettings(desired.settings, current),
      ],
      current.session.name,
    ),
    [
      databases.flatMap(({ database, existing }) => immutableDifferences(database.create, existing)),
      unusualPasswords(secrets),
      unknownDatabases(desired, current),
    ].flatMap(ofOneKind),
  )
}

/** The plan for the password of one declared role only. Pure; errors as in {@link planCluster}. */
export const planPassword = (
  role: string,
  desired: DesiredRoles,
  current: CurrentCluster,
  secrets: Secrets,
  randomBytes: RandomBytes,
): ClusterPlan => {
  const roles = desired.roles.filter(({ name }) => name === role)
  return makePlan(current.session, planPasswords({ ...desired, roles }, current, secrets, randomBytes), [])
}

/** A user that acts as the owner of an existing database needs an owner that the file names: the default is not its owner. */
function refuseUnknownOwners({ databases }: DesiredRoles, current: CurrentCluster): void {
  for (const { name, owner, ownerFixed, presets } of databases) {
    const user = presets.find(({ preset }) => preset === 'owner')?.user
    const existing = current.databases.find((one) => one.name === name)
    if (!existing || ownerFixed || user === undefined || existing.owner === owner) continue
    throw usage(`databases.${name}.users.${user} has the preset owner, but ${name} belongs to ${existing.owner}`, {
      hint: `declare its owner: databases.${name}.owner: ${existing.owner}`,
    })
  }
}

function refuseMissing(desired: DesiredRoles, { roles, databases, major }: CurrentCluster): void {
  const existing = new Set(roles.map(({ name }) => name))
  const grantees = desired.databases.flatMap(({ grants, defaults, access }) =>
    [...grants, ...defaults, ...access].map(({ grantee }) => grantee),
  )
  const needed = [
    ...desired.roles.filter(({ kind }) => kind === 'external').map(({ name }) => name),
    ...[...desired.memberships.map(({ role }) => role), ...grantees].filter((name) => /^pg_/.test(name)),
  ]
  const absent = needed.find((name) => !existing.has(name))
  if (absent !== undefined) {
    throw usage(`the role ${absent} does not exist on this server (PostgreSQL ${major})`, {
      hint: /^pg_/.test(absent)
        ? 'use a newer server, or remove the role: later versions of PostgreSQL added it'
        : 'create it first, or remove `external` from its declaration',
    })
  }
  const known = new Set([...databases, ...desired.databases].map(({ name }) => name))
  const lost = desired.settings.find(({ database }) => database !== null && !known.has(database))
  if (lost) {
    throw usage(`${lost.role}.configIn names the database ${lost.database}, which does not exist`, {
      hint: 'declare it under `databases`',
    })
  }
}

/** What the server would refuse, said before anything is changed. It only concerns new names: older servers may have such names. */
function refuseLineBreaks({ roles, databases }: DesiredRoles, current: CurrentCluster): void {
  if (current.major < 19) return
  const known = (list: { name: string }[], name: string) => list.some((one) => one.name === name)
  const refuse = (what: string, name: string) => {
    throw usage(
      `the name of the ${what} ${JSON.stringify(name)} has a line break, which PostgreSQL ${current.major} does not accept`,
      {
        hint: 'choose another name',
      },
    )
  }
  for (const { name } of roles) if (hasLineBreak(name) && !known(current.roles, name)) refuse('role', name)
  for (const { name } of databases) if (hasLineBreak(name) && !known(current.databases, name)) refuse('database', name)
}

const hasLineBreak = (name: string) => /[\r\n]/.test(name)

function planSettings(settings: Setting[], current: CurrentCluster): Planned<ClusterAction>[] {
  const needed = settings.filter(({ before = Number.POSITIVE_INFINITY }) => current.major < before)
  return needed.flatMap((setting) => {
    const stored = current.settings.find(
      ({ role, database, name }) =>
        role === setting.role && database === setting.database && name.toLowerCase() === setting.name.toLowerCase(),
    )
    if (stored !== undefined && sameSetting(setting.name, stored.value, setting.value)) return []
    const [role, database] = [
      setting.role && `role ${setting.role}`,
      setting.database && `database ${setting.database}`,
    ]
    const object = `${setting.name} of ${[role, database].filter(Boolean).join(' in ')}`
    const wanted = [setting.value].flat().join(', ')
    const reason = stored === undefined ? `is not set, declared ${wanted}` : `is ${stored.value}, declared ${wanted}`
    return [{ change: { action: 'set', object, reason }, payload: { do: 'set', setting } as const }]
  })
}

const unknownDatabases = ({ connects }: DesiredRoles, { databases }: CurrentCluster): string[] =>
  connects
    .filter(({ database }) => !databases.some(({ name }) => name === database))
    .map(
      ({ database, grantee }) =>
        `${grantee} cannot be allowed to connect to database ${database}, which does not exist`,
    )

const unusualPasswords = (secrets: Secrets): string[] =>
  [...secrets]
    .filter(([, secret]) => 'prepared' in secret && secret.password !== secret.prepared)
    .map(
      ([role]) =>
        `the password of role ${role} has characters that SASLprep changes: clients that skip it cannot log in`,
    )
