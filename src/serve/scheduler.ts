import type { SlotRecord } from '../archive/slot-records.ts'
import type { DatabaseFacts } from '../backup/facts.ts'
import { nextSlot, type Schedule } from '../backup/schedule.ts'
import { judgeShrank, judgeVerified } from '../check/backup-since.ts'
import { judgeDecryption } from '../check/decryption.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { dueSlot, lockedRetries, retryAt } from './due.ts'
import {
  type Failed,
  factsOf,
  type Judging,
  judge,
  type Known,
  newestSlotOf,
  startOf,
  type Unit,
  unitsOf,
} from './judge.ts'
import { sumUp } from './schedules.ts'
import type { FailedSlot } from './slots.ts'
import type { BackupState, ScheduleState } from './state.ts'
import { behindMs, startTicking } from './ticks.ts'

export type SchedulerOptions = Judging & {
  /** `backup.retries`. */
  retries: number
  /** One entry for each database, kept up to date here. */
  backups: BackupState[]
  /** One reading of the store: it is asked once a turn, and cheap where nothing has changed. */
  readStore(database: string): Promise<DatabaseFacts>
  /**
   * Backs up, prunes and verifies; then says what is known of the store. Rejects when the backup failed.
   * @param onMade   called when the backup is there, before the rest
   * @param schedule its name
   */
  backUp(database: string, slot: Date, onMade: () => void, schedule: string): Promise<DatabaseFacts>
  /** Records what became of the slots of a schedule. @returns the newest of them */
  noteSlots?(database: string, schedule: Schedule, failed: FailedSlot | undefined): Promise<SlotRecord[]>
  /** What is recorded of them by processes before this one. @returns the newest of them */
  recallSlots?(database: string, schedule: Schedule): Promise<SlotRecord[]>
  /** By then a backup has ended, one way or the other. */
  longestMs: number
  /** Called every minute: the process is alive. */
  onTick(): void
  /** Called after the state of the backups was judged, at least every minute. */
  onLook(): void
  log: Log
  signal: AbortSignal
}

export type Scheduler = {
  /** Takes a turn now, without waiting for the next minute. */
  turn(): void
  /** Stops, and waits for running work. */
  stop(): Promise<void>
}

/**
 * Every minute, and whenever a delayed start is over, backs up the databases whose slots are due, one after the other. A failure is reported and retried later; it never ends the
 * process. `slotsBetween` decides which slots there are; each turn looks back, so no slot is lost when a turn is missed.
 */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const known: Known = { failures: new Map(), facts: new Map(), endsBy: new Map(), startedAt: options.now() }
  let working: Promise<void> | undefined
  let stopped = false
  let again = false
  let waking: NodeJS.Timeout | undefined
  const work = async () => {
    do {
      again = false
      await everyDatabase(options, known)
    } while (again && !stopped)
  }
  const turn = () => {
    options.onTick()
    // Not only after the work: the backup of another database may take hours.
    judgeAll(options, known)
    wakeForDelayed()
    // A turn that is still running may have looked before this slot started.
    again = working !== undefined
    working ??= work().finally(() => {
      working = undefined
    })
  }
  /** A start that comes before the next full minute does not wait for it. */
  const wakeForDelayed = () => {
    clearTimeout(waking)
    const delayed = allUnits(options).filter(({ schedule }) => schedule.jitterMs > 0)
    const waits = delayed.flatMap((unit) => startOf(options, unit, known)?.getTime() ?? [])
    const soon = Math.min(...waits) - options.now().getTime()
    if (soon < tickMs && !stopped) waking = setTimeout(turn, soon + behindMs)
  }
  const stopTicking = startTicking(turn)
  turn()
  return {
    turn,
    async stop() {
      stopped = true
      stopTicking()
      clearTimeout(waking)
      await working
    },
  }
}

const tickMs = 60_000

const allUnits = (options: SchedulerOptions) => options.backups.flatMap((backup) => unitsOf(options, backup))

function judgeAll(options: SchedulerOptions, known: Known): void {
  for (const backup of options.backups) judge(options, backup, known)
  options.onLook()
}

async function everyDatabase(options: SchedulerOptions, known: Known): Promise<void> {
  for (const backup of options.backups) {
    if (options.signal.aborted) return
    try {
      await oneDatabase(options, backup, known)
    } catch (error) {
      const problem = (error as Error).message
      if (backup.storeProblem !== problem)
        options.log.error({ database: backup.database, problem }, 'the scheduler could not read the store')
      backup.storeProblem = problem
      backup.looked = false
    }
    judge(options, backup, known)
  }
  options.onLook()
}

async function oneDatabase(options: SchedulerOptions, backup: BackupState, known: Known): Promise<void> {
  const facts = await options.readStore(backup.database)
  await recallFailures(options, backup, known)
  backup.storeProblem = null
  backup.looked = true
  noteFacts(options, backup, known, facts)
  for (const unit of unitsOf(options, backup)) {
    if (options.signal.aborted) return
    const due = dueNow(options, unit, known)
    if (due) {
      const making = backUp(options, unit, known, due)
      judgeAll(options, known)
      noteFacts(options, backup, known, await making)
      // the store may hang
      judgeAll(options, known)
    }
    await noteSlots(options, unit, known)
  }
}

/** A restart makes nothing good: what failed last has failed until there is a backup, and is tried again now. */
async function recallFailures(options: SchedulerOptions, backup: BackupState, known: Known): Promise<void> {
  const { recallSlots, now } = options
  if (!recallSlots) return
  for (const { schedule, state } of unitsOf(options, backup)) {
    if (state.slots.length > 0) continue
    state.slots = await recallSlots(backup.database, schedule)
    const last = state.slots.at(-1)
    if (last?.state !== 'failed' || known.failures.has(state)) continue
    const problem = last.problem ?? `the backup of ${backup.database} failed`
    known.failures.set(state, { slot: Date.parse(last.slot), count: 0, at: now(), problem })
    state.lastError = problem
  }
}

