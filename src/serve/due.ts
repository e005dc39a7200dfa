// pure
/** What is known about the slots of one database when the scheduler runs. */
export type SlotHistory = {
  /** The newest slot of the schedule that is not in the future; undefined before the first one. */
  newestSlot: Date | undefined
  /** The newest instant covered by a good backup of the series: its slot, or its start. */
  covered: Date | undefined
  /** Attempts at `newestSlot` that failed in this process. */
  failures: number
  lastFailureAt: Date | undefined
}

/** `delayMs`: how long after the slot the first attempt starts. `retries`: how many attempts may follow it. */
export type Attempts = { delayMs?: number; retries?: number }

/** A blip is over in a minute. With two retries, a backup of the night survives an hour in which the database is away. */
const firstRetryMs = 60_000
const laterRetryMs = 3_600_000

/**
 * Decides whether to back up now. Of the slots that were missed, because nothing ran or the backup failed, only the newest is made up for.
 * After a failure it waits a minute, then an hour each time. After the last retry, the next slot is the next attempt.
 *
 * @returns the slot to back up for, or undefined
 */
export function dueSlot(
  { newestSlot, covered, failures, lastFailureAt }: SlotHistory,
  now: Date,
  { delayMs = 0, retries = Number.POSITIVE_INFINITY }: Attempts = {},
): Date | undefined {
  if (newestSlot === undefined || (covered !== undefined && covered >= newestSlot)) return undefined
  if (now.getTime() < newestSlot.getTime() + delayMs) return undefined
  if (failures === 0 || lastFailureAt === undefined) return newestSlot
  if (failures > retries) return undefined
  const waitedMs = now.getTime() - lastFailureAt.getTime()
  // If the clock was set back, a retry must not wait for ever.
  return waitedMs >= pauseMs(failures) || waitedMs < 0 ? newestSlot : undefined
}

/** When a slot is tried again that has failed so often; undefined after the last retry. */
export const retryAt = (failures: number, lastFailureAt: Date, retries: number): Date | undefined =>
  failures > retries ? undefined : new Date(lastFailureAt.getTime() + pauseMs(failures))

/** How many attempts may follow one that somebody else held up: who did so may fail, or be gone without having said so. */
export const lockedRetries = (retries: number): number => (retries > 0 ? Number.POSITIVE_INFINITY : 0)

const pauseMs = (failures: number) => (failures === 1 ? firstRetryMs : laterRetryMs)
