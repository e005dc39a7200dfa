import { AppError } from '../errors.ts'
import type { StepResult } from '../migrate/types.ts'
import type { Change } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import type { Show } from '../run/story.ts'
import type { StateTable } from '../state/state.ts'
import { someOf } from '../units.ts'
import type { FirstBackups } from './backup-first.ts'
import type { FirstBackup } from './first-backups.ts'
import { endHold, heedHold } from './hold.ts'
import { inTarget } from './in-target.ts'
import { warnOfIsolation } from './isolation/choose.ts'
import {
  applyMigrateStep,
  itemsOf,
  type MigrateStep,
  type PlanOptions,
  planMigrateStep,
  refusePlan,
} from './migrate.ts'
import { defaultRole } from './owner.ts'
import { hasCommand, type MigrateTarget } from './target.ts'
import { planUnderNativeLock } from './under-lock.ts'

export type MigrateAllOptions = {
  targets: MigrateTarget[]
  show: Show
  /** Undefined: only plan. */
  journal: Journal | undefined
  /** What else will be recorded in the target. */
  records?: readonly StateTable[]
  /** Which migrations of the only target are wanted. */
  wanted?: PlanOptions['wanted']
  /** Gets the backups that `migrate.backupFirst` asks for. */
  backups?: FirstBackup[]
}

/**
 * Plans, shows and applies the migrations of each database, one after the other.
 *
 * @returns one result for each migration
 * @throws {AppError} what the first failing database throws, with the results of all so far in the report
 */
export async function migrateAll(run: Run, options: MigrateAllOptions): Promise<StepResult[]> {
  const { journal, backups = [] } = options
  const first = journal && backsUp(run) ? await startBackups(run, { ...options, backups }) : undefined
  const results: StepResult[] = []
  const done: string[] = []
  for (const target of options.targets) {
    const name = target.database ?? run.context.connection().database
    try {
      results.push(
        ...(await inTarget(run, target, (session) => migrateOne(run, target, session, { ...options, first }))),
      )
      done.push(name)
    } catch (error) {
      throw error instanceof AppError ? withDone(error, results, done, name) : error
    }
  }
  return results
}

/** Backs up the databases with pending migrations, as configured. */
async function startBackups(
  run: Run,
  { targets, show, wanted, backups }: MigrateAllOptions & { backups: FirstBackup[] },
): Promise<FirstBackups> {
  const { backUpFirst } = await import('./backup-first.ts')
  return backUpFirst(run, {
    ...{ targets, show },
    ...(wanted && { wanted }),
    refuse: (step, session) => refuse(run, step, { session, lint: lintStops(run) }),
    onMade: (made) => void backups.push(made),
  })
}

const backsUp = ({ context }: Run) => context.loaded.config.migrate.backupFirst !== 'never'

async function migrateOne(
  run: Run,
  target: MigrateTarget,
  session: Session | undefined,
  { show, journal, records = [], wanted, targets, first }: MigrateAllOptions & { first: FirstBackups | undefined },
): Promise<StepResult[]> {
  const also = target.database === undefined ? records : []
  if (hasCommand(target)) {
    const { migrateByCommand } = await import('./program/migrate.ts')
    const ends = await heedHold(run, target, session, { pending: undefined, planning: !journal })
    if (journal && session) await endHold(ends, session, journal)
    if (!journal && session && backsUp(run)) {
      const { firstBackupOfCommand } = await import('./backup-first.ts')
      const change = await firstBackupOfCommand(run, target, session)
      if (change) show([change])
    }
    return migrateByCommand(run, target, session, { show, journal, records: also, wanted })
  }
  const options: PlanOptions = {
    ...(also.length > 0 && { records: also }),
    ...(wanted && targets.length === 1 && { wanted }),
  }
  if (journal)
    return planUnderNativeLock(run, target, session, options, async (locked, step) => {
      const ends = await showStep(locked, step, session, { show, lint: lintStops(run) })
      if (first) await first.before(step, session)
      if (session) await endHold(ends, session, journal)
      return applyMigrateStep(locked, step, () => openTarget(run, target, session), journal)
    })
  const step = await planMigrateStep(run.context, target, session && run.reads(session), options)
  await showStep(run, step, session, { show, lint: true, planning: true })
  if (session && (step.plan.steps.length > 0 || isAccepted(run)))
    await warnOfIsolation(run.context, session.sql, await defaultRole(run.context, session.sql, target))
  return []
}

