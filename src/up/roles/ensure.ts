import { setTimeout as sleep } from 'node:timers/promises'
import { ofOneKind } from '../../plan.ts'
import { type ClusterAction, type ClusterPlan, makePlan, type Planned } from '../../roles/actions.ts'
import { applyCluster, applyDatabase } from '../../roles/apply.ts'
import { isConcurrentChange, refuseUnprivileged } from '../../roles/errors.ts'
import { clusterItems, databaseItems } from '../../roles/items.ts'
import { isOwn } from '../../roles/own-login.ts'
import { planDatabase } from '../../roles/plan-database.ts'
import { planGrants } from '../../roles/plan-grants.ts'
import { lossesOf } from '../../roles/strict.ts'
import type { CurrentCluster, DesiredRoles, SessionUser } from '../../roles/types.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import type { Show } from '../../run/story.ts'
import type { Declared } from './declared.ts'
import { refuseLosses, refuseUnaccepted } from './losses.ts'
import { noteOwnPassword } from './own-password.ts'
import { handOver, handoverChanges, handoverItems, type Owners, readOwners } from './ownership.ts'
import { clusterPlan, databasePlan, inDatabase, noted, type Planner, unread } from './plans.ts'

/** Databases, roles, memberships, then schemas and extensions in each database. */
export async function ensure(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  const { desired } = declared
  const { out } = run.context
  const applying = applyingIn(run, journal)
  let applied: { plan: ClusterPlan; current: CurrentCluster } | undefined
  await converging(run, async (again) => {
    const first = await clusterPlan(run, declared)
    const { standings } = first.current
    const owners = await readOwners(run, desired, first.current)
    if (owners.refusal) throw owners.refusal
    for (const problem of ofOneKind(owners.lockedOut)) out.warn(problem)
    // Refuses what could not be done later.
    if (desired.absent.length > 0) await refuseRemovals(run, desired, first.plan.session, owners)
    await refuseLosses(run, declared.acceptRevokes ?? false, desired)
    const handover = handoverChanges(owners)
    if (!first.plan.session.superuser) {
      const { planWhole, refuseWhole } = await import('./authority.ts')
      refuseWhole(await planWhole(run, desired, first.plan, owners))
    }
    if (first.plan.changes.length + handover.length === 0) return
    await run.changingCluster(async ({ sql }) => {
      // The backend of a killed run has ended only now, and may still have finished its work, such as creating a database.
      const { plan, current } = await clusterPlan(run, declared, standings)
      const own = (action: Planned<ClusterAction>) => isOwn(action, plan.session.name)
      // Applications start as the new owner only after everything was handed over; until then they keep their roles.
      const apps = new Set(desired.databases.flatMap((database) => database.apps))
      const isOfApps = ({ payload }: Planned<ClusterAction>) => payload.do === 'revoke role' && apps.has(payload.member)
      const [before, after] =
        handover.length > 0
          ? splitPlan(plan, (action) => startsAsRole(action) || isOfApps(action) || own(action))
          : [plan, undefined]
      const parts = await authorisedParts(run, desired, { plan, before, after, owners })
      const notes = await noted(run, plan, current)
      const plans = [parts.before, ...(parts.after ? [parts.after] : [])]
      const items = () => [
        ...plans.flatMap(clusterItems),
        ...handoverItems(parts),
        ...notes.map((change) => ({ ...change, implied: true })),
      ]
      show([...plans.flatMap(({ changes }) => changes), ...handoverChanges(parts), ...notes], { again, items })
      await applyCluster(sql, parts.before, applying)
      await handOver(run, parts, journal)
      if (parts.after) await applyCluster(sql, parts.after, applying)
      noteOwnPassword(run, plan, declared.secrets)
      applied = { plan, current }
    })
  })
  if (desired.databases.some(({ name }) => name === run.context.connection().database)) await run.openTarget()
  if (applied?.current.verifiers === undefined && applied)
    await (await unread()).notePasswords(run, applied.plan, declared.secrets)
  await eachDatabase(run, desired, planDatabase, show, journal)
  await removeAbsent(run, declared, show, journal)
}

const applyingIn = ({ context: { loaded, log } }: Run, { beforeChange }: Journal) => ({
  ...{ beforeChange, log, lockTimeoutMs: loaded.config.lock.timeout },
})

