import { onServerNotice, statementsBeforeErrors } from '../db/answers.ts'
import { scan } from '../db/scan.ts'
import { sendPieces } from '../db/send.ts'
import { hintFor as askHint, isConnectionLost, isServerError } from '../db/sqlstate.ts'
import { inTransaction } from '../db/transaction.ts'
import { AppError, withReport } from '../errors.ts'
import { asRefused, logNotice, type RunOptions, reportOf, settingsOf } from './apply.ts'
import { ledgerOf } from './book.ts'
import { migrationFailed } from './failure.ts'
import { preflight, progressOf, resetTraces, type SplitRecord, undoPrefix } from './message.ts'
import type { UndoPlan, UndoStep } from './plan-undo.ts'
import { isRefusal, refusalError } from './sending.ts'
import { progressAt, runSplit, UnitFailure } from './split.ts'
import type { Progress, StepResult } from './types.ts'

export type UndoOptions = RunOptions & { plan: UndoPlan }

type Running = UndoOptions & ReturnType<typeof settingsOf>

/** Numbers of our own rows. `next`: of one that is added. */
type Numbers = { seq: number; next: number }

/**
 * Undoes the steps in order, each in one transaction together with its record; those that must be outside transactions
 * statement by statement. The first failure ends it: what was undone before stays undone.
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
    for (const { name, down, sending } of plan.steps) if (isRefusal(sending)) throw refusalError(name, down, sending)
    await beforeChange()
    guard()
    let { lastDetail } = await checkBefore(options)
    for (const [i, step] of plan.steps.entries()) {
      guard()
      onServerNotice(options.sql, (notice) => logNotice(running.log, step.name, notice))
      const numbers = { seq: step.row.seq, next: ++lastDetail }
      const durationMs = Math.round(
        await undoOne(running, step, numbers).catch((error) => failed(running, results, i, error)),
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

async function checkBefore({ sql, plan, book, role }: UndoOptions): Promise<{ lastDetail: number }> {
  const answer = await sql
    .unsafe<{ lastSeq: number; lastDetail: number }[][]>(preflight(role))
    .catch((error: unknown) => {
      throw asRefused(error, role)
    })
  const [ends] = answer.flat()
  if (ends && (book.native || ends.lastSeq === plan.lastSeq) && ends.lastDetail === plan.lastDetail) return ends
  throw new AppError('history', 'the history changed after this was planned', { hint: 'run this again' })
}

/** Returns how long it took, in ms. */
async function undoOne(running: Running, step: UndoStep, numbers: Numbers): Promise<number> {
  const { sql, book, settings, patience, guard, log, watch } = running
  const { sending, down, name, resume } = step
  if (!isRefusal(sending) && sending.mode === 'split') {
    const record = recordOfUndo(running, step, numbers, progressAt(down, sending.units, 'down', 0))
    const { units } = sending
    return runSplit({
      sql,
      book,
      name,
      script: down,
      units,
      record,
      direction: 'down',
      resume,
      settings,
      patience,
      guard,
      log,
    })
  }
  for (;;) {
    watch?.start()
    const startedAt = performance.now()
    try {
      await sendWhole(running, step, numbers)
      return performance.now() - startedAt
    } catch (error) {
      await watch?.stop()
      if (isConnectionLost(error) || !(await patience.again(name, error))) throw error
    }
  }
}

async function sendWhole(
  { sql, book, settings, toolVersion }: Running,
  { sending, file, before, down }: UndoStep,
  numbers: Numbers,
) {
  const statements = ledgerOf(book, file).undo({ ...numbers, toolVersion, file })
  const native = book.native && book.dialect.native!.unrecord(book.native.table, file, before)
  const prefix = undoPrefix(statements, native, book, settings)
  if (!isRefusal(sending) && sending.mode === 'pieces') {
    await inTransaction(sql, async (tx) => {
      await tx.unsafe(prefix)
      await sendPieces(tx, down.text, sending.pieces)
    })
  } else {
    const text = isRefusal(sending) || sending.mode !== 'wrapped' ? '' : sending.text
    await sql
      .unsafe(prefix + text)
      .forEach(() => {})
      .catch((error: unknown) => {
        prefixes.set(error as object, prefix)
        throw error
      })
  }
  await sql.unsafe(resetTraces)
}

/** What was sent before the text of the message that failed. */
const prefixes = new WeakMap<object, string>()

/** What another tool applied gets a row of ours first, for the progress to be noted in. */
function recordOfUndo(
  { book, toolVersion }: Running,
  { file, before, resume }: UndoStep,
  { seq, next }: Numbers,
  start: Progress,
): SplitRecord {
  const ledger = ledgerOf(book, file)
  const added = seq === 0 ? { seq: next, previous: next - 1, status: 'applied' as const, toolVersion } : undefined
  const own = added?.seq ?? seq
  const insert = added ? `${ledger.insert(file, added)}; ` : ''
  return {
    begin: resume ? undefined : { own: `${insert}${progressOf(ledger, own, start)}`, native: undefined },
    progress: (progress) => progressOf(ledger, own, progress),
    finish: () => ({
      own: ledger.undo({ seq: own, next: added ? next + 1 : next, toolVersion, file }),
      native: book.native && book.dialect.native!.unrecord(book.native.table, file, before),
    }),
    forget: () => ({ own: `update ${ledger.table} set progress = null where seq = ${own}`, native: undefined }),
  }
}

async function failed(running: Running, results: StepResult[], at: number, thrown: unknown): Promise<never> {
  const { sql, book, plan, patience, hintFor = (cause) => askHint(sql, cause) } = running
  const error = thrown instanceof UnitFailure ? thrown.cause : thrown
  const step = plan.steps[at]!
  if (isConnectionLost(error) || !isServerError(error)) throw error
  results[at] = { name: step.name, status: 'failed', durationMs: 0 }
  const { down, sending } = step
  const unit =
    thrown instanceof UnitFailure && !isRefusal(sending) && sending.mode === 'split'
      ? sending.units[thrown.unit]
      : undefined
  const prefix = prefixes.get(error as object) ?? ''
  const ended = statementsBeforeErrors(sql).at(-1) ?? 0
  const statement = unit
    ? scan(down.text).statements.filter(({ start }) => start < unit.start).length
    : ended - scan(prefix).statements.length
  throw migrationFailed(`undoing ${step.name}`, down, error, {
    book,
    prefixLength: unit ? -[...down.text.slice(0, unit.start)].length : [...prefix].length,
    statement,
    hint: await hintFor(error),
    blockedBy: patience.blockedBy(),
  })
}
