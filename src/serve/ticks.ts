const minuteMs = 60_000

/** A timer may fire a millisecond before the instant on the wall clock (measured: 12 of 400): a turn that early would miss its slot. */
const behindMs = 5

/** Milliseconds until just behind the next full minute, where slots begin. */
export const untilNextMinute = (nowMs: number) => minuteMs + behindMs - (nowMs % minuteMs)

/**
 * Calls `turn` at every full minute; after a stall (a stopped process, a throttled pod) at once, and once; after the clock was set within
 * a minute.
 * @returns what ends it
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
