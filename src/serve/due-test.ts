// pure
import { dueSlot, type SlotHistory } from './due.ts'

const mostTries = 3
const windowMs = 3_600_000

/**
 * Decides whether to restore a backup for a test now. On the server that was backed up, only within an hour of the slot: the schedule was
 * chosen for a time when nobody minds. A test that cannot be made three times waits for the next slot.
 *
 * @param history `covered`: when the last test restore began, whatever its result; `failures`: tests that could not be made
 * @returns the slot, or undefined
 */
export function dueTest(history: SlotHistory, where: 'url' | 'same-server', now: Date): Date | undefined {
  if (history.failures >= mostTries) return undefined
  const slot = dueSlot(history, now)
  const late = slot !== undefined && now.getTime() - slot.getTime() > windowMs
  return late && where === 'same-server' ? undefined : slot
}
