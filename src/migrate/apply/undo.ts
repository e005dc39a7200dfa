import { AppError, withReport } from '../../errors.ts'
import type { Progress } from '../../formats/types.ts'
import { onServerNotice } from '../../postgres/answers.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { sendPieces } from '../../postgres/send.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { hintFor as askHint } from '../../postgres/sqlstate.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { ownTableOf } from '../history/history-table.ts'
import { isUnsendable } from '../plan/sending.ts'
import type { UndoPlan, UndoStep } from '../plan/undo.ts'
import type { StepResult } from '../types.ts'
import { failedPart, stoppedWithin } from './failed-part.ts'
import { hintOnTransaction, migrationFailed } from './failure.ts'
import { logNotice, readEnds, reportOf, type ScriptOptions, settingsOf } from './options.ts'
import { refuseUnsendableScript } from './sendable.ts'
import { progressAt, runSplit, UnitFailure } from './split.ts'
import { cleanSession, type SplitRecord, undoPrefix } from './statements.ts'

export type UndoOptions = ScriptOptions & { plan: UndoPlan }

type Running = UndoOptions & ReturnType<typeof settingsOf>

/** Numbers of our own rows. `next`: the number of a row that is added. */
type Numbers = { seq: number; next: number }

/**
 * Undoes the steps in order, each in one transaction together with its record; steps that must run outside a transaction run
 * statement by statement. The first failure ends the run: what was undone before it stays undone.
 *
 * @returns one result for each step, `applied` meaning that it was undone
 * @throws {AppError} as `applyMigrations`
 */
export async function undoMigrations(options: UndoOptions): Promise<StepResult[]> {
  const { plan, beforeChange, guard } = options
  const results = plan.steps.map(({ name }): StepResult => ({ name, status: 'not-run', durationMs: 0 }))
  if (plan.steps.length === 0) return results
  const running: Running = { ...options, ...settingsOf(options) }
  try {
    for (const { name, down, sending } of plan.steps) refuseUnsendableScript(name, down, sending)
    await beforeChange()
    guard()
    let { lastDetail } = await checkBefore(options)
    options.watch?.start()
    for (const [i, step] of plan.steps.entries()) {
      guard()
      onServerNotice(options.sql, (notice) => logNotice(running.log, step.name, notice))
      const numbers = { seq: step.row.seq, next: lastDetail + 1 }
      // One row says that it was undone. Before it, a migration that another tool applied needs a row for its progress.
      lastDetail += hasRowFirst(step) ? 2 : 1
      const durationMs = Math.round(
        await undoOne(running, step, numbers).catch((error) => failed(running, { at: i, numbers, results }, error)),
      )
      results[i] = { name: step.name, status: 'applied', durationMs }
      options.onProgress?.(i + 1, plan.steps.length, step.name, durationMs)
    }
    return results
  } catch (error) {
    throw error instanceof AppError ? withReport(error, reportOf(results)) : error
  } finally {
    onServerNotice(options.sql, undefined)
    await options.watch?.stop()
  }
}

async function checkBefore({ sql, own, plan, historyTable, role }: UndoOptions): Promise<{ lastDetail: number }> {
  const ends = await readEnds(sql, role, own)
  if ((historyTable.native || ends.lastSeq === plan.lastSeq) && ends.lastDetail === plan.lastDetail) return ends
  throw new AppError('history', 'the history changed after this was planned', { hint: 'run this again' })
}

/** Returns how long it took, in ms. */
async function undoOne(running: Running, step: UndoStep, numbers: Numbers): Promise<number> {
  const { sql, historyTable, settings, retryPolicy, guard, log, watch } = running
  const { sending, down, name, resume } = step
  if (!isUnsendable(sending) && sending.mode === 'split') {
    const record = recordOfUndo(running, step, numbers, progressAt(down, sending.units, 'down', 0))
    const { units } = sending
    return runSplit({
      sql,
      historyTable,
      name,
      script: down,
      units,
      record,
      direction: 'down',
      resume,
      settings,
      retryPolicy,
      guard,
      log,
    })
  }
  for (;;) {
    guard()
    watch?.start()
    const startedAt = performance.now()
    try {
      await sendWhole(running, step, numbers)
      return performance.now() - startedAt
    } catch (error) {
      await watch?.stop()
      if (isConnectionLost(error) || !(await retryPolicy.again(name, error))) throw error
    }
  }
}

