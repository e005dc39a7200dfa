// pure
/** What is known about the slots of one database when the scheduler turns. */
export type SlotHistory = {
  /** Newest slot of the schedule that is not in the future; undefined before the first one. */
  newestSlot: Date | undefined
  /** Newest instant that a good backup of the series stands for: its slot, or when it was started. */
  covered: Date | undefined
  /** Attempts at `newestSlot` that failed in this process. */
  failures: number
  lastFailureAt: Date | undefined
}

const firstRetryMs = 60_000
const longestRetryMs = 30 * 60_000

/**
 * Decides whether to back up now. A slot that was missed, while nothing ran or because it failed, is made up: only the newest one.
 * After a failure it waits 1, 2, 4 … up to 30 minutes.
 *
 * @returns the slot to back up for, or undefined
 */
export function dueSlot({ newestSlot, covered, failures, lastFailureAt }: SlotHistory, now: Date): Date | undefined {
  if (newestSlot === undefined || (covered !== undefined && covered >= newestSlot)) return undefined
  if (failures === 0 || lastFailureAt === undefined) return newestSlot
  const waitMs = Math.min(firstRetryMs * 2 ** (failures - 1), longestRetryMs)
  const waitedMs = now.getTime() - lastFailureAt.getTime()
  // A clock that was set back must not keep a retry waiting for ever.
  return waitedMs >= waitMs || waitedMs < 0 ? newestSlot : undefined
}
