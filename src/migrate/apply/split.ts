import type { Progress, Script } from '../../formats/types.ts'
import type { Log } from '../../log.ts'
import { copyIn } from '../../postgres/copy.ts'
import type { Sql } from '../../postgres/db.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { inTransaction, rollback } from '../../postgres/transaction.ts'
import { chunksOf } from '../../sql/pieces.ts'
import type { HistoryTable } from '../history/history-table.ts'
import type { Unit } from '../plan/sending.ts'
import { doneHash } from '../plan/verify.ts'
import {
  builtBy,
  concurrentIndexOf,
  dropLeftovers,
  finishOf,
  indexesOf,
  leftBy,
  resumeOther,
  transientOf,
} from './concurrent.ts'
import type { RetryPolicy } from './retry.ts'
import {
  cleanSession,
  closeSplit,
  type FileSettings,
  leavesTraces,
  noteProgress,
  openSplit,
  resumeSession,
  type SplitRecord,
} from './statements.ts'

export type SplitOptions = {
  sql: Sql
  name: string
  script: Script
  units: Unit[]
  historyTable: HistoryTable
  record: SplitRecord
  direction: Progress['direction']
  /** Where an earlier run stopped. */
  resume: Progress | undefined
  settings: FileSettings
  retryPolicy: RetryPolicy
  guard(): void
  log: Log
}

/** A statement of a split script failed. `unit`: its index. */
export class UnitFailure extends Error {
  readonly unit: number
  /** What the failed statement left behind, in words. */
  readonly left: string | undefined
  constructor(unit: number, cause: unknown, left: string | undefined) {
    super('a statement failed', { cause })
    this.unit = unit
    this.left = left
  }
}

/**
 * Runs a script statement by statement, outside a transaction, and records its progress: together with each statement if the server
 * allows that, otherwise before and after it. Statements that an earlier run finished are not run again; the one that was running
 * when it stopped is run again, after cleaning up what it left behind.
 *
 * @returns how long it took, in ms
 * @throws {UnitFailure} the record then says where it stopped, or is removed if nothing took effect;
 *   the error of a lost connection unchanged, and the record stays
 */
export async function runSplit(options: SplitOptions): Promise<number> {
  const { sql, script, units, record, resume, settings, direction } = options
  const running: Running = {
    ...options,
    at: (done) => progressAt(script, units, direction, done),
    memory: { indexes: resume?.indexes },
  }
  const startedAt = performance.now()
  await sql.unsafe(openSplit(record, script, options.historyTable, settings))
  const from = resume?.done ?? 0
  // The settings that finished statements made were lost with their session.
  for (const unit of units.slice(0, from).filter(setsSession)) await sql.unsafe(unit.text)

  for (let i = from; i < units.length; i++) {
    const interrupted = i === from && resume?.running === true
    if (i > from) running.memory.indexes = undefined
    try {
      await runPatiently(running, i, interrupted)
    } catch (error) {
      if (isConnectionLost(error) || !isServerError(error)) throw error
      throw await stopAt(running, i, error)
    }
  }
  const durationMs = performance.now() - startedAt
  if (leavesTraces(script.text)) await sql.unsafe(cleanSession)
  await sql.unsafe(closeSplit(record.finish(durationMs), settings.role))
  return durationMs
}

/** The progress when `done` statements have finished. */
export const progressAt = (
  { text }: Script,
  units: Unit[],
  direction: Progress['direction'],
  done: number,
): Progress => ({ direction, done, running: false, sha256: doneHash(text, units[done - 1]?.end ?? 0) })

