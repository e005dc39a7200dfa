// pure
import { renderDuration } from '../units.ts'

const toleratedMs = 60_000

/** How far a clock is ahead that said `serverMs` at some instant between `askedMs` and `answeredMs` of ours; 0 if it may be equal. */
export function clockDifference(serverMs: number, askedMs: number, answeredMs: number): number {
  if (serverMs >= askedMs && serverMs < answeredMs + 1) return 0 // ours are whole milliseconds, rounded down
  return Math.round(serverMs - (askedMs + answeredMs) / 2)
}

/** Whether the clocks of the server and of this machine differ by so much that a person should know. */
export const isSkewed = (aheadMs: number): boolean => Math.abs(aheadMs) > toleratedMs

/** @param aheadMs how far the server's clock is ahead of ours */
export function skewWarning(aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000) * 1000
  return `the clock of this machine is ${renderDuration(seconds)} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of the server: set it, because schedules, ages and retention depend on it`
}
