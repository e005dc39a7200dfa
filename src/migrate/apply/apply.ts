import { AppError, withReport } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { onServerNotice, statementsBeforeErrors } from '../../postgres/answers.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { sendPieces } from '../../postgres/send.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { hintFor as askHint } from '../../postgres/sqlstate.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import type { Piece } from '../../sql/pieces.ts'
import { type NewRow, ownTableOf } from '../history/history-table.ts'
import { isUnsendable } from '../plan/sending.ts'
import type { MigrationPlan, MigrationStep, StepResult } from '../types.ts'
import { type FailedPart, failedPart, placeBehind, stoppedWithin } from './failed-part.ts'
import { hintOnTransaction, hintOnUndone, migrationFailed } from './failure.ts'
import { createNative, logNotice, readEnds, reportOf, type ScriptOptions, settingsOf } from './options.ts'
import { openPipeline, type Pipeline } from './pipeline.ts'
import type { RetryPolicy } from './retry.ts'
import { refuseUnsendable } from './sendable.ts'
import { progressAt, runSplit, UnitFailure } from './split.ts'
import {
  cleanSession,
  type FileSettings,
  filePrefix,
  leavesTraces,
  recordOfStep,
  writeDurations,
  writeNativeDurations,
} from './statements.ts'

export type ApplyOptions = ScriptOptions & {
  plan: MigrationPlan
  /** If given, no file is sent before the one before it has ended. */
  around?: Around | undefined
}

/**
 * Wraps each file that is run. `apply` runs it and resolves to the time that it took, in ms; when everything of it has run and only the
 * commit is missing, it waits for `look`, whose time does not count. A file outside a transaction has no such moment.
 */
export type Around = (step: MigrationStep, apply: (look: () => Promise<void>) => Promise<number>) => Promise<number>

/** Which step failed, and which part of it. `prefixLength`: code points sent before its text. */
type Failure = {
  at: number
  error: unknown
  prefixLength: number
  statement?: number | undefined
  piece?: Piece | undefined
  left?: string | undefined
}

/** A running `applyMigrations`. */
type Running = ApplyOptions & {
  results: StepResult[]
  /** How long each step took, in ms, not rounded. */
  elapsed: number[]
  rows: NewRow[]
  settings: FileSettings
  retryPolicy: RetryPolicy
  log: Log
}

/**
 * Applies the steps in order. Each is one transaction together with its record, and they are pipelined; steps that must run outside
 * a transaction run alone, statement by statement. A step that could not get a lock is tried again. The first failure ends the run:
 * what was applied before it stays, and nothing after it runs.
 *
 * @returns one result for each step
 * @throws {AppError} `migration`, `locked`, `lint`, `history` with the results so far as `report.results`;
 *   `refused` if `role` may not be used; errors of a lost connection unchanged
 */
export async function applyMigrations(options: ApplyOptions): Promise<StepResult[]> {
  const { plan, beforeChange, guard } = options
  const results = plan.steps.map(({ name }): StepResult => ({ name, status: 'not-run', durationMs: 0 }))
  if (plan.steps.length === 0) return results
  const running = prepare(options, results)
  try {
    refuseUnsendable(plan.steps)
    await beforeChange()
    guard()
    await checkBefore(options)
    await createNative(options)
    const failure = await sendPatiently(running)
    if (failure) throw await explain(running, failure)
    await finish(running)
    return results
  } catch (error) {
    throw error instanceof AppError ? withReport(error, reportOf(results)) : error
  } finally {
    await options.watch?.stop()
  }
}

/** Prepares a run; `rows`: the rows of the chains, one for each step. */
function prepare(options: ApplyOptions, results: StepResult[]): Running {
  const { plan, historyTable, toolVersion } = options
  const ends = { 'pgbosun.migrations': plan.lastSeq, 'pgbosun.migration_details': plan.lastDetail }
  const rows = plan.steps.map((step): NewRow => {
    const split = !isUnsendable(step.sending) && step.sending.mode === 'split'
    const status = step.fake ? 'faked' : split ? 'started' : 'applied'
    if (step.resume) return { seq: step.resume.seq, previous: 0, status, toolVersion }
    const { table } = ownTableOf(historyTable, step)
    const previous = ends[table]
    ends[table] = previous + 1
    return { seq: previous + 1, previous, status, toolVersion }
  })
  return { ...options, results, elapsed: [], rows, ...settingsOf(options) }
}

