// pure
import { lookBackMs, newestMissedSlot, nextSlot, type Schedule } from '../backup/schedule.ts'
import { graceMs } from '../check/backups.ts'

/** What is known of the good backups that a deadline is about. */
export type Covered = {
  /** The newest instant that one covers: its slot, or its start; undefined where there is none. */
  covered: Date | undefined
  /** When this process was started: an empty store has as long as after a slot. */
  startedAt: Date
}

/**
 * The instant by which the next good backup of a schedule must exist: its slot, and as long after it as `backup-overdue` waits. Undefined for
 * a schedule without slots.
 *
 * @param known undefined before the store was read. Then it is the last slot that has passed: who knows nothing cannot say that all is well
 */
export function deadlineOf(
  { cron, zone, jitterMs }: Pick<Schedule, 'cron' | 'zone' | 'jitterMs'>,
  known: Covered | undefined,
  now: Date,
): Date | undefined {
  const passed = () => newestMissedSlot(cron, zone, new Date(now.getTime() - lookBackMs), now)
  if (known === undefined) return passed() ?? nextSlot(cron, zone, now)
  const { covered, startedAt } = known
  const slot = covered ? nextSlot(cron, zone, covered) : passed() ? startedAt : nextSlot(cron, zone, startedAt)
  return slot && new Date(slot.getTime() + graceMs + jitterMs)
}

/** The instant at which the newest backup is older than `check.backupMaxAge` allows; at once where there is none. */
export const ageDeadline = (newest: Date | undefined, maxAgeMs: number, startedAt: Date): Date =>
  newest ? new Date(newest.getTime() + maxAgeMs) : startedAt

/** The earliest of several; undefined for none. */
export const earliest = (instants: readonly (Date | undefined)[]): Date | undefined =>
  instants.reduce((best, one) => (one && (!best || one < best) ? one : best), undefined)
