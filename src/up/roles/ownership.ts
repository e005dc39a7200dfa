import { AppError } from '../../errors.ts'
import type { Change, Item } from '../../plan.ts'
import { createBlockerWatch } from '../../postgres/blockers.ts'
import { reassignItems } from '../../roles/items.ts'
import { type Ownership, type OwnershipQuestion, readOwnership } from '../../roles/ownership.ts'
import {
  type AppSessions,
  appSessions,
  describeLockOut,
  describeSuperuserPreset,
  findLockOut,
  lockedOut,
  mustRefuse,
  ownershipQuestion,
  planReassign,
  type ReassignPlan,
  superuserPreset,
  superuserPresets,
} from '../../roles/plan-ownership.ts'
import { applyReassign } from '../../roles/reassign.ts'
import type { CurrentCatalog, CurrentCluster, DesiredDatabase, DesiredRoles } from '../../roles/types.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'

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
  const superusers = superuserPresets(desired, cluster)
  const owners: Owners = {
    reassign: new Map(),
    lockedOut: superusers.map(describeSuperuserPreset),
    refusal: superusers.map(superuserPreset)[0],
  }
  for (const database of desired.databases) await lookInto(run, database, { desired, cluster, owners })
  return owners
}

type Question = { group: AppSessions | undefined; question: OwnershipQuestion }

/** What to ask about a database that exists. What changes its owner does not depend on the role, so only the first question asks for it. */
function questionsAbout(
  desired: DesiredRoles,
  declared: DesiredDatabase,
  cluster: CurrentCatalog,
): { database: DesiredDatabase; questions: Question[] } {
  const existing = cluster.databases.find(({ name }) => name === declared.name)
  const database = existing && !declared.ownerFixed ? { ...declared, owner: existing.owner } : declared
  const groups = appSessions(desired, database, cluster)
  const questions = (groups.length > 0 ? groups : [undefined]).flatMap((group, i): Question[] => {
    const question = ownershipQuestion(desired, database, group)
    return question ? [{ group, question: i === 0 ? question : { ...question, from: [] } }] : []
  })
  return { database, questions }
}

/** Asks at once what {@link readOwners} will want to know about the target database. */
export async function askAboutOwners(run: Run, desired: DesiredRoles, cluster: CurrentCatalog): Promise<void> {
  const { target, context } = run
  const declared = desired.databases.find(({ name }) => name === context.connection().database)
  if (!target || !declared) return
  const { questions } = questionsAbout(desired, declared, cluster)
  await Promise.all(questions.map(({ question }) => readOwnership(run.reads(target), question)))
}

async function lookInto(
  run: Run,
  declared: DesiredDatabase,
  { desired, cluster, owners }: { desired: DesiredRoles; cluster: CurrentCluster; owners: Owners },
): Promise<void> {
  const { database, questions } = questionsAbout(desired, declared, cluster)
  let owned: Ownership['owned'] = []
  await run.inDatabase(database.name, async (session) => {
    if (!session) return
    for (const [i, { group, question }] of questions.entries()) {
      const read = await readOwnership(run.reads(session), question)
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
export const handoverChanges = ({ reassign }: Pick<Owners, 'reassign'>): Change[] =>
  [...reassign].flatMap(([name, { actions }]) =>
    actions.map(({ change }) => ({ ...change, object: `${change.object} (database ${name})` })),
  )

/** The same, to be reviewed. */
export const handoverItems = ({ reassign }: Pick<Owners, 'reassign'>): Item[] =>
  [...reassign].flatMap(([name, plan]) => reassignItems(name, plan))

/** Gives everything its new owner. The roles must exist already. */
export async function handOver(run: Run, { reassign }: Pick<Owners, 'reassign'>, journal: Journal): Promise<void> {
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
