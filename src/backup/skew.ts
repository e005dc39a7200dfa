// pure
import { renderDuration } from '../units.ts'

const toleratedMs = 60_000

/** Whether the clocks of the server and of this machine differ by so much that a person should know. */
export const isSkewed = (aheadMs: number): boolean => Math.abs(aheadMs) > toleratedMs

/** @param aheadMs how far the server's clock is ahead of ours */
export function skewWarning(aheadMs: number): string {
  const seconds = Math.round(Math.abs(aheadMs) / 1000) * 1000
  return `the clock of this machine is ${renderDuration(seconds)} ${aheadMs > 0 ? 'behind' : 'ahead of'} that of the server: set it, because schedules, ages and retention depend on it`
}
