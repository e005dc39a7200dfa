import { randomBytes } from 'node:crypto'
import type { Change } from '../../plan.ts'
import type { Session } from '../../postgres/session.ts'
import type { ClusterPlan, DatabasePlan } from '../../roles/actions.ts'
import { readCatalog, readCluster, readDatabase } from '../../roles/current.ts'
import { refusedLogin } from '../../roles/own-login.ts'
import { planCluster } from '../../roles/plan-cluster.ts'
import type { planDatabase } from '../../roles/plan-database.ts'
import type { planGrants } from '../../roles/plan-grants.ts'
import { planPasswords } from '../../roles/plan-roles.ts'
import type { CurrentCluster, DesiredRoles } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'
import { someOf } from '../../units.ts'
import { closedLogins } from './closed-logins.ts'
import type { Declared } from './declared.ts'
import { askAboutOwners } from './ownership.ts'

/** Reads the server and plans what differs; says the warnings. @throws {AppError} `usage` for what would lock us out, `refused` */
export async function clusterPlan(
  run: Run,
  { desired, secrets, looking }: Declared,
  standings?: CurrentCluster['standings'],
): Promise<{ plan: ClusterPlan; current: CurrentCluster }> {
  const { out } = run.context
  const read = await readCluster(run.reads(run.cluster), desired)
  const closed = await closedLogins(run, desired, read)
  const open = new Map([...secrets].filter(([name]) => !closed.has(name)))
  const known = read.verifiers === undefined && !looking
  const current: CurrentCluster = {
    ...read,
    closed,
    ...(known && { standings: standings ?? (await (await unread()).readStandings(run, open, read)) }),
  }
  const unreadable = looking && current.verifiers === undefined && secrets.size > 0
  if (unreadable)
    out.warn(
      `passwords were not compared (${someOf([...secrets.keys()])}): ${current.session.name} may not read pg_authid`,
    )
  const own = current.session.name
  const refused = looking ? undefined : refusedLogin(desired, current, { now: new Date(), secret: secrets.get(own) })
  if (refused) throw refused
  const plan = planCluster(desired, current, unreadable ? new Map() : secrets, randomBytes)
  for (const warning of plan.warnings) out.warn(warning)
  return { plan, current }
}

/** Reads a database and plans what differs there, with what makes it possible for us; says the warnings. */
export async function databasePlan(
  run: Run,
  session: Session,
  desired: DesiredRoles,
  name: string,
  planner: Planner,
): Promise<DatabasePlan> {
  const current = await readDatabase(run.reads(session), desired, name)
  const plan = planner(desired, name, current)
  for (const warning of plan.warnings) run.context.out.warn(warning)
  if (plan.session.superuser || plan.actions.length === 0) return plan
  const { authorised } = await import('../../roles/authorise.ts')
  return authorised(session.sql, plan, { desired, name, current })
}

/** What is remembered of the passwords that a plan sets, where they cannot be read back. */
export const noted = async (run: Run, plan: ClusterPlan, { verifiers }: CurrentCluster): Promise<Change[]> =>
  verifiers === undefined ? (await unread()).noteChanges(run, plan) : []

/** Only loaded where pg_authid may not be read. */
export const unread = () => import('./unread-passwords.ts')

/** The changes in a database, for people. */
export const inDatabase = (name: string, changes: Change[]) =>
  changes.map((change) => ({ ...change, object: `${change.object} (database ${name})` }))

export type Planner = typeof planDatabase | typeof planGrants

/** Asks what `ensure` and `grant` will need to know about the target database, at once. */
export async function askAboutRoles(run: Run, { desired, secrets }: Declared): Promise<void> {
  const { target, context, cluster } = run
  const { database } = context.connection()
  const reads = run.reads(cluster)
  const asked: Promise<unknown>[] = [
    readCatalog(reads, desired).then((current) => askAboutOwners(run, desired, current)),
    // while the server is still answering: the step that plans finds the result
    readCluster(reads, desired).then(
      (current) => current.verifiers && planPasswords(desired, current, secrets, randomBytes),
    ),
  ]
  if (target && desired.databases.some(({ name }) => name === database))
    asked.push(readDatabase(run.reads(target), desired, database))
  await Promise.all(asked)
}
