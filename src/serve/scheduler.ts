import type { StoredFacts } from '../backup/facts.ts'
import { lookBackMs, newestMissedSlot, nextSlot } from '../backup/schedule.ts'
import { graceMs, judgeBackups } from '../check/backups.ts'
import type { Cron } from '../config/cron.ts'
import type { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { dueSlot } from './due.ts'
import type { BackupState } from './state.ts'
import { startTicking } from './ticks.ts'

export type SchedulerOptions = {
  schedule: { cron: Cron; zone: string } | undefined
  /** One entry for each database, kept up to date here. */
  backups: BackupState[]
  /** Cheap where nothing has changed: it is asked at every turn. */
  readStore(database: string): Promise<StoredFacts>
  /** Backs up, prunes and verifies. Rejects when the backup failed. */
  backUp(database: string, slot: Date): Promise<void>
  /** For messages. */
  storeName: string
  /** How old the newest backup may be, beside the schedule. */
  maxAgeMs: number | undefined
  /** Called at every turn: the process is alive. */
  onTick(): void
  /** Called when what is known of the backups was looked at, or a minute has passed. */
  onLook(): void
  now(): Date
  log: Log
  signal: AbortSignal
}

export type Scheduler = {
  /** A turn that does not wait for the minute. */
  turn(): void
  /** Ends the ticking and waits for what is under way. */
  stop(): Promise<void>
}

/**
 * Turns every minute and backs up the databases whose slot is due, one after the other. A failure is reported and tried again
 * later; it never ends the process. Which slots there are is decided by `slotsBetween`; a turn looks back, so none is lost with a turn.
 */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const known: Known = { failures: new Map(), facts: new Map(), startedAt: options.now() }
  let working: Promise<void> | undefined
  let stopped = false
  let again = false
  const work = async () => {
    do {
      again = false
      await everyDatabase(options, known)
    } while (again && !stopped)
  }
  const turn = () => {
    options.onTick()
    // A backup of another database may take hours.
    judgeAll(options, known)
    // Told while a turn is under way, which may have looked before the slot began.
    again = working !== undefined
    working ??= work().finally(() => {
      working = undefined
    })
  }
  const stopTicking = startTicking(turn)
  turn()
  return {
    turn,
    async stop() {
      stopped = true
      stopTicking()
      await working
    },
  }
}

/** What this process knows of the databases. */
type Known = {
  failures: Map<string, { slot: number; count: number; at: Date }>
  facts: Map<string, StoredFacts>
  startedAt: Date
}

async function everyDatabase(options: SchedulerOptions, known: Known): Promise<void> {
  for (const backup of options.backups) {
    if (options.signal.aborted) return
    try {
      await oneDatabase(options, backup, known)
    } catch (error) {
      const problem = (error as Error).message
      if (backup.storeProblem !== problem)
        options.log.error({ database: backup.database, problem }, 'the scheduler could not look at the store')
      backup.storeProblem = problem
    }
    judgeAll(options, known)
  }
}

async function oneDatabase(options: SchedulerOptions, backup: BackupState, known: Known): Promise<void> {
  const { schedule, now } = options
  const { failures } = known
  const facts = await look(options, backup, known)
  if (!schedule) return
  const { cron, zone } = schedule
  backup.nextRunAt = nextSlot(cron, zone, now())?.toISOString() ?? null
  const failed = failures.get(backup.database)
  if (failed && facts.covered && facts.covered.getTime() >= failed.slot) {
    failures.delete(backup.database)
    backup.lastError = null
  }
  const newestSlot = newestMissedSlot(cron, zone, new Date(now().getTime() - lookBackMs), now())
  const before = failed && failed.slot === newestSlot?.getTime() ? failed : undefined
  const slot = dueSlot(
    { newestSlot, covered: facts.covered, failures: before?.count ?? 0, lastFailureAt: before?.at },
    now(),
  )
  if (slot === undefined) return
  judgeAll(options, known)
  const missed = facts.covered && nextSlot(cron, zone, facts.covered)
  if (missed && missed < slot && !before)
    options.log.warn(
      { database: backup.database, missed_from: missed.toISOString(), slot: slot.toISOString() },
      'slots were missed: only the newest is made up for',
    )
  const failedAt = await backUp(options, backup, slot)
  if (failedAt) failures.set(backup.database, { slot: slot.getTime(), count: (before?.count ?? 0) + 1, at: failedAt })
  await look(options, backup, known)
}

async function look({ readStore }: SchedulerOptions, backup: BackupState, { facts }: Known): Promise<StoredFacts> {
  const found = await readStore(backup.database)
  facts.set(backup.database, found)
  backup.storeProblem = null
  noteFacts(backup, found)
  return found
}

/** As `pgbosun check` does. Where there is no backup yet, this process has as long as one after its slot. */
function judgeAll(
  { schedule, backups, storeName, maxAgeMs, now, onLook }: SchedulerOptions,
  { facts, startedAt }: Known,
): void {
  const [instant, dueAt] = [now(), new Date(now().getTime() - graceMs)]
  for (const backup of backups) {
    const fact = facts.get(backup.database)
    if (!fact) continue
    const { newest, firstAt, lastVerifiedAt, damaged } = fact
    const newestSlot =
      schedule && newestMissedSlot(schedule.cron, schedule.zone, new Date(dueAt.getTime() - lookBackMs), dueAt)
    const judged = judgeBackups(
      [
        {
          database: backup.database,
          store: storeName,
          newest: newest && { id: newest.id, startedAt: newest.takenAt, slot: newest.slot },
          lastVerifiedAt,
          newestSlot,
          nextRunAt: undefined,
          damaged,
          since: firstAt ?? (startedAt > dueAt ? startedAt : new Date(0)),
        },
      ],
      { maxAgeMs, now: instant },
    )
    backup.overdue = judged.entries[0]?.problem ?? null
  }
  onLook()
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

function noteFacts(backup: BackupState, { newest, lastVerifiedAt, damaged }: StoredFacts): void {
  backup.lastSuccessId = newest?.id ?? null
  backup.lastSuccessAt = newest?.takenAt.toISOString() ?? null
  backup.lastVerifiedAt = lastVerifiedAt?.toISOString() ?? null
  backup.damaged = damaged
}
