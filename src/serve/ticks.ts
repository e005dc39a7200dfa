const minuteMs = 60_000

/** Milliseconds until the next full minute, where slots begin; never none, also just before or on one. */
export const untilNextMinute = (nowMs: number) => minuteMs - (nowMs % minuteMs)

/**
 * Calls `turn` at every full minute; after a stall (a stopped process, a throttled pod, a clock that was set) at once, and once.
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
