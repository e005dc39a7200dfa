import { newestMissedSlot, nextSlot } from '../backup/schedule.ts'
import type { Cron } from '../config/cron.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { dueSlot } from './due.ts'
import type { BackupState } from './state.ts'
import { startTicking } from './ticks.ts'

/** What is known of one database from the store: it outlives this process. */
export type StoredFacts = {
  /** Newest instant that a good backup of the series stands for: its slot, or when it was started. */
  covered: Date | undefined
  lastId: string | undefined
  lastSuccessAt: Date | undefined
  lastVerifiedAt: Date | undefined
}

export type SchedulerOptions = {
  schedule: { cron: Cron; zone: string } | undefined
  /** One entry for each database, kept up to date here. */
  backups: BackupState[]
  /** Cheap where nothing has changed: it is asked at every turn. */
  readStore(database: string): Promise<StoredFacts>
  /** Backs up, prunes and verifies. Rejects when the backup failed. */
  backUp(database: string, slot: Date): Promise<void>
  /** Called at every turn: the process is alive. */
  onTick(): void
  now(): Date
  log: Log
  signal: AbortSignal
}

export type Scheduler = {
  /** Ends the ticking and waits for what is under way. */
  stop(): Promise<void>
}

/** A leap year and a day: every schedule of five fields has a slot within it, but for 29 February. */
const lookBackMs = 367 * 86_400_000

/**
 * Turns every minute and backs up the databases whose slot is due, one after the other. A failure is reported and tried again
 * later; it never ends the process. Which slots there are is decided by `slotsBetween`; a turn looks back, so none is lost with a turn.
 */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const failures = new Map<string, { slot: number; count: number; at: Date }>()
  let working: Promise<void> | undefined
  let stopped = false
  let again = false
  const work = async () => {
    do {
      again = false
      await everyDatabase(options, failures)
    } while (again && !stopped)
  }
  const turn = () => {
    options.onTick()
    // Told while a turn is under way, which may have looked before the slot began.
    again = working !== undefined
    working ??= work().finally(() => {
      working = undefined
    })
  }
  const stopTicking = startTicking(turn)
  turn()
  return {
    async stop() {
      stopped = true
      stopTicking()
      await working
    },
  }
}

type Failures = Map<string, { slot: number; count: number; at: Date }>

async function everyDatabase(options: SchedulerOptions, failures: Failures): Promise<void> {
  for (const backup of options.backups) {
    if (options.signal.aborted) return
    try {
      await oneDatabase(options, backup, failures)
    } catch (error) {
      options.log.error(
        { database: backup.database, problem: (error as Error).message },
        'the scheduler could not look at the store',
      )
      backup.lastError = (error as Error).message
    }
  }
}

async function oneDatabase(options: SchedulerOptions, backup: BackupState, failures: Failures): Promise<void> {
  const { schedule, now, readStore } = options
  const facts = await readStore(backup.database)
  noteFacts(backup, facts)
  if (!schedule) return
  const { cron, zone } = schedule
  backup.nextRunAt = nextSlot(cron, zone, now())?.toISOString() ?? null
  const newestSlot = newestMissedSlot(cron, zone, new Date(now().getTime() - lookBackMs), now())
  const failed = failures.get(backup.database)
  const before = failed && failed.slot === newestSlot?.getTime() ? failed : undefined
  const slot = dueSlot(
    { newestSlot, covered: facts.covered, failures: before?.count ?? 0, lastFailureAt: before?.at },
    now(),
  )
  if (slot === undefined) return
  const failedAt = await backUp(options, backup, slot)
  if (failedAt) failures.set(backup.database, { slot: slot.getTime(), count: (before?.count ?? 0) + 1, at: failedAt })
  noteFacts(backup, await readStore(backup.database))
}

/** @returns when it failed; undefined when it did not, or was asked to stop */
async function backUp(options: SchedulerOptions, backup: BackupState, slot: Date): Promise<Date | undefined> {
  const { backUp: work, log, now, signal } = options
  const { database } = backup
  backup.running = true
  backup.lastAttemptAt = now().toISOString()
  try {
    await work(database, slot)
    backup.lastError = null
    return undefined
  } catch (error) {
    if (signal.aborted) return undefined
    const { message, hint } = error as AppError
    if (await madeByAnother(options, database, slot)) {
      backup.lastError = null
      log.info(
        { database, slot: slot.toISOString(), problem: message },
        'another process has made this backup meanwhile',
      )
      return undefined
    }
    backup.lastError = message
    log.error({ database, slot: slot.toISOString(), ...(hint && { hint }) }, message)
    return now()
  } finally {
    backup.running = false
  }
}

/** A process that was stopped for a while loses its lock, and with it the slot: that is no failure of the slot. */
async function madeByAnother({ readStore }: SchedulerOptions, database: string, slot: Date): Promise<boolean> {
  try {
    const { covered } = await readStore(database)
    return covered !== undefined && covered >= slot
  } catch {
    // The failure of the backup is told then, and the next turn tells of the store.
    return false
  }
}

function noteFacts(backup: BackupState, { lastId, lastSuccessAt, lastVerifiedAt }: StoredFacts): void {
  backup.lastSuccessId = lastId ?? null
  backup.lastSuccessAt = lastSuccessAt?.toISOString() ?? null
  backup.lastVerifiedAt = lastVerifiedAt?.toISOString() ?? null
}