/** Checks that the role may be used, and that nobody wrote rows since the plan was made, which would break the chain. */
async function checkBefore({ sql, own, plan, historyTable, role }: ApplyOptions): Promise<void> {
  const ends = await readEnds(sql, role, own)
  if ((historyTable.native || ends.lastSeq === plan.lastSeq) && ends.lastDetail === plan.lastDetail) return
  throw new AppError('history', 'the history changed after the migrations were planned', { hint: 'run this again' })
}

/** Sends the steps until all are sent, or one failed that is not worth another attempt. */
async function sendPatiently(running: Running): Promise<Failure | undefined> {
  const { plan, retryPolicy } = running
  for (let from = 0; ; ) {
    const failure = await sendFrom(running, from)
    if (!failure) return undefined
    const step = plan.steps[failure.at]!
    const split = failure.error instanceof UnitFailure
    if (split || isConnectionLost(failure.error) || !(await retryPolicy.again(step.name, failure.error))) return failure
    from = failure.at
  }
}

/** Sends the steps starting from one, until one fails; returns once the server has finished what was sent. */
async function sendFrom(running: Running, from: number): Promise<Failure | undefined> {
  const { sql, plan, guard, watch } = running
  let pipeline = openPipeline(sql)
  let errorsBefore = statementsBeforeErrors(sql).length
  let failure: Failure | undefined
  let broken: { error: unknown } | undefined
  const fail = (at: number, error: unknown, where: Partial<Failure> = {}) => {
    failure ??= { at, error, prefixLength: 0, ...where }
  }
  const senderOf = new Map<number, string>()
  let current = ''
  onServerNotice(sql, (notice) => logNotice(running.log, senderOf.get(notice.after) ?? current, notice))
  watch?.start()
  for (let i = from; i < plan.steps.length && !failure; i++) {
    const step = plan.steps[i]!
    const pipelined = isPipelined(running, i)
    await (pipelined ? pipeline.room() : pipeline.drain())
    if (pipeline.failed()) break
    await guardOr(guard, pipeline.drain)
    current = step.name
    if (pipelined) {
      senderOf.set(sendWrapped(running, pipeline, i, errorsBefore, fail), step.name)
      if (leavesTraces(step.text)) {
        pipeline.send(cleanSession, undefined, (error) => {
          broken = { error }
        })
      }
    } else {
      await runAwaited(running, step, i).then(
        (ms) => done(running, i, ms),
        (error) => fail(i, error, awaitedPlace(running, i, error)),
      )
      // This pipeline does not count what was sent, failed and tried again meanwhile.
      pipeline = openPipeline(sql)
      errorsBefore = statementsBeforeErrors(sql).length
    }
  }
  await pipeline.drain()
  onServerNotice(sql, undefined)
  await watch?.stop()
  if (broken && !failure) throw broken.error
  return failure
}

/** Whether a step is one message that can be sent without waiting for the one before: if that one fails, the chain stops this one too. */
function isPipelined({ plan, historyTable, around }: Running, i: number): boolean {
  if (around) return false
  const step = plan.steps[i]!
  const before = plan.steps[i - 1]
  // A started step already has its row, so its failure would not stop the steps after it.
  if (!isWrapped(step) || step.resume) return false
  return (
    !before || ownTableOf(historyTable, step).table === ownTableOf(historyTable, before).table || !isWrapped(before)
  )
}

const isWrapped = ({ sending, fake }: MigrationStep) => fake || (!isUnsendable(sending) && sending.mode === 'wrapped')

/** The text of a step's message, after the prefix. */
const textOf = ({ sending, fake }: MigrationStep) =>
  fake || isUnsendable(sending) || sending.mode !== 'wrapped' ? '' : sending.text

function sendWrapped(
  running: Running,
  pipeline: Pipeline,
  i: number,
  errorsBefore: number,
  fail: (at: number, error: unknown, where: Partial<Failure>) => void,
): number {
  const { sql, plan, rows, historyTable, settings } = running
  const step = plan.steps[i]!
  const prefix = filePrefix(step, rows[i]!, historyTable, settings)
  return pipeline.send(
    prefix + textOf(step),
    (ms) => done(running, i, ms),
    (error) => fail(i, error, placeBehind(prefix, step, statementsBeforeErrors(sql)[errorsBefore])),
  )
}

/** Runs a step that is not pipelined; returns how long it took, in ms. */
function runAwaited(running: Running, step: MigrationStep, i: number): Promise<number> {
  const { around } = running
  return around && !step.fake ? around(step, (look) => runAlone(running, step, i, look)) : runAlone(running, step, i)
}