async function noteSlots(options: SchedulerOptions, unit: Unit, known: Known): Promise<void> {
  if (options.signal.aborted || !options.noteSlots) return
  const { backup, schedule, state } = unit
  const failed = known.failures.get(state)
  const about = failed && { slot: new Date(failed.slot), problem: failed.problem }
  state.slots = await options.noteSlots(backup.database, schedule, about)
}

/** A slot to back up for, and what this process has failed at it. */
type Due = { slot: Date; before: Failed | undefined }

function dueNow(options: SchedulerOptions, unit: Unit, known: Known): Due | undefined {
  const { now, log, retries } = options
  const { backup, schedule, state } = unit
  const { cron, zone } = schedule
  const { failures } = known
  const { covered } = factsOf(known, unit)!
  const failed = failures.get(state)
  if (failed && covered && covered.getTime() >= failed.slot) {
    failures.delete(state)
    succeeded(state)
  }
  const newestSlot = newestSlotOf(schedule, now())
  const before = failed && failed.slot === newestSlot?.getTime() ? failed : undefined
  if (!before) state.retryAt = null
  const slot = dueSlot({ newestSlot, covered, failures: before?.count ?? 0, lastFailureAt: before?.at }, now(), {
    retries: before?.isLocked ? lockedRetries(retries) : retries,
    delayMs: newestSlot ? options.delayOf(backup.database, schedule, newestSlot) : 0,
  })
  if (slot === undefined) return undefined
  const missed = covered && nextSlot(cron, zone, covered)
  if (missed && missed < slot && !before)
    log.warn(
      { ...about(unit), missed_from: missed.toISOString(), slot: slot.toISOString() },
      'slots were missed: only the newest is made up for',
    )
  return { slot, before }
}

/** For the log. */
const about = ({ backup, schedule }: Unit) => ({
  database: backup.database,
  ...(schedule.name !== '' && { schedule: schedule.name }),
})

function succeeded(state: ScheduleState): void {
  state.lastError = null
  state.retryAt = null
}

/** @returns what is known of the store after it; undefined where it failed, or was asked to stop, and nothing is */
async function backUp(
  options: SchedulerOptions,
  unit: Unit,
  known: Known,
  { slot, before }: Due,
): Promise<DatabaseFacts | undefined> {
  const { log, now, signal, retries } = options
  const { backup, schedule, state } = unit
  const { failures, endsBy } = known
  const { database } = backup
  state.running = true
  state.lastAttemptAt = now().toISOString()
  state.retryAt = null
  sumUp(backup)
  endsBy.set(state, new Date(now().getTime() + options.longestMs))
  try {
    const facts = await options.backUp(database, slot, () => endsBy.delete(state), schedule.name)
    succeeded(state)
    return facts
  } catch (error) {
    if (signal.aborted) return undefined
    const { message, hint, kind } = error as AppError
    const facts = await lookAgain(options, database)
    const covered = facts && (facts.bySchedule?.get(schedule.name) ?? facts).covered
    // A process that was paused loses its lock, and another one may make the backup: then the slot did not fail.
    if (covered && covered >= slot) {
      succeeded(state)
      log.info(
        { ...about(unit), slot: slot.toISOString(), problem: message },
        'another process has made this backup in the meantime',
      )
      return facts
    }
    const isLocked = kind === 'locked'
    const failed = { slot: slot.getTime(), count: (before?.count ?? 0) + 1, at: now(), problem: message, isLocked }
    failures.set(state, failed)
    state.lastError = message
    const most = isLocked ? lockedRetries(retries) : retries
    state.retryAt = retryAt(failed.count, failed.at, most)?.toISOString() ?? null
    log.error(
      {
        ...about(unit),
        slot: slot.toISOString(),
        attempt: failed.count,
        retry_at: state.retryAt,
        ...(hint && { hint }),
      },
      message,
    )
    return facts
  } finally {
    endsBy.delete(state)
    state.running = false
    sumUp(backup)
  }
}

/** Looks after a failed backup. Undefined if the store cannot be read: the failure is reported, and the next turn reports the store. */
async function lookAgain({ readStore }: SchedulerOptions, database: string): Promise<DatabaseFacts | undefined> {
  try {
    return await readStore(database)
  } catch {
    return undefined
  }
}

function noteFacts(
  options: SchedulerOptions,
  backup: BackupState,
  known: Known,
  found: DatabaseFacts | undefined,
): void {
  if (!found) return
  known.facts.set(backup.database, found)
  const { newest, lastVerifiedAt, damaged, decryptions, conflicts = [] } = found
  backup.lastSuccessId = newest?.id ?? null
  backup.lastSuccessAt = newest?.takenAt.toISOString() ?? null
  backup.lastVerifiedAt = lastVerifiedAt?.toISOString() ?? null
  backup.damaged = damaged
  backup.conflicts = conflicts
  backup.lacking = found.lacking
  backup.shrank = judgeShrank(backup.database, found.shrank) ?? null
  backup.unverified = (options.schedules.length > 0 && judgeVerified(backup.database, found, options.now())) || null
  backup.neverDecrypted = judgeDecryption(backup.database, decryptions, options.now()) ?? null
  for (const unit of unitsOf(options, backup)) {
    const newest = factsOf(known, unit)?.newest
    unit.state.lastSuccessId = newest?.id ?? null
    unit.state.lastSuccessAt = newest?.takenAt.toISOString() ?? null
  }
}
