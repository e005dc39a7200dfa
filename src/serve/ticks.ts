const minuteMs = 60_000

/** A timer may fire a millisecond before its instant on the wall clock (measured: 12 of 400); such a turn would miss its slot. */
export const behindMs = 5

/** Milliseconds until just after the next full minute, when slots start. */
export const untilNextMinute = (nowMs: number) => minuteMs + behindMs - (nowMs % minuteMs)

/**
 * Calls `turn` at every full minute. After a pause (a stopped process, a throttled pod) calls it at once, a single time; after the clock was
 * set, within a minute.
 * @returns a function that stops it
 */
export function startTicking(turn: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = () => {
    timer = setTimeout(tick, untilNextMinute(Date.now()))
  }
  const tick = () => {
    wait()
    turn()
  }
  wait()
  return () => clearTimeout(timer)
}
