// pure
/** A local time. `ms` counts as if the zone were UTC, so that arithmetic on it is simple. */
export type LocalTime = { ms: number; offsetMs: number }

const dayMs = 86_400_000

/** The local time in an IANA zone at an instant, to the second. Pure. */
export function localTime(zone: string, instantMs: number): LocalTime {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatter(zone).formatToParts(instantMs)) parts[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  const wholeSecond = Math.floor(instantMs / 1000) * 1000
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  return { ms, offsetMs: ms - wholeSecond }
}

/**
 * The instant with the local time `localMs` in a zone. If that time occurs twice, the first instant; if it is skipped, the first instant
 * after the gap.
 */
export function instantOf(zone: string, localMs: number): number {
  const before = localMs - localTime(zone, localMs - dayMs).offsetMs
  const after = localMs - localTime(zone, localMs + dayMs).offsetMs
  const [first, second] = before < after ? [before, after] : [after, before]
  const exact = [first, second].find((instant) => localTime(zone, instant).ms === localMs)
  return exact ?? endOfGap(zone, localMs, first, second)
}

/** Clocks show less than `localMs` at `low` and more at `high`. */
function endOfGap(zone: string, localMs: number, low: number, high: number): number {
  let [shownBefore, shownAfter] = [low, high]
  while (shownAfter - shownBefore > 1000) {
    const middle = Math.floor((shownBefore + shownAfter) / 2000) * 1000
    if (localTime(zone, middle).ms < localMs) shownBefore = middle
    else shownAfter = middle
  }
  return shownAfter
}

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  formatters.set(timeZone, made)
  return made
}
