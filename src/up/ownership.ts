import { AppError } from '../errors.ts'
import type { Change } from '../plan.ts'
import { createBlockerWatch } from '../postgres/blockers.ts'
import { type Ownership, readOwnership } from '../roles/ownership.ts'
import {
  appSessions,
  describeLockOut,
  describeSuperuserApp,
  findLockOut,
  lockedOut,
  mustRefuse,
  ownershipQuestion,
  planReassign,
  type ReassignPlan,
  superuserApp,
  superuserApps,
} from '../roles/plan-ownership.ts'
import { applyReassign } from '../roles/reassign.ts'
import type { CurrentCluster, DesiredDatabase, DesiredRoles } from '../roles/types.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'

/** Who owns what in the declared databases, and which applications could not use it. */
export type Owners = {
  /** What changes its owner, by database; only databases with such changes. */
  reassign: Map<string, ReassignPlan>
  /** Applications that cannot work as declared, as messages. */
  lockedOut: string[]
  /** Why nothing may be changed. */
  refusal: AppError | undefined
}

/** Reads and judges the owners before anything is changed. A database that does not exist has nothing to judge. */
export async function readOwners(run: Run, desired: DesiredRoles, cluster: CurrentCluster): Promise<Owners> {
  const superusers = superuserApps(desired, cluster)
  const owners: Owners = {
    reassign: new Map(),
    lockedOut: superusers.map(describeSuperuserApp),
    refusal: superusers.map(superuserApp)[0],
  }
  for (const database of desired.databases) await lookInto(run, database, { desired, cluster, owners })
  return owners
}

async function lookInto(
  run: Run,
  declared: DesiredDatabase,
  { desired, cluster, owners }: { desired: DesiredRoles; cluster: CurrentCluster; owners: Owners },
): Promise<void> {
  const existing = cluster.databases.find(({ name }) => name === declared.name)
  const database = existing && !declared.ownerFixed ? { ...declared, owner: existing.owner } : declared
  const groups = appSessions(desired, database, cluster)
  const sessions = groups.length > 0 ? groups : [undefined]
  let owned: Ownership['owned'] = []
  await run.inDatabase(database.name, async (session) => {
    for (const [i, group] of sessions.entries()) {
      const question = ownershipQuestion(desired, database, group)
      if (!question || !session) return
      // What changes its owner does not depend on the role, so it is read with the first one only.
      const read = await readOwnership(session.sql, i === 0 ? question : { ...question, from: [] })
      const ownership = { ...read, owned: i === 0 ? read.owned : owned }
      owned = ownership.owned
      if (i === 0) planHandover(owners, database, ownership, run)
      const found = group && findLockOut(desired, database, group, ownership, cluster.major)
      if (!found) continue
      owners.lockedOut.push(describeLockOut(found))
      if (mustRefuse(found)) owners.refusal ??= lockedOut(found, database.owner)
    }
  })
}

function planHandover(owners: Owners, database: DesiredDatabase, ownership: Ownership, run: Run): void {
  try {
    const plan = planReassign(database, ownership)
    if (plan.actions.length > 0) owners.reassign.set(database.name, plan)
    for (const warning of plan.warnings) run.context.out.warn(warning)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    owners.refusal ??= error
    owners.lockedOut.push(error.message)
  }
}

/** The changes of owners, for people. */
export const handoverChanges = ({ reassign }: Owners): Change[] =>
  [...reassign].flatMap(([name, { actions }]) =>
    actions.map(({ change }) => ({ ...change, object: `${change.object} (database ${name})` })),
  )

/** Gives everything its new owner. The roles must exist already. */
export async function handOver(run: Run, { reassign }: Owners, journal: Journal): Promise<void> {
  const { loaded, log, signal } = run.context
  for (const [name, plan] of reassign) {
    await run.inDatabase(name, async (session) => {
      const { sql, pid } = session!
      const watch = createBlockerWatch({ observer: run.cluster.sql, pid, everyMs: 400, log })
      await applyReassign(sql, plan, {
        beforeChange: journal.beforeChange,
        guard: run.guard,
        lockTimeoutMs: loaded.config.migrate.lockTimeout,
        timeoutMs: loaded.config.lock.timeout,
        watch,
        log,
        signal,
      })
    })
  }
}
