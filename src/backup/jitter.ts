// pure
import type { Cron } from '../config/cron.ts'

const dayMs = 86_400_000

/** The shortest time between two slots of a schedule, by the clock on the wall; a day for a schedule with one slot a day or fewer. */
export function shortestGapMs({ hours, minutes }: Pick<Cron, 'hours' | 'minutes'>): number {
  const times = hours.flatMap((hour) => minutes.map((minute) => (hour * 60 + minute) * 60_000))
  const next = [...times.slice(1), (times[0] ?? 0) + dayMs]
  return Math.min(...times.map((time, i) => next[i]! - time))
}

/** `backup.jitter` of a schedule: no start is so late that the next slot comes first. */
export const jitterOf = (cron: Pick<Cron, 'hours' | 'minutes'>, jitterMs: number): number =>
  Math.min(jitterMs, shortestGapMs(cron))

/**
 * How long after its slot a backup starts: the same for the same slot and names, less than the jitter, and another for other names.
 *
 * @param names whatever tells this process from others with the same schedule
 */
export const delayMs = (slot: Date, jitterMs: number, names: readonly string[]): number =>
  Math.floor(fraction(JSON.stringify([...names, slot.toISOString()])) * jitterMs)

/** 0 or more, less than 1. FNV-1a, with the last step of MurmurHash3 so that texts that differ in one character are far apart. */
function fraction(text: string): number {
  let hash = 0x811c9dc5
  for (const char of text) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
