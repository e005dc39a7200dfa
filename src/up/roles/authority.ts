import type { ClusterAction, ClusterPlan, DatabaseAction, Planned } from '../../roles/actions.ts'
import { type AdminStatement, adminStatements } from '../../roles/admin-script.ts'
import { type Authority, readAuthority, refuseUnlessOurs } from '../../roles/authorise.ts'
import type { Item } from '../../roles/capable.ts'
import { readDatabase } from '../../roles/current.ts'
import { freshDatabase } from '../../roles/fresh.ts'
import { withJoins } from '../../roles/joining.ts'
import type { DatabaseFacts } from '../../roles/needs.ts'
import { findDatabase, planDatabase } from '../../roles/plan-database.ts'
import { planGrants } from '../../roles/plan-grants.ts'
import { afterActions } from '../../roles/predicted.ts'
import { readDatabaseRights } from '../../roles/rights.ts'
import type { DesiredRoles } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'
import { counted, plural } from '../../units.ts'
import type { Owners } from './ownership.ts'

/** Everything that is planned for roles, on the server and in every declared database, and who can do it. */
export type WholePlan = {
  cluster: Planned<ClusterAction>[]
  handover: Map<string, Planned<DatabaseAction>[]>
  ensure: Map<string, Planned<DatabaseAction>[]>
  grant: Map<string, Planned<DatabaseAction>[]>
  /** Undefined for a superuser, who can do everything. */
  authority: Authority | undefined
}

/** Plans everything that can be planned now, in order to know all at once what only an administrator can do. Only reads. */
export async function planWhole(
  run: Run,
  desired: DesiredRoles,
  cluster: ClusterPlan,
  { reassign }: Owners,
): Promise<WholePlan> {
  const whole: WholePlan = {
    cluster: cluster.actions,
    handover: new Map([...reassign].map(([name, { actions }]) => [name, actions])),
    ensure: new Map(),
    grant: new Map(),
    authority: undefined,
  }
  const major = Math.floor(run.cluster.serverVersion / 10_000)
  const databases = new Map<string, DatabaseFacts>()
  for (const { name, owner } of desired.databases)
    await run.inDatabase(name, async (session) => {
      const current = session
        ? await readDatabase(run.reads(session), desired, name)
        : freshDatabase(cluster.session, { major, owner })
      const database = findDatabase(desired, name)
      const handedOver = afterActions(current, whole.handover.get(name) ?? [], database)
      const ensure = planDatabase(desired, name, handedOver).actions
      const later = afterActions(handedOver, ensure, database)
      const grant = planGrants(desired, name, later).actions
      whole.ensure.set(name, ensure)
      whole.grant.set(name, grant)
      const count = ensure.length + grant.length + (whole.handover.get(name)?.length ?? 0)
      databases.set(name, {
        current,
        rights: session && count > 0 ? await readDatabaseRights(session.sql) : undefined,
      })
    })
  const items = itemsOf(whole)
  if (items.length > 0) whole.authority = await readAuthority(run.cluster.sql, { desired, major, items, databases })
  return whole
}

const itemsOf = ({ cluster, handover, ensure, grant }: WholePlan): Item[] => [
  ...cluster.map((planned) => ({ database: null, planned })),
  ...[handover, ensure, grant].flatMap((plans) =>
    [...plans].flatMap(([database, actions]) => actions.map((planned) => ({ database, planned }))),
  ),
]

/** @throws {AppError} `refused`, with the SQL for an administrator, unless we can do everything */
export function refuseWhole(whole: WholePlan): void {
  if (whole.authority) refuseUnlessOurs(whole.authority, itemsOf(whole).length)
}

/** What an administrator must run first. */
export const forAdmin = ({ authority }: WholePlan): AdminStatement[] =>
  authority ? adminStatements(authority.division, authority.rights) : []

/** A warning for plans: how much of it an administrator must do first. */
export function noteForAdmin(whole: WholePlan): string | undefined {
  const { division, rights } = whole.authority ?? {}
  const count = (division?.theirs.length ?? 0) + (division?.lacking.length ?? 0)
  if (count === 0) return undefined
  return `${rights!.user.name} may not make ${counted(count, 'change')}: \`up\` will refuse to; \`pgbosun roles plan --for-admin\` prints ${plural(count, 'it', 'them')} as a script for an administrator`
}

/** Actions with what makes them possible for us. `member`: the roles that we stay a member of, in all parts of a plan. */
export const ableTo = <A extends ClusterAction | DatabaseAction>(
  { authority }: WholePlan,
  actions: Planned<A>[],
  member?: Set<string>,
) => (authority ? withJoins(actions, authority.division, authority.rights, member) : actions)
