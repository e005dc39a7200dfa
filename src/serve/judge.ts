import type { DatabaseFacts, StoredFacts } from '../backup/facts.ts'
import { lookBackMs, newestMissedSlot, nextSlot, type Schedule } from '../backup/schedule.ts'
import { sinceOf } from '../check/backup-since.ts'
import { ageProblem, graceMs, slotProblem } from '../check/backups.ts'
import { noSchedule, sumUp } from './schedules.ts'
import type { BackupState, ScheduleState } from './state.ts'

/** A slot that this process has failed at, how often, and when last; `isLocked` if somebody else held it up then. */
export type Failed = { slot: number; count: number; at: Date; problem: string; isLocked?: boolean }

/** What this process knows of the databases. */
export type Known = {
  failures: Map<ScheduleState, Failed>
  facts: Map<string, DatabaseFacts>
  /** When the backups that are being made must have ended. */
  endsBy: Map<ScheduleState, Date>
  startedAt: Date
}

/** A schedule of a database. */
export type Unit = { backup: BackupState; schedule: Schedule; state: ScheduleState }

type Clock = {
  now(): Date
  /** How long after its slot the backup starts. */
  delayOf(database: string, schedule: Schedule, slot: Date): number
}

/** What backups are judged by. */
export type Judging = Clock & {
  /** None: nothing is backed up, but what the store says is judged. */
  schedules: Schedule[]
  /** For messages. */
  storeName: string
  /** How old the newest backup may be, in addition to the schedules. */
  maxAgeMs: number | undefined
}

export function unitsOf({ schedules }: Pick<Judging, 'schedules'>, backup: BackupState): Unit[] {
  backup.schedules ??= schedules.map(({ name }) => noSchedule(name))
  return schedules.map((schedule, i) => ({ backup, schedule, state: backup.schedules![i]! }))
}

export const factsOf = ({ facts }: Known, { backup, schedule }: Unit): StoredFacts | undefined => {
  const found = facts.get(backup.database)
  return found?.bySchedule?.get(schedule.name) ?? found
}

/** The newest slot that is not after that instant. */
export const newestSlotOf = ({ cron, zone }: Schedule, now: Date) =>
  newestMissedSlot(cron, zone, new Date(now.getTime() - lookBackMs), now)

/** When its next backup starts: that of the newest slot, where that is delayed, or of the slot after it. */
export function startOf({ now, delayOf }: Clock, unit: Unit, known: Known): Date | undefined {
  const { backup, schedule } = unit
  const { covered } = factsOf(known, unit) ?? {}
  const newest = newestSlotOf(schedule, now())
  const next = nextSlot(schedule.cron, schedule.zone, now())
  return [newest, next]
    .filter((slot) => slot !== undefined && !(covered && covered >= slot))
    .map((slot) => new Date(slot!.getTime() + delayOf(backup.database, schedule, slot!)))
    .find((start) => start > now())
}

/**
 * Judges the backups of a database as `pgbosun check` does. If there is no backup yet, this process has as much time as after a slot.
 */
export function judge(options: Judging, backup: BackupState, known: Known): void {
  const { schedules, storeName, maxAgeMs, now } = options
  const fact = known.facts.get(backup.database)
  for (const unit of unitsOf(options, backup)) judgeSchedule(options, unit, known)
  const store = schedules.length > 0 ? undefined : { name: storeName }
  const newest = fact?.newest && judgedBackup(fact.newest)
  backup.overdue = (fact && ageProblem(newest, maxAgeMs, { now: now(), store })) ?? null
  if (fact) backup.since = sinceIn(fact, backup, maxAgeMs)
  sumUp(backup)
  backup.storeEmpty = schedules.length > 0 && fact?.isEmpty ? emptyStore(backup, storeName) : null
}

const sinceIn = (fact: DatabaseFacts, { restoreTest }: BackupState, maxAgeMs: number | undefined) =>
  sinceOf({
    newest: fact.newest && { at: fact.newest.takenAt },
    firstAt: fact.firstAt,
    lastVerifiedAt: fact.lastVerifiedAt,
    damagedAt: fact.damagedAt,
    shrank: fact.shrank,
    decryptions: fact.decryptions,
    conflicts: fact.conflicts ?? [],
    restoreTest: fact.restoreTest,
    testSlot: restoreTest.overdueSlot,
    maxAgeMs,
    lacking: fact.lacking,
  })

const judgedBackup = ({ id, takenAt, slot }: NonNullable<StoredFacts['newest']>) => ({ id, startedAt: takenAt, slot })

function judgeSchedule(options: Judging, unit: Unit, known: Known): void {
  const { storeName, now } = options
  const { backup, schedule, state } = unit
  state.nextRunAt = startOf(options, unit, known)?.toISOString() ?? null
  if (now() > (known.endsBy.get(state) ?? now())) {
    state.since = { ...state.since, 'backup-overdue': known.endsBy.get(state)!.toISOString() }
    state.overdue = `the one that was started at ${state.lastAttemptAt} is still running, longer than backup.timeout allows`
    return
  }
  const fact = factsOf(known, unit)
  const failed = known.failures.get(state)
  state.since = failed ? { 'backup-failed': new Date(failed.slot).toISOString() } : {}
  state.overdue = null
  if (!fact) return
  const dueAt = new Date(now().getTime() - graceMs - schedule.jitterMs)
  const { newest, firstAt } = fact
  const since = firstAt ?? (known.startedAt > dueAt ? known.startedAt : new Date(0))
  const judged = { newest: newest && judgedBackup(newest), newestSlot: newestSlotOf(schedule, dueAt), since }
  state.overdue =
    slotProblem(judged, known.facts.get(backup.database)!.newest ? undefined : { name: storeName }, now()) ?? null
  state.since = { ...state.since, 'backup-overdue': judged.newestSlot?.toISOString() }
}

/** Until the first backup should be there it is a warning, and none while that is being made. */
function emptyStore(
  { database, running, overdue, schedules = [] }: BackupState,
  store: string,
): NonNullable<BackupState['storeEmpty']> | null {
  const isOverdue = overdue !== null || schedules.some((schedule) => schedule.overdue !== null)
  if (running && !isOverdue) return null
  const message = `${store} has no backup of ${database}: is the store mounted here?`
  return { severity: isOverdue ? 'error' : 'warning', message }
}
