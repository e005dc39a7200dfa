import type { StoredFacts } from '../backup/facts.ts'
import { lookBackMs, newestMissedSlot, nextSlot } from '../backup/schedule.ts'
import { graceMs, judgeBackups } from '../check/backups.ts'
import { judgeDecryption } from '../check/decryption.ts'
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
  /** One reading of the store: it is asked once a turn, and cheap where nothing has changed. */
  readStore(database: string): Promise<StoredFacts>
  /**
   * Backs up, prunes and verifies; then says what is known of the store. Rejects when the backup failed.
   * @param onMade called when the backup is there, before the rest
   */
  backUp(database: string, slot: Date, onMade: () => void): Promise<StoredFacts>
  /** By then a backup has ended, one way or the other. */
  longestMs: number
  /** For messages. */
  storeName: string
  /** How old the newest backup may be, in addition to the schedule. */
  maxAgeMs: number | undefined
  /** Called every minute: the process is alive. */
  onTick(): void
  /** Called after the state of the backups was judged, at least every minute. */
  onLook(): void
  now(): Date
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
 * Every minute, backs up the databases whose slot is due, one after the other. A failure is reported and retried later; it never ends the
 * process. `slotsBetween` decides which slots there are; each turn looks back, so no slot is lost when a turn is missed.
 */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const known: Known = { failures: new Map(), facts: new Map(), endsBy: new Map(), startedAt: options.now() }
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
    // Not only after the work: the backup of another database may take hours.
    judgeAll(options, known)
    // A turn that is still running may have looked before this slot started.
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

/** A slot that this process has failed at, how often, and when last. */
type Failed = { slot: number; count: number; at: Date }

/** What this process knows of the databases. */
type Known = {
  failures: Map<string, Failed>
  facts: Map<string, StoredFacts>
  /** When the backups that are being made must have ended. */
  endsBy: Map<string, Date>
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
        options.log.error({ database: backup.database, problem }, 'the scheduler could not read the store')
      backup.storeProblem = problem
    }
    judgeAll(options, known)
  }
}

async function oneDatabase(options: SchedulerOptions, backup: BackupState, known: Known): Promise<void> {
  const facts = await options.readStore(backup.database)
  backup.storeProblem = null
  noteFacts(options, backup, known, facts)
  const due = dueNow(options, backup, known, facts)
  if (!due) return
  const making = backUp(options, backup, known, due)
  judgeAll(options, known)
  noteFacts(options, backup, known, await making)
}

/** A slot to back up for, and what this process has failed at it. */
type Due = { slot: Date; before: Failed | undefined }

function dueNow(
  { schedule, now, log }: SchedulerOptions,
  backup: BackupState,
  { failures }: Known,
  { covered }: StoredFacts,
): Due | undefined {
  if (!schedule) return undefined
  const { cron, zone } = schedule
  backup.nextRunAt = nextSlot(cron, zone, now())?.toISOString() ?? null
  const failed = failures.get(backup.database)
  if (failed && covered && covered.getTime() >= failed.slot) {
    failures.delete(backup.database)
    backup.lastError = null
  }
  const newestSlot = newestMissedSlot(cron, zone, new Date(now().getTime() - lookBackMs), now())
  const before = failed && failed.slot === newestSlot?.getTime() ? failed : undefined
  const slot = dueSlot({ newestSlot, covered, failures: before?.count ?? 0, lastFailureAt: before?.at }, now())
  if (slot === undefined) return undefined
  const missed = covered && nextSlot(cron, zone, covered)
  if (missed && missed < slot && !before)
    log.warn(
      { database: backup.database, missed_from: missed.toISOString(), slot: slot.toISOString() },
      'slots were missed: only the newest is made up for',
    )
  return { slot, before }
}

/** Judges the backups as `pgbosun check` does. If there is no backup yet, this process has as much time as after a slot. */
function judgeAll(
  { schedule, backups, storeName, maxAgeMs, now, onLook }: SchedulerOptions,
  { facts, endsBy, startedAt }: Known,
): void {
  const [instant, dueAt] = [now(), new Date(now().getTime() - graceMs)]
  for (const backup of backups) {
    const fact = facts.get(backup.database)
    const endless =
      instant > (endsBy.get(backup.database) ?? instant)
        ? `the one that was started at ${backup.lastAttemptAt} is still running, longer than backup.timeout allows`
        : null
    if (endless !== null || !fact) {
      backup.overdue = endless
      continue
    }
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
    backup.storeEmpty = schedule && fact.isEmpty ? emptyStore(backup, storeName) : null
  }
  onLook()
}

/** Until the first backup should be there it is a warning, and none while that is being made. */
function emptyStore(
  { database, running, overdue }: BackupState,
  store: string,
): NonNullable<BackupState['storeEmpty']> | null {
  if (running && overdue === null) return null
  const message = `${store} has no backup of ${database}: is the store mounted here?`
  return { severity: overdue === null ? 'warning' : 'error', message }
}

/** @returns what is known of the store after it; undefined where it failed, or was asked to stop, and nothing is */
async function backUp(
  options: SchedulerOptions,
  backup: BackupState,
  { failures, endsBy }: Known,
  { slot, before }: Due,
): Promise<StoredFacts | undefined> {
  const { log, now, signal } = options
  const { database } = backup
  backup.running = true
  backup.lastAttemptAt = now().toISOString()
  endsBy.set(database, new Date(now().getTime() + options.longestMs))
  try {
    const facts = await options.backUp(database, slot, () => endsBy.delete(database))
    backup.lastError = null
    return facts
  } catch (error) {
    if (signal.aborted) return undefined
    const { message, hint } = error as AppError
    const facts = await lookAgain(options, database)
    // A process that was paused loses its lock, and another one may make the backup: then the slot did not fail.
    if (facts?.covered && facts.covered >= slot) {
      backup.lastError = null
      log.info(
        { database, slot: slot.toISOString(), problem: message },
        'another process has made this backup in the meantime',
      )
      return facts
    }
    backup.lastError = message
    failures.set(database, { slot: slot.getTime(), count: (before?.count ?? 0) + 1, at: now() })
    log.error({ database, slot: slot.toISOString(), ...(hint && { hint }) }, message)
    return facts
  } finally {
    endsBy.delete(database)
    backup.running = false
  }
}

/** Looks after a failed backup. Undefined if the store cannot be read: the failure is reported, and the next turn reports the store. */
async function lookAgain({ readStore }: SchedulerOptions, database: string): Promise<StoredFacts | undefined> {
  try {
    return await readStore(database)
  } catch {
    return undefined
  }
}

function noteFacts(
  { now }: Pick<SchedulerOptions, 'now'>,
  backup: BackupState,
  { facts }: Known,
  found: StoredFacts | undefined,
): void {
  if (!found) return
  facts.set(backup.database, found)
  const { newest, lastVerifiedAt, damaged, decryptions } = found
  backup.lastSuccessId = newest?.id ?? null
  backup.lastSuccessAt = newest?.takenAt.toISOString() ?? null
  backup.lastVerifiedAt = lastVerifiedAt?.toISOString() ?? null
  backup.damaged = damaged
  backup.lacking = found.lacking
  backup.neverDecrypted = judgeDecryption(backup.database, decryptions, now()) ?? null
}