/** Shows what a step would change, and refuses what must not be applied. Returns the change that ends a hold. @throws {AppError} `history`, `migration`, `lint` */
async function showStep(
  run: Run,
  step: MigrateStep,
  session: Session | undefined,
  { show, lint, planning = false }: { show: Show; lint: boolean; planning?: boolean },
): Promise<Change[]> {
  try {
    await refuse(run, step, { session, lint })
    const ends = await heedHold(run, step.target, session, { pending: namesOf(step), planning })
    const backup = planning && session && backsUp(run) ? await planBackup(run, step, session) : []
    const asked = ends.map((change) => ({ ...change, implied: true }))
    show([...backup, ...ends, ...step.changes], { items: () => [...backup, ...asked, ...itemsOf(step)] })
    return ends
  } catch (error) {
    show(step.changes, { refused: true })
    throw error
  }
}

async function planBackup(run: Run, step: MigrateStep, session: Session): Promise<Change[]> {
  const { firstBackup } = await import('./backup-first.ts')
  const change = await firstBackup(run, step, session)
  return change ? [change] : []
}

const namesOf = ({ plan }: MigrateStep) => plan.steps.filter(({ fake }) => !fake).map(({ name }) => name)

/** @throws {AppError} for a plan that must not be applied, with what linting finds */
async function refuse(
  { context }: Run,
  step: MigrateStep,
  { session, lint }: { session: Session | undefined; lint: boolean },
): Promise<void> {
  refusePlan(step.plan)
  if (step.plan.steps.length === 0 || !lint) return
  const { lintPending } = await import('./lint.ts')
  await lintPending(context, step, session?.sql)
}

/** An accepted risk is mentioned in every plan. */
const isAccepted = ({ context }: Run) => context.loaded.config.migrate.isolation === 'role'

/** When migrations are applied, they are only linted if the configuration sets a rule to error. */
const lintStops = ({ context }: Run) => Object.values(context.loaded.config.migrate.lint.rules).includes('error')

async function openTarget(run: Run, { database }: MigrateTarget, session: Session | undefined): Promise<Session> {
  if (session) return session
  if (database === undefined) return run.openTarget()
  throw new AppError('refused', `the database ${database} does not exist`, {
    hint: 'run `pgbosun up`, which creates the declared databases',
  })
}

/** Adds which databases are done, when there are several. */
function withDone(error: AppError, before: StepResult[], done: string[], failed: string): AppError {
  if (done.length === 0) return error
  const { excerpt, report } = error
  const results = [
    ...before.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
    ...((report?.results as unknown[] | undefined) ?? []),
  ]
  const said = `the migrations of ${someOf(done)} are done; those of ${failed} failed`
  return error.with({
    excerpt: excerpt === undefined ? said : `${excerpt}\n${said}`,
    report: { databases_done: done, ...report, results },
  })
}

/** What every target would apply, without showing it. */
export async function planAll(run: Run, targets: MigrateTarget[], options: PlanOptions): Promise<MigrateStep[]> {
  const steps: MigrateStep[] = []
  for (const target of targets) {
    if (target.command) continue
    steps.push(
      await inTarget(run, target, (session) =>
        planMigrateStep(run.context, target, session && run.reads(session), options),
      ),
    )
  }
  return steps
}

/**
 * Refuses what must not be applied, in any of the targets. What looks like a problem may be the work of a tool that is still running,
 * so its lock is waited for.
 * @throws {AppError} `history`, `migration`
 */
export async function refuseAll(run: Run, targets: MigrateTarget[]): Promise<void> {
  const options = { looking: true }
  for (const step of await planAll(run, targets, options)) {
    const { target, plan } = step
    if (plan.problems.length === 0) {
      refusePlan(plan)
      if (namesOf(step).length > 0)
        await inTarget(run, target, (session) => heedHold(run, target, session, { pending: namesOf(step) }))
    } else
      await inTarget(run, target, (session) =>
        planUnderNativeLock(run, target, session, options, async (_, step) => refusePlan(step.plan)),
      )
  }
}
