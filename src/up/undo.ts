import { undoMigrations } from '../migrate/apply/undo.ts'
import { planUndo, type UndoPlan, type UndoWanted } from '../migrate/plan/undo.ts'
import { refuseProblems } from '../migrate/plan/verify.ts'
import type { StepResult } from '../migrate/types.ts'
import type { Change } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import { withProgress } from '../run/progress.ts'
import type { Run } from '../run/run.ts'
import { applyState } from '../state/state.ts'
import { isolationFor } from './isolation/choose.ts'
import { type FileWork, withFileSession } from './isolation/session.ts'
import { type MigrateStep, planMigrateStep, runOptions } from './migrate.ts'
import { placeOf } from './place.ts'
import { inDatabase, type MigrateTarget } from './target.ts'

/** What is known about the database, and what to undo there. */
export type UndoStepPlan = { look: MigrateStep; undo: UndoPlan; changes: Change[] }

/**
 * Plans to undo migrations of a database.
 * @throws {AppError} `usage` for one that cannot be undone; `history` when another one was started and did not finish
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

/** Undoes exactly what was planned, under the lock of the tool whose history it is. */
export async function applyUndoStep(
  run: Run,
  { look, undo }: UndoStepPlan,
  session: Session,
  journal: Journal,
): Promise<StepResult[]> {
  const { target, historyTable, state } = look
  if (undo.steps.length === 0 || !historyTable) return []
  const place = await placeOf(run.context, session.sql, target)
  const isolation = await isolationFor(run.context, session.sql, place.role)
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(session.sql, state)
  }
  const work = workOf(run, look, undo, { own: session, role: place.role, isolation })
  const results = await withFileSession(run, work, async (files) => {
    const options = await runOptions(run, { historyTable, place, own: session, files, journal })
    return withProgress(run.context, 'migrations', (onProgress) =>
      undoMigrations({ ...options, plan: undo, onProgress }),
    )
  })
  return results.map((result) => ({ ...result, name: `${result.name}${inDatabase(target)}` }))
}

/** The session's work while scripts undo: they may record the rows of their migrations, and new ones. */
function workOf(
  { context }: Run,
  { target }: MigrateStep,
  { steps, lastSeq, lastDetail }: UndoPlan,
  rest: Pick<FileWork, 'own' | 'role' | 'isolation'>,
): FileWork {
  const seqs = steps.map(({ row }) => row.seq).filter((seq) => seq > 0)
  return {
    ...rest,
    database: target.database ?? context.connection().database,
    migrations: { after: lastSeq, seqs },
    details: { after: lastDetail, seqs },
  }
}