/** @throws {AppError} `refused` for what could not be removed later */
async function refuseRemovals(
  run: Run,
  desired: DesiredRoles,
  session: SessionUser,
  { reassign }: Owners,
): Promise<void> {
  const { readRemovals, removalChanges } = await import('./removal.ts')
  refuseUnprivileged(session, removalChanges(await readRemovals(run, desired, session, reassign)))
}

/** Removes the roles that are declared absent: last, because schemas and databases may have just got another owner. */
async function removeAbsent(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  if (declared.desired.absent.length === 0) return
  const { readRemovals, removalChanges, removalItems, removeRoles } = await import('./removal.ts')
  await converging(run, async (again) => {
    const { session } = (await clusterPlan(run, declared)).plan
    const removals = await readRemovals(run, declared.desired, session)
    show(removalChanges(removals), { again, items: () => removalItems(removals) })
    await removeRoles(run, removals, session, journal)
  })
}

type Parts = { before: ClusterPlan; after: ClusterPlan | undefined; reassign: Owners['reassign'] }

/** The parts of a plan, in order, with what makes them possible for us. */
async function authorisedParts(
  run: Run,
  desired: DesiredRoles,
  {
    plan,
    before,
    after,
    owners,
  }: { plan: ClusterPlan; before: ClusterPlan; after: ClusterPlan | undefined; owners: Owners },
): Promise<Parts> {
  if (plan.session.superuser) return { before, after, reassign: owners.reassign }
  const { ableTo, planWhole, refuseWhole } = await import('./authority.ts')
  const whole = await planWhole(run, desired, plan, owners)
  refuseWhole(whole)
  const member = new Set<string>()
  const able = (part: ClusterPlan) => makePlan(part.session, ableTo(whole, part.actions, member), part.warnings)
  const first = able(before)
  const reassign = new Map(
    [...owners.reassign].map(([name, one]) => [name, { ...one, actions: ableTo(whole, one.actions, member) }]),
  )
  return { before: first, reassign, after: after && able(after) }
}

/** Grants privileges on what exists, and default privileges on what will be created. */
export async function grant(run: Run, declared: Declared, show: Show, journal: Journal): Promise<void> {
  const planner: Planner = (desired, name, current) => {
    const plan = planGrants(desired, name, current)
    refuseUnaccepted(declared.acceptRevokes ?? false, lossesOf(desired, plan))
    return plan
  }
  await eachDatabase(run, declared.desired, planner, show, journal)
}

async function eachDatabase(
  run: Run,
  desired: DesiredRoles,
  planner: Planner,
  show: Show,
  journal: Journal,
): Promise<void> {
  for (const { name } of desired.databases) {
    await run.inDatabase(name, (session) =>
      converging(run, async (again) => {
        const plan = await databasePlan(run, session!, desired, name, planner)
        show(inDatabase(name, plan.changes), { again, items: () => databaseItems(name, plan) })
        if (plan.changes.length > 0) await applyDatabase(session!.sql, plan, applyingIn(run, journal))
      }),
    )
  }
}

/** Whether the action makes the sessions of a user start as another role. */
const startsAsRole = ({ payload }: Planned<ClusterAction>) =>
  payload.do === 'set' && payload.setting.role !== null && payload.setting.name.toLowerCase() === 'role'

/** Splits a plan into the actions to do first and those to do later, each in its order. */
function splitPlan(
  plan: ClusterPlan,
  isLater: (action: Planned<ClusterAction>) => boolean,
): [ClusterPlan, ClusterPlan] {
  const part = (later: boolean) =>
    makePlan(
      plan.session,
      plan.actions.filter((action) => isLater(action) === later),
      [],
    )
  return [part(false), part(true)]
}

/** Other tools do not know our lock: when one changes the same objects at the same time, read and plan again. */
async function converging(run: Run, attempt: (again: boolean) => Promise<void>): Promise<void> {
  const limit = 5
  for (let i = 1; ; i++) {
    run.guard()
    try {
      return await attempt(i > 1)
    } catch (error) {
      if (!isConcurrentChange(error) || i === limit) throw error
      run.context.log.info(
        { attempt: i, problem: (error as Error).message },
        'something else changed roles at the same time: planning again',
      )
      // Two programs that wait equally long would meet again.
      await sleep(i * (50 + Math.random() * 200), undefined, { signal: run.context.signal })
    }
  }
}
