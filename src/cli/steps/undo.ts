import type { Session } from '../../db/connect.ts'
import { applyState } from '../../db/state.ts'
import { planUndo, type UndoPlan, type UndoWanted } from '../../migrate/plan-undo.ts'
import type { StepResult } from '../../migrate/types.ts'
import { undoMigrations } from '../../migrate/undo.ts'
import { refuseProblems } from '../../migrate/verify.ts'
import type { Change } from '../../plan.ts'
import type { Context } from '../command.ts'
import type { Journal } from '../journal.ts'
import { withProgress } from '../progress.ts'
import type { Run } from '../run.ts'
import { type MigrateStep, planMigrateStep, runOptions, withNativeLock } from './migrate.ts'
import { inDatabase, type MigrateTarget } from './migrate-targets.ts'

/** What is known of the database, and what to undo there. */
export type UndoStepPlan = { look: MigrateStep; undo: UndoPlan; changes: Change[] }

/**
 * Plans to undo migrations of a database.
 * @throws {AppError} `usage` for one that cannot be undone; `history` when another one was begun and did not finish
 */
export async function planUndoStep(
  context: Context,
  target: MigrateTarget,
  { sql }: Session,
  wanted: UndoWanted,
): Promise<UndoStepPlan> {
  const look = await planMigrateStep(context, target, sql)
  const { files, history, policy } = look
  refuseProblems(
    look.plan.problems.filter((problem) => problem.code === 'interrupted' && !isBeingUndone(look, problem.name)),
  )
  const undo = planUndo(files, history, policy, wanted)
  const changes = undo.steps.map(
    ({ name, reason }): Change => ({ action: 'undo', object: `migration ${name}${inDatabase(target)}`, reason }),
  )
  return { look, undo, changes }
}

const isBeingUndone = ({ history }: MigrateStep, name: string) =>
  history.applied.some((row) => row.name === name && row.progress?.direction === 'down')

/** Undoes exactly what was planned. */
export async function applyUndoStep(
  run: Run,
  { look, undo }: UndoStepPlan,
  session: Session,
  journal: Journal,
): Promise<StepResult[]> {
  const { target, book, state } = look
  if (undo.steps.length === 0 || !book) return []
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(session.sql, state)
  }
  const results = await withNativeLock(run, look, book, (guarded) =>
    withProgress(run.context.log, 'migrations', async (onProgress) =>
      undoMigrations({ ...(await runOptions(guarded, target, book, session, journal)), plan: undo, onProgress }),
    ),
  )
  return results.map((result) => ({ ...result, name: `${result.name}${inDatabase(target)}` }))
}
