import type { Session } from '../postgres/session.ts'
import type { Run } from '../run/run.ts'
import { lookAt, type MigrateStep, type PlanOptions, planMigrateStep, withNativeLock } from './migrate.ts'
import type { MigrateTarget } from './target.ts'

/**
 * Holds the other tool's own lock, if it has one, while `work` reads the history, plans and applies: what was read before the lock was
 * free may be what that tool was changing.
 * @param session in the target's database; undefined when `work` changes nothing, and so needs no lock
 */
export async function underNativeLock<T>(
  run: Run,
  target: MigrateTarget,
  session: Session | undefined,
  work: (run: Run) => Promise<T>,
): Promise<T> {
  if (!session) return work(run)
  const { historyTable } = await lookAt(run.context, target, session.sql)
  return historyTable ? withNativeLock(run, { target }, historyTable, work) : work(run)
}

/**
 * Plans the step, and lets `work` go on with it. If there is something to do, or to complain about, that is under the other tool's own
 * lock, and planned again there: the tool may have been doing just that.
 */
export async function planUnderNativeLock<T>(
  run: Run,
  target: MigrateTarget,
  session: Session | undefined,
  options: PlanOptions,
  work: (run: Run, step: MigrateStep) => Promise<T>,
): Promise<T> {
  const plan = () => planMigrateStep(run.context, target, session && run.reads(session), options)
  const step = await plan()
  const { steps, problems } = step.plan
  if (!step.historyTable || steps.length + problems.length === 0) return work(run, step)
  return withNativeLock(run, step, step.historyTable, async (locked) => {
    if (locked === run) return work(run, step)
    run.forget()
    return work(locked, await plan())
  })
}
