// pure
import type { Cron } from '../config/cron.ts'
import { instantOf, localTime } from './zone.ts'

/** When the backups of one series are made. The name of the only one is empty. */
export type Schedule = {
  name: string
  /** As it is written. */
  text: string
  cron: Cron
  zone: string
  /** No start is as late as this after its slot. */
  jitterMs: number
}

const dayMs = 86_400_000

/** A leap year and a day: every schedule of five fields has a slot within that time, except for 29 February. */
export const lookBackMs = 367 * 86_400_000

/** Long enough for a 29 February on a given day of the week, even across 2100. */
const horizonMs = 41 * 366 * dayMs

/**
 * The scheduled instants after `after`, up to and including `until`, ascending. Pure.
 *
 * A time that is skipped when daylight saving starts moves to the first instant after the gap; several such times become one. A time
 * that occurs twice when it ends counts only the first time.
 *
 * @param zone IANA name of the time zone of the fields
 */
export function slotsBetween(cron: Cron, zone: string, after: Date, until: Date): Date[] {
  return [...slotsForward(cron, zone, after.getTime(), until.getTime())]
}

/** The first scheduled instant after `after`; undefined if there is none in 40 years. */
export function nextSlot(cron: Cron, zone: string, after: Date): Date | undefined {
  const from = after.getTime()
  return slotsForward(cron, zone, from, from + horizonMs).next().value ?? undefined
}

/** The last scheduled instant after `after`, up to and including `now`, whose backup has to be made now; undefined if none was missed. */
export function newestMissedSlot(cron: Cron, zone: string, after: Date, now: Date): Date | undefined {
  const [from, to] = [after.getTime(), now.getTime()]
  for (let day = localDay(zone, to) + dayMs; day >= localDay(zone, from) - dayMs; day -= dayMs) {
    const slot = slotsOfDay(cron, zone, day).findLast((instant) => instant > from && instant <= to)
    if (slot !== undefined) return new Date(slot)
  }
  return undefined
}

/** The last slots after `after`, up to and including `now`, ascending; so many at most. */
export function newestSlots(cron: Cron, zone: string, after: Date, now: Date, most: number): Date[] {
  const [from, to] = [after.getTime(), now.getTime()]
  const found = new Set<number>()
  // a day more than is needed: what it skips is at the start of the next one
  for (let day = localDay(zone, to) + dayMs, more = 1; day >= localDay(zone, from) - dayMs && more >= 0; day -= dayMs) {
    for (const instant of slotsOfDay(cron, zone, day)) if (instant > from && instant <= to) found.add(instant)
    if (found.size >= most) more--
  }
  return [...found]
    .sort((a, b) => a - b)
    .slice(-most)
    .map((instant) => new Date(instant))
}

function* slotsForward(cron: Cron, zone: string, from: number, to: number): Generator<Date> {
  let newest = from
  // If a whole day is skipped, its slots are at the start of the next day.
  for (let day = localDay(zone, from) - dayMs; day <= localDay(zone, to) + dayMs; day += dayMs) {
    for (const instant of slotsOfDay(cron, zone, day)) {
      if (instant > to) return
      if (instant <= newest) continue
      newest = instant
      yield new Date(instant)
    }
  }
}

/** Midnight of the local day, in the milliseconds of {@link localTime}. */
const localDay = (zone: string, instant: number) => Math.floor(localTime(zone, instant).ms / dayMs) * dayMs

function slotsOfDay(cron: Cron, zone: string, day: number): number[] {
  if (!isDay(cron, new Date(day))) return []
  const [before, after] = [day - dayMs, day + 2 * dayMs].map((instant) => localTime(zone, instant).offsetMs)
  const toInstant = before === after ? (local: number) => local - before! : (local: number) => instantOf(zone, local)
  return cron.hours.flatMap((hour) => cron.minutes.map((minute) => toInstant(day + (hour * 60 + minute) * 60_000)))
}

function isDay({ months, daysOfMonth, daysOfWeek, eitherDay }: Cron, day: Date): boolean {
  if (!months.includes(day.getUTCMonth() + 1)) return false
  const inMonth = daysOfMonth.includes(day.getUTCDate())
  const inWeek = daysOfWeek.includes(day.getUTCDay())
  return eitherDay ? inMonth || inWeek : inMonth && inWeek
}
