import { onServerNotice, statementsBeforeErrors } from '../../postgres/answers.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { sendPieces } from '../../postgres/send.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import { ownTableOf } from '../history/history-table.ts'
import { isUnsendable } from '../plan/sending.ts'
import type { MigrationStep } from '../types.ts'
import { type FailedPart, failedPart, placeBehind } from './failed-part.ts'
import { logNotice } from './options.ts'
import { openPipeline, type Pipeline } from './pipeline.ts'
import type { Failure, Running } from './running.ts'
import { progressAt, runSplit, UnitFailure } from './split.ts'
import { cleanSession, filePrefix, leavesTraces, recordOfStep } from './statements.ts'

/** Sends the steps until all are sent, or one failed that is not worth another attempt. */
export async function sendPatiently(running: Running): Promise<Failure | undefined> {
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
export async function guardOr(guard: () => void, drain: () => Promise<void>): Promise<void> {
  try {
    guard()
  } catch (error) {
    await drain()
    throw error
  }
}