const setsSession = ({ text, alone }: Unit) =>
  alone === undefined && /^(set\s+(?!local|transaction)|reset\s|select\s[^;]*\bset_config\s*\()/i.test(text)

/** A running split script. `indexes`: the table's indexes before the creation of an index without a name started. */
type Running = SplitOptions & { at(done: number): Progress; memory: { indexes: string[] | undefined } }

async function runPatiently(options: Running, i: number, interrupted: boolean): Promise<void> {
  const { sql, retryPolicy, name, guard } = options
  for (let again = interrupted; ; again = true) {
    guard()
    try {
      await runUnit(options, i, again)
      return
    } catch (error) {
      if (isConnectionLost(error)) throw error
      // a failed `begin … commit` of the file leaves its transaction open
      await rollback(sql)
      if (!(await retryPolicy.again(name, error, i))) throw error
    }
  }
}

async function runUnit(options: Running, i: number, interrupted: boolean): Promise<void> {
  const { sql, script, units, record, settings } = options
  const unit = units[i]!
  const done = options.at(i + 1)
  if (unit.alone !== undefined) return runAlone(options, i, interrupted)
  if (unit.copy) {
    const { copy } = unit
    await inTransaction(sql, async (tx) => {
      await copyIn(tx, copy.text, chunksOf(script.text, copy.data))
      await tx.unsafe(noteProgress(record, done, { ...settings, text: unit.text }))
    })
    return
  }
  const at = unit.commitAt ?? unit.text.length
  await sql
    .unsafe(
      `${unit.text.slice(0, at)}\n;${noteProgress(record, done, { ...settings, text: unit.text })};${unit.text.slice(at)}`,
    )
    .forEach(() => {})
}

/** Runs a statement that cannot share a transaction with its record: the record is written before it and after it. */
async function runAlone(options: Running, i: number, interrupted: boolean): Promise<void> {
  const { sql, name, script, units, record, settings, memory, retryPolicy, guard } = options
  const unit = units[i]!
  // Such a statement waits for other transactions without blocking anybody, and so does the clean-up before it: it may wait for ever.
  const patient =
    /^(create|drop|reindex)\b.*\bconcurrently\b/is.test(unit.text) && !script.text.includes('lock_timeout')
  if (patient) await sql.unsafe('set lock_timeout = 0')
  const text = await prepare(options, unit, interrupted)
  guard()
  await sql.unsafe(noteProgress(record, { ...options.at(i), running: true, ...before(memory) }, settings))
  if (text !== undefined)
    await retryPolicy.whileWaiting(
      name,
      sql.unsafe(text).forEach(() => {}),
    )
  const restore = patient ? `set lock_timeout = ${Math.round(settings.lockTimeoutMs)}` : ''
  await sql.unsafe(`${noteProgress(record, options.at(i + 1), { ...settings, text: unit.text })};${restore}`)
  if (/^discard\s+all/i.test(unit.text)) await sql.unsafe(resumeSession(script, options.historyTable, settings))
}

/**
 * Cleans up what an earlier attempt left behind.
 * @returns the SQL to send; undefined if the earlier attempt had finished
 */
async function prepare(options: Running, { text }: Unit, interrupted: boolean): Promise<string | undefined> {
  const { sql, name, log, memory } = options
  const index = concurrentIndexOf(text)
  if (!index) {
    if (!interrupted) return (await finishOf(sql, text)) ?? text
    const found = await resumeOther(sql, text)
    if (found === undefined) log.warn({ migration: name }, `${name}: running its interrupted ${firstWords(text)} again`)
    return found === 'done' ? undefined : (found ?? text)
  }
  const found = await indexesOf(sql, index)
  if (interrupted && builtBy(index, found, memory.indexes)) return undefined
  const dropped = await dropLeftovers(sql, leftBy(index, found, memory.indexes))
  if (dropped.length > 0)
    log.warn({ migration: name, indexes: dropped }, 'dropped an invalid index in order to build it again')
  memory.indexes ??= found.map((one) => one.name).filter((one) => !dropped.includes(one))
  return text
}

/** What the next attempt to build an index without a name has to know about the table. */
const before = ({ indexes }: Running['memory']) => (indexes ? { indexes } : {})

/** Enough of a statement to recognise it, without any of its values. */
const firstWords = (text: string) => (/^\w+(\s+\w+)?/.exec(text)?.[0] ?? 'statement').toUpperCase()

/** Cleans up after a statement that the server refused, and records where the script stopped. */
async function stopAt(options: Running, i: number, cause: unknown): Promise<UnitFailure> {
  const { sql, units, record, settings, memory } = options
  const left = await cleanUp(options, units[i]!)
  if (i === 0 && left === undefined) await sql.unsafe(closeSplit(record.forget(), settings.role))
  else await sql.unsafe(noteProgress(record, { ...options.at(i), ...(left !== undefined && before(memory)) }, settings))
  return new UnitFailure(i, cause, left)
}

async function cleanUp({ sql, name, log, memory }: Running, { text }: Unit): Promise<string | undefined> {
  if (await finishOf(sql, text)) return 'the partition is half detached; the next run completes this'
  const index = concurrentIndexOf(text)
  const left = index ? leftBy(index, await indexesOf(sql, index), memory.indexes) : await transientOf(sql, text)
  try {
    const dropped = await dropLeftovers(sql, left)
    if (dropped.length > 0)
      log.warn({ migration: name, indexes: dropped }, 'dropped the invalid index that the failed statement left behind')
    return undefined
  } catch (error) {
    if (isConnectionLost(error)) throw error
    return `an invalid index was left behind and could not be dropped (${(error as Error).message}); the next run tries again`
  }
}
