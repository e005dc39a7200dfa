import { statementsBeforeErrors } from '../db/answers.ts'
import type { Sql } from '../db/connect.ts'
import { scan } from '../db/scan.ts'
import { hintFor as askHint, isConnectionLost, isServerError } from '../db/sqlstate.ts'
import { AppError, withReport } from '../errors.ts'
import { type Log, silentLog } from '../log.ts'
import type { BeforeChange } from '../plan.ts'
import { leftovers, runAlone } from './alone.ts'
import { migrationFailed } from './failure.ts'
import { openFlight } from './flight.ts'
import { refuseUnsendable } from './inspect.ts'
import { filePrefix, leavesTraces, preflight, resetTraces, writeDurations } from './message.ts'
import type { MigrationPlan, MigrationStep, StepResult } from './types.ts'

export type ApplyOptions = {
  /** A session (`max: 1`) that is used for nothing else meanwhile. */
  sql: Sql
  plan: MigrationPlan
  /** Role that runs the files; without one, the session user. */
  role: string | undefined
  lockTimeoutMs: number
  toolVersion: string
  beforeChange: BeforeChange
  /** Called before each message; throws when the run lock or the session was lost, and nothing more is sent. */
  guard(): void
  /** Advice for a server's error; default: that of db/sqlstate. */
  hintFor?: (error: unknown) => Promise<string | undefined>
  onProgress?: (done: number, total: number) => void
  log?: Log
}

/** The step that failed. `prefixLength`: code points sent before its text. */
type Failure = { step: MigrationStep; error: unknown; prefixLength: number; statement?: number | undefined }

/**
 * Applies the steps in order, each in one transaction together with its row in pgbosun.migrations, pipelined;
 * steps outside transactions run alone. The first failure ends it: what was applied before stays, nothing behind it runs.
 *
 * @returns one result for each step
 * @throws {AppError} `migration`, `locked`, `lint`, `history` with the results so far as `report.results`;
 *   `refused` when `role` may not be used; the errors of a lost connection as they are
 */
export async function applyMigrations(options: ApplyOptions): Promise<StepResult[]> {
  const { plan, beforeChange, guard } = options
  const results = plan.steps.map(({ name }): StepResult => ({ name, status: 'not-run', durationMs: 0 }))
  if (plan.steps.length === 0) return results
  try {
    refuseUnsendable(plan.steps)
    await beforeChange()
    guard()
    await checkBefore(options)
    const failure = await sendAll(options, results)
    if (failure) throw await explain(options, failure, results)
    await finish(options, results)
    return results
  } catch (error) {
    throw error instanceof AppError ? withReport(error, reportOf(results)) : error
  }
}

/** The results as fields of the command's JSON document. */
export const reportOf = (results: StepResult[]) => ({
  results: results.map(({ name, status, durationMs }) => ({ name, status, duration_ms: durationMs })),
})

/** The role must be usable; and rows that somebody else wrote since the plan was made would break the chain. */
async function checkBefore({ sql, plan, role }: ApplyOptions): Promise<void> {
  const answer = await sql.unsafe<{ last: number }[][]>(preflight(role)).catch((error: unknown) => {
    if (isConnectionLost(error) || !isServerError(error)) throw error
    throw new AppError('refused', `the migrations cannot run as ${role ?? 'this user'}: ${error.message}`, {
      hint: `make the user that connects a member of ${role ?? 'the owner'}, or set \`migrate.role\``,
      sqlstate: error.code,
      cause: error,
    })
  })
  if (answer.flat()[0]?.last === plan.lastSeq) return
  throw new AppError('history', 'the history changed after the migrations were planned', { hint: 'run this again' })
}

/** Sends every step, until one fails; returns when the server is done with what was sent. */
async function sendAll(options: ApplyOptions, results: StepResult[]): Promise<Failure | undefined> {
  const { sql, plan, toolVersion, guard, onProgress, log = silentLog } = options
  const flight = openFlight(sql)
  const errorsBefore = statementsBeforeErrors(sql).length
  let failure: Failure | undefined

  for (const [i, step] of plan.steps.entries()) {
    const chain = { seq: plan.lastSeq + i + 1, previous: plan.lastSeq + i, toolVersion }
    const done = (ms: number) => {
      const durationMs = Math.round(ms)
      results[i] = { name: step.name, status: 'applied', durationMs }
      log.debug({ migration: step.name, duration_ms: durationMs }, 'applied')
      onProgress?.(i + 1, plan.steps.length)
    }
    await (step.transactional ? flight.room() : flight.drain())
    if (flight.failed()) break
    await guardOr(guard, flight.drain)

    if (step.transactional) {
      const prefix = filePrefix(step, { ...chain, status: 'applied' }, options)
      flight.send(prefix + step.text, done, (error) => {
        const ended = statementsBeforeErrors(sql)[errorsBefore]
        const statement = ended === undefined ? undefined : ended - scan(prefix).statements.length
        failure = { step, error, prefixLength: [...prefix].length, statement }
      })
      if (leavesTraces(step.text)) flight.send(resetTraces)
    } else {
      await runAlone(sql, step, { ...chain, status: 'started' }, options).then(done, (error) => {
        failure = { step, error, prefixLength: 0 }
      })
      if (failure) break
    }
  }
  await flight.drain()
  return failure
}

/** When the lock is lost, what is under way is let end first, so that the results are right. */
async function guardOr(guard: () => void, drain: () => Promise<void>): Promise<void> {
  try {
    guard()
  } catch (error) {
    await drain()
    throw error
  }
}

/** Writes the durations and waits for the disk. Steps outside transactions have written theirs. */
async function finish({ sql, plan, guard }: ApplyOptions, results: StepResult[]): Promise<void> {
  guard()
  const rows = results
    .map(({ status, durationMs }, i) => ({
      seq: plan.lastSeq + i + 1,
      durationMs,
      status,
      transactional: plan.steps[i]?.transactional,
    }))
    .filter(({ status, transactional }) => status === 'applied' && transactional)
  if (rows.length === 0) return
  const [answer] = (await sql.unsafe<{ idle: boolean }[][]>(writeDurations(rows))).flat()
  if (answer?.idle) return
  await sql.unsafe('rollback')
  throw new AppError('migration', 'one of the files left a transaction open', { hint: 'remove BEGIN from it' })
}

/** Makes an error of a failed step. What came before it is applied, and brought to disk first. */
async function explain(
  options: ApplyOptions,
  { step, error, prefixLength, statement }: Failure,
  results: StepResult[],
): Promise<unknown> {
  const { sql, plan, hintFor = (cause) => askHint(sql, cause) } = options
  if (isConnectionLost(error) || !isServerError(error)) return error
  const at = plan.steps.indexOf(step)
  results[at] = { name: step.name, status: 'failed', durationMs: 0 }
  await finish(options, results)
  const hints = [step.transactional ? undefined : await leftovers(sql, step), await hintFor(error)]
  const hint = hints.filter((hint) => hint).join('; ') || undefined
  return migrationFailed(step, error, { prefixLength, statement, hint })
}
