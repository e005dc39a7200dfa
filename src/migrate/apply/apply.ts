import { AppError, withReport } from '../../errors.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { hintFor as askHint } from '../../postgres/sqlstate.ts'
import { type NewRow, ownTableOf } from '../history/history-table.ts'
import { isUnsendable } from '../plan/sending.ts'
import type { StepResult } from '../types.ts'
import { stoppedWithin } from './failed-part.ts'
import { hintOnTransaction, hintOnUndone, migrationFailed } from './failure.ts'
import { createNative, readEnds, reportOf, settingsOf } from './options.ts'
import type { ApplyOptions, Failure, Running } from './running.ts'
import { sendPatiently } from './send.ts'
import { refuseUnsendable } from './sendable.ts'
import { UnitFailure } from './split.ts'
import { writeDurations, writeNativeDurations } from './statements.ts'

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
