import type { StoredFacts } from '../backup/facts.ts'
import { lookBackMs, newestMissedSlot, nextSlot } from '../backup/schedule.ts'
import { graceMs } from '../check/backups.ts'
import { judgeRestoreTests } from '../check/restore-tests.ts'
import type { Cron } from '../config/cron.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { dueTest } from './due-test.ts'
import type { BackupState } from './state.ts'

export type TestSchedulerOptions = {
  /** Undefined: no backup is restored, but what the store says of test restores is judged. */
  schedule: { cron: Cron; zone: string } | undefined
  where: 'url' | 'same-server'
  /** How long a test may take: before that, it is not overdue. */
  timeoutMs: number
  /** One entry for each database; its `restoreTest` is kept up to date here. */
  backups: BackupState[]
  /** What is known of the store; asks nobody. Undefined before it was read for the first time. */
  factsOf(database: string): StoredFacts | undefined
  /** Restores a backup for a test and records the result. Rejects when the test could not be made. */
  test(backup: { database: string; id: string }): Promise<void>
  /** Called after the test restores were judged. */
  onLook(): void
  now(): Date
  log: Log
  signal: AbortSignal
}

/** A slot whose test could not be made, how often, and when last. */
type Failed = { slot: number; count: number; at: Date }

/**
 * Restores the newest good backup of each database on schedule, one after the other, beside the backups, which it never keeps waiting. A
 * failure is reported, and never ends the process.
 *
 * @returns `turn`: to be called every minute, and when the store was read; `stop` waits for running work
 */
export function createTestScheduler(options: TestSchedulerOptions): { turn(): void; stop(): Promise<void> } {
  const failures = new Map<string, Failed>()
  let working: Promise<void> | undefined
  const turn = () => {
    judgeAll(options, failures)
    if (!options.signal.aborted)
      working ??= testDue(options, failures).finally(() => {
        working = undefined
      })
  }
  return {
    turn,
    async stop() {
      await working
    },
  }
}

async function testDue(options: TestSchedulerOptions, failures: Map<string, Failed>): Promise<void> {
  for (const backup of options.backups) {
    if (options.signal.aborted) return
    const due = dueNow(options, backup.database, failures.get(backup.database))
    if (due) await testOne(options, backup, { ...due, failures })
  }
}

/** The backup to restore now, and the slot it is for. */
function dueNow({ schedule, where, factsOf, now }: TestSchedulerOptions, database: string, failed: Failed | undefined) {
  const facts = factsOf(database)
  if (!schedule || !facts?.newest) return undefined
  const newestSlot = newestMissedSlot(schedule.cron, schedule.zone, new Date(now().getTime() - lookBackMs), now())
  const before = failed && failed.slot === newestSlot?.getTime() ? failed : undefined
  const slot = dueTest(
    { newestSlot, covered: facts.restoreTest?.at, failures: before?.count ?? 0, lastFailureAt: before?.at },
    where,
    now(),
  )
  return slot && { slot, id: facts.newest.id, count: before?.count ?? 0 }
}

type Due = { slot: Date; id: string; count: number; failures: Map<string, Failed> }

async function testOne(
  options: TestSchedulerOptions,
  { database, restoreTest: state }: BackupState,
  { slot, id, count, failures }: Due,
): Promise<void> {
  const { log, now, signal } = options
  state.running = true
  judgeAll(options, failures)
  try {
    await options.test({ database, id })
    failures.delete(database)
    state.lastError = null
  } catch (error) {
    if (signal.aborted) return
    const { message, hint, kind } = error as AppError
    if (kind === 'locked') {
      log.info({ database, id }, 'another test restore is running on that server: this one waits for it')
      return
    }
    failures.set(database, { slot: slot.getTime(), count: count + 1, at: now() })
    state.lastError = { message: `the backup ${id} of ${database} could not be tried: ${message}`, hint }
    log.error({ database, id, ...(hint && { hint }) }, `the test restore could not be made: ${message}`)
  } finally {
    state.running = false
    judgeAll(options, failures)
  }
}

function judgeAll(options: TestSchedulerOptions, failures: Map<string, Failed>): void {
  const { schedule, backups, timeoutMs, factsOf, now, onLook } = options
  const dueAt = new Date(now().getTime() - graceMs - timeoutMs)
  for (const { database, restoreTest: state } of backups) {
    state.nextRunAt = (schedule && nextSlot(schedule.cron, schedule.zone, now())?.toISOString()) ?? null
    const facts = factsOf(database)
    if (!facts) continue
    const { restoreTest: last, firstAt: since } = facts
    const failed = failures.get(database)
    // another process has made it in the meantime
    if (failed && last && last.at.getTime() >= failed.slot) {
      failures.delete(database)
      state.lastError = null
    }
    const newestSlot =
      schedule && newestMissedSlot(schedule.cron, schedule.zone, new Date(dueAt.getTime() - lookBackMs), dueAt)
    const judged = judgeRestoreTests({ database, last, newestSlot, since })
    state.last = last ?? null
    state.failed = judged.failed ?? null
    state.overdue = judged.overdue ?? null
    state.overdueSlot = judged.overdue === undefined ? undefined : newestSlot
  }
  onLook()
}
