import type { DatabasePlan } from '../../roles/actions.ts'
import type { AdminStatement } from '../../roles/admin-script.ts'
import { clusterItems, databaseItems, reassignItems } from '../../roles/items.ts'
import type { DesiredRoles } from '../../roles/types.ts'
import type { Run } from '../../run/run.ts'
import { ableTo, forAdmin, noteForAdmin, planWhole, type WholePlan } from './authority.ts'
import type { Declared } from './declared.ts'
import { readOwners } from './ownership.ts'
import { clusterPlan, inDatabase } from './plans.ts'
import { readRemovals, removalByHand, removalChanges, removalItems } from './removal.ts'
import type { RoleDrift } from './types.ts'

/** The same with what makes it possible for us; where an administrator is needed, with a warning. */
export async function authorisedDrift(
  run: Run,
  desired: DesiredRoles,
  { cluster, owners, absent, more, removals, reviewable: { things } }: RoleDrift,
): Promise<Pick<RoleDrift, 'ensure' | 'grant' | 'reviewable'>> {
  const whole = await planWhole(run, desired, cluster, owners)
  const note = noteForAdmin(whole)
  if (note !== undefined) run.context.out.warn(note)
  if (removals.length > 0) run.context.out.warn(`${cluster.session.name} may not remove roles: \`up\` will refuse to`)
  const member = new Set<string>()
  const server = { actions: ableTo(whole, whole.cluster, member) }
  const able = (plans: WholePlan['ensure'], leftOut: string[] = []) =>
    [...plans]
      .filter(([name]) => !leftOut.includes(name))
      .map(([name, actions]): [string, Pick<DatabasePlan, 'actions'>] => [
        name,
        { actions: ableTo(whole, actions, member) },
      ])
  const [handover, ensure, grant] = [able(whole.handover), able(whole.ensure), able(whole.grant, absent)]
  const changesOf = (plans: typeof ensure) =>
    plans.flatMap(([name, { actions }]) =>
      inDatabase(
        name,
        actions.map(({ change }) => change),
      ),
    )
  return {
    ensure: [
      ...server.actions.map(({ change }) => change),
      ...changesOf(handover),
      ...more,
      ...changesOf(ensure),
      ...removalChanges(removals),
    ],
    grant: changesOf(grant),
    reviewable: {
      things,
      ensure: [
        () => clusterItems(server),
        () => handover.flatMap(([name, plan]) => reassignItems(name, plan)),
        () => more.map((change) => ({ ...change, implied: true })),
        () => ensure.flatMap(([name, plan]) => databaseItems(name, plan)),
        () => removalItems(removals),
      ],
      grant: [() => grant.flatMap(([name, plan]) => databaseItems(name, plan))],
    },
  }
}

/** What an administrator must run before our user can make everything what is declared. */
export async function planForAdmin(
  run: Run,
  declared: Declared | undefined,
): Promise<{ user: string; statements: AdminStatement[] }> {
  const [row] = await run.cluster.sql.unsafe<{ user: string }[]>('select session_user as user')
  const { user } = row!
  if (!declared) return { user, statements: [] }
  const { plan, current } = await clusterPlan(run, declared)
  const owners = await readOwners(run, declared.desired, current)
  if (owners.refusal) throw owners.refusal
  if (plan.session.superuser) return { user, statements: [] }
  const removals = await readRemovals(run, declared.desired, plan.session, owners.reassign)
  return {
    user,
    statements: [...forAdmin(await planWhole(run, declared.desired, plan, owners)), ...removals.map(removalByHand)],
  }
}