/** @param look waited for before the commit; its time does not count */
async function runAlone(running: Running, step: MigrationStep, i: number, look?: () => Promise<void>): Promise<number> {
  const { sql, historyTable, rows, settings, retryPolicy, guard, log } = running
  const { sending } = step
  const row = rows[i]!
  const startedAt = performance.now()
  let lookedMs = 0
  const lookAround = async () => {
    const before = performance.now()
    await look?.()
    lookedMs = performance.now() - before
  }
  if (step.fake || isUnsendable(sending) || sending.mode === 'wrapped') {
    const message = filePrefix(step, row, historyTable, settings) + textOf(step)
    if (!look) await sql.unsafe(message).forEach(() => {})
    else {
      await inTransaction(sql, async (tx) => {
        await tx.unsafe(message).forEach(() => {})
        await lookAround()
      })
      await sql.unsafe(cleanSession)
    }
  } else if (sending.mode === 'pieces') {
    await inTransaction(sql, async (tx) => {
      await tx.unsafe(filePrefix(step, row, historyTable, settings))
      await sendPieces(tx, step.text, sending.pieces, { onPiece: guard })
      guard()
      await lookAround()
    })
    await sql.unsafe(cleanSession)
  } else {
    const { units } = sending
    const record = recordOfStep(step, historyTable, row, progressAt(step, units, 'up', 0))
    const { name, resume } = step
    return runSplit({
      sql,
      historyTable,
      name,
      script: step,
      units,
      record,
      direction: 'up',
      resume,
      settings,
      retryPolicy,
      guard,
      log,
    })
  }
  return performance.now() - startedAt - lookedMs
}

/** Which part of a step failed. */
function awaitedPlace({ sql, plan, rows, historyTable, settings }: Running, i: number, error: unknown): FailedPart {
  const step = plan.steps[i]!
  const prefix = filePrefix(step, rows[i]!, historyTable, settings)
  return failedPart(sql, { ...step, prefix }, error)
}

function done({ plan, results, elapsed, log, onProgress }: Running, i: number, ms: number): void {
  const { name } = plan.steps[i]!
  elapsed[i] = ms
  const durationMs = Math.round(ms)
  results[i] = { name, status: 'applied', durationMs }
  log.debug({ migration: name, duration_ms: durationMs }, 'applied')
  onProgress?.(i + 1, plan.steps.length, name, durationMs)
}

/** If the lock was lost, waits for the messages already sent, so that the results are right. */
async function guardOr(guard: () => void, drain: () => Promise<void>): Promise<void> {
  try {
    guard()
  } catch (error) {
    await drain()
    throw error
  }
}

/** Writes the durations and waits for the disk. Steps outside transactions have written theirs. */
async function finish({
  sql,
  own = sql,
  plan,
  guard,
  results,
  elapsed,
  rows,
  historyTable,
  role,
}: Running): Promise<void> {
  guard()
  const written = results.flatMap(({ status }, i) => {
    const step = plan.steps[i]!
    const row = rows[i]!
    if (status !== 'applied' || row.status === 'started') return []
    return [{ table: ownTableOf(historyTable, step).table, seq: row.seq, durationMs: elapsed[i] ?? 0, file: step }]
  })
  if (written.length === 0) return
  const last = [
    writeNativeDurations(written, historyTable, role),
    ...(own === sql ? [writeDurations(written)] : []),
  ].join('; ')
  const [answer] = (await sql.unsafe<{ idle: boolean }[][]>(last)).flat()
  if (answer?.idle) {
    if (own !== sql) await own.unsafe(writeDurations(written))
    return
  }
  await sql.unsafe('rollback')
  throw new AppError('migration', 'one of the files left a transaction open', {
    hint: 'remove the BEGIN from that file',
  })
}

/** Makes the error for a failed step. First makes sure that the steps applied before it are on disk. */
async function explain(running: Running, { at, error: thrown, left, ...where }: Failure): Promise<unknown> {
  const {
    sql,
    plan,
    results,
    historyTable,
    retryPolicy,
    around,
    path,
    wasUndone,
    hintFor = (cause) => askHint(sql, cause, { path }),
  } = running
  const error = thrown instanceof UnitFailure ? thrown.cause : thrown
  if (isConnectionLost(error) || !isServerError(error)) return error
  const step = plan.steps[at]!
  results[at] = { name: step.name, status: 'failed', durationMs: 0 }
  await finish(running)
  const hint =
    hintOnTransaction(error, step.sending, historyTable.format) ??
    (await hintOnUndone(step.name, error, wasUndone)) ??
    (await hintFor(error))
  return migrationFailed(step.name, step, error, {
    ...where,
    historyTable,
    // Whoever looks at each file does not run it again in the same database.
    left: around ? [] : [left, stoppedWithin(step, thrown)],
    hint,
    blockedBy: retryPolicy.blockedBy(),
  })
}
