import { AppError } from '../../errors.ts'
import { ofOneKind } from '../../plan.ts'
import { readDatabase } from '../../roles/current.ts'
import { notConverged } from '../../roles/errors.ts'
import { freshDatabase } from '../../roles/fresh.ts'
import { clusterItems, databaseItems, thingsIn } from '../../roles/items.ts'
import { adviceOnOpenSchemas, planDatabase } from '../../roles/plan-database.ts'
import { planGrants } from '../../roles/plan-grants.ts'
import { afterActions } from '../../roles/predicted.ts'
import { describeLosses, lossesOf } from '../../roles/strict.ts'
import type { Run } from '../../run/run.ts'
import { type ClosedDatabase, passingClosed } from './closed-databases.ts'
import type { Declared } from './declared.ts'
import { warnOfOwnPassword } from './own-password.ts'
import { handoverChanges, handoverItems, readOwners } from './ownership.ts'
import { clusterPlan, inDatabase, noted } from './plans.ts'
import type { ReviewableRoles, RoleDrift } from './types.ts'

const nothingReviewable = (): ReviewableRoles => ({ ensure: [], grant: [], things: [] })

/** {@link roleDrift} for a plan: throws what `up` would refuse. */
export async function plannedDrift(
  run: Run,
  declared: Declared | undefined,
): Promise<Pick<RoleDrift, 'ensure' | 'grant' | 'absent' | 'reviewable'>> {
  if (!declared) return { ensure: [], grant: [], absent: [], reviewable: nothingReviewable() }
  const drift = await roleDrift(run, declared)
  if (drift.refusal) throw drift.refusal
  warnOfOwnPassword(run, drift.cluster)
  for (const problem of ofOneKind(drift.lockedOut)) run.context.out.warn(problem)
  for (const loss of drift.losses)
    run.context.out.warn(
      `${loss}: up is exit 30 until manage.strictAccept names them, or roles apply --accept-revokes was run`,
    )
  if (drift.cluster.session.superuser || drift.ensure.length + drift.grant.length === 0) return drift
  const { authorisedDrift } = await import('./administrator.ts')
  return { ...drift, ...(await authorisedDrift(run, declared.desired, drift)) }
}

/**
 * What differs now from what is declared. For a database that does not exist yet, only the grants are left out. Who only looks goes on
 * without the databases that may not be entered.
 */
export async function roleDrift(wholeRun: Run, declared: Declared): Promise<RoleDrift> {
  const { plan: cluster, current } = await clusterPlan(wholeRun, declared)
  const closed: ClosedDatabase[] = []
  const run = declared.looking ? passingClosed(wholeRun, cluster.session.name, (found) => closed.push(found)) : wholeRun
  const owners = await readOwners(run, declared.desired, current)
  const more = await noted(run, cluster, current)
  const drift: RoleDrift = {
    ensure: [...cluster.changes, ...handoverChanges(owners), ...more],
    more,
    grant: [],
    cluster,
    owners,
    absent: [],
    closed,
    lockedOut: owners.lockedOut,
    refusal: owners.refusal,
    open: [],
    losses: [],
    removals: [],
    reviewable: { ...nothingReviewable(), ensure: [() => clusterItems(cluster), () => handoverItems(owners)] },
  }
  await addRemovals(run, declared, drift)
  const { reviewable } = drift
  const major = Math.floor(run.cluster.serverVersion / 10_000)
  for (const database of declared.desired.databases) {
    const { name, owner } = database
    await run.inDatabase(name, async (session) => {
      if (closed.some((one) => one.name === name)) return
      const current = session
        ? await readDatabase(run.reads(session), declared.desired, name)
        : freshDatabase(cluster.session, { major, owner })
      const handedOver = afterActions(current, owners.reassign.get(name)?.actions ?? [], database)
      const plan = planDatabase(declared.desired, name, handedOver)
      drift.ensure.push(...inDatabase(name, plan.changes))
      reviewable.ensure.push(() => databaseItems(name, plan))
      if (!session) return drift.absent.push(name)
      const grants = planGrants(declared.desired, name, afterActions(handedOver, plan.actions, database))
      drift.grant.push(...inDatabase(name, grants.changes))
      reviewable.grant.push(() => databaseItems(name, grants))
      reviewable.things.push(() => thingsIn(name, current))
      const losses = lossesOf(declared.desired, grants)
      if (losses.size > 0) drift.losses.push(`${describeLosses(losses)} (database ${name})`)
      drift.open.push(...adviceOnOpenSchemas(declared.desired, name, current))
    })
  }
  return drift
}

async function addRemovals(run: Run, { desired }: Declared, drift: RoleDrift): Promise<void> {
  if (desired.absent.length === 0) return
  const { readRemovals, removalChanges, removalItems } = await import('./removal.ts')
  try {
    const removals = await readRemovals(run, desired, drift.cluster.session, drift.owners.reassign)
    drift.removals = removals
    drift.ensure.push(...removalChanges(removals))
    drift.reviewable.ensure.push(() => removalItems(removals))
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'refused') throw error
    drift.refusal ??= error
    const undone = desired.absent.map(({ name }) => `role ${name}`)
    drift.ensure.push({ action: 'drop', object: undone.join(', '), reason: error.message })
  }
}

/** Fails unless, after everything was applied, the plan is empty. */
export async function refuseDrift(run: Run, declared: Declared): Promise<void> {
  const { ensure, grant, lockedOut } = await roleDrift(run, declared)
  const changes = [...ensure, ...grant]
  for (const problem of ofOneKind(lockedOut)) run.context.out.warn(problem)
  if (changes.length > 0) throw notConverged(changes)
}