async function sendWhole(running: Running, step: UndoStep, numbers: Numbers): Promise<void> {
  const { sql, guard } = running
  const { sending, down } = step
  const prefix = prefixOf(running, step, numbers)
  if (!isUnsendable(sending) && sending.mode === 'pieces') {
    await inTransaction(sql, async (tx) => {
      await tx.unsafe(prefix)
      await sendPieces(tx, down.text, sending.pieces, { onPiece: guard })
      guard()
    })
  } else {
    const text = isUnsendable(sending) || sending.mode !== 'wrapped' ? '' : sending.text
    await sql.unsafe(prefix + text).forEach(() => {})
  }
  await sql.unsafe(cleanSession)
}

function prefixOf(
  { historyTable, settings, toolVersion }: Running,
  { file, before, sending }: UndoStep,
  numbers: Numbers,
): string {
  const statements = ownTableOf(historyTable, file).undo({ ...numbers, toolVersion, file })
  const native = historyTable.native && historyTable.format.native!.unrecord(historyTable.native.table, file, before)
  return undoPrefix(sending, statements, native, historyTable, settings)
}

/** Whether it first needs a row of ours to record the progress in, because another tool applied it. */
const hasRowFirst = ({ row, sending }: UndoStep) => row.seq === 0 && !isUnsendable(sending) && sending.mode === 'split'

function recordOfUndo(
  { historyTable, toolVersion }: Running,
  step: UndoStep,
  { seq, next }: Numbers,
  start: Progress,
): SplitRecord {
  const { file, before, resume } = step
  const ledger = ownTableOf(historyTable, file)
  const added = hasRowFirst(step)
    ? { seq: next, previous: next - 1, status: 'applied' as const, toolVersion }
    : undefined
  const own = added?.seq ?? seq
  const insert = added ? `${ledger.insert(file, added)}; ` : ''
  return {
    begin: resume ? undefined : { own: `${insert}${ledger.progress(own, start)}`, native: undefined },
    progress: (progress) => ledger.progress(own, progress),
    finish: () => ({
      own: ledger.undo({ seq: own, next: added ? next + 1 : next, toolVersion, file }),
      native: historyTable.native && historyTable.format.native!.unrecord(historyTable.native.table, file, before),
    }),
    forget: () => ({
      own: added ? ledger.forget(own) : ledger.progress(own, null),
      native: undefined,
    }),
  }
}

async function failed(
  running: Running,
  { at, numbers, results }: { at: number; numbers: Numbers; results: StepResult[] },
  thrown: unknown,
): Promise<never> {
  const { sql, historyTable, plan, retryPolicy, path, hintFor = (cause) => askHint(sql, cause, { path }) } = running
  const error = thrown instanceof UnitFailure ? thrown.cause : thrown
  const step = plan.steps[at]!
  if (isConnectionLost(error) || !isServerError(error)) throw error
  results[at] = { name: step.name, status: 'failed', durationMs: 0 }
  const { down, sending } = step
  const { left, ...where } = failedPart(
    sql,
    { sending, text: down.text, prefix: prefixOf(running, step, numbers) },
    thrown,
  )
  const hint = hintOnTransaction(error, sending, historyTable.format) ?? (await hintFor(error))
  throw migrationFailed(`undoing ${step.name}`, down, error, {
    prefixLength: 0,
    ...where,
    historyTable,
    left: [left, stoppedWithin(step, thrown)],
    hint,
    blockedBy: retryPolicy.blockedBy(),
  })
}
