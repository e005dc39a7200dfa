import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import { notReady, type ProbeAnswer } from './state.ts'

/** The result of the last look, and its time in milliseconds of a monotonic clock. */
export type Known = { health: ProbeAnswer; atMs: number }

export type ProbeOptions = {
  /** One look at the database. After the signal it ends soon, and leaves no session behind. */
  look(signal: AbortSignal): Promise<ProbeAnswer>
  /** Whether changes are logged now. */
  isTold(): boolean
  /** Called with the result of each look. */
  onHealth?(health: ProbeAnswer): void
  log: Log
  signal: AbortSignal
}

export type Probe = {
  /** What is known, at once; only for the result of the first look it waits, for a short time. */
  known(): Promise<Known | undefined>
  /** Looks again, because something has changed; resolves when done. */
  again(): Promise<void>
}

const limitMs = 2_000
const pauseMs = 2_000
const firstMs = 150
const oldMs = 10_000

/** The answer now, from the result of the last look; a result that is too old counts as unknown. */
export function answerFrom(known: Known | undefined, nowMs: number): ProbeAnswer {
  if (!known) return notReady('unknown', 'the database has not been looked at yet')
  const ageMs = nowMs - known.atMs
  if (ageMs <= oldMs) return known.health
  return notReady('unknown', `unknown: the last look at the database was ${Math.round(ageMs / 1000)} s ago`)
}

/** Looks at the database every two seconds, one look at a time, each with a time limit. Requests never start a look. */
export function startProbe(options: ProbeOptions): Probe {
  let known: Known | undefined
  let wake = new AbortController()
  const first = Promise.withResolvers<void>()
  let next = Promise.withResolvers<void>()
  const tell = tellChanges(options)
  const turn = async () => {
    const done = next
    next = Promise.withResolvers()
    const health = await lookOnce(options)
    known = { health, atMs: performance.now() }
    tell(health)
    options.onHealth?.(health)
    done.resolve()
    first.resolve()
  }
  const turning = async () => {
    while (!options.signal.aborted) {
      await turn()
      const signal = AbortSignal.any([wake.signal, options.signal])
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {})
      if (wake.signal.aborted) wake = new AbortController()
    }
    next.resolve()
  }
  void turning()
  return {
    async known() {
      if (!known) await Promise.race([first.promise, sleep(firstMs, undefined, { ref: false })])
      return known
    },
    async again() {
      const done = next.promise
      wake.abort()
      await done
    },
  }
}

async function lookOnce({ look, signal }: ProbeOptions): Promise<ProbeAnswer> {
  const limit = AbortSignal.timeout(limitMs)
  const late = notReady('unreachable', `the database does not answer within ${renderDuration(limitMs)}`)
  const health = await look(AbortSignal.any([limit, signal]))
  return limit.aborted && !health.ok ? late : health
}

/** Logs one line for each change, with how long the state before had lasted. */
function tellChanges({ log, isTold }: ProbeOptions): (health: ProbeAnswer) => void {
  let told: { reason: string | undefined; sinceMs: number } | undefined
  let downSinceMs: number | undefined
  return ({ ok, text, reason = text }) => {
    const now = performance.now()
    const what = ok ? undefined : reason
    if ((told && told.reason === what) || (!ok && !isTold())) return
    const forMs = told && Math.round(now - told.sinceMs)
    if (!ok)
      log.warn(told ? { [told.reason === undefined ? 'ready_ms' : 'reason_ms']: forMs } : {}, `not ready: ${reason}`)
    else if (downSinceMs !== undefined) log.info({ not_ready_ms: Math.round(now - downSinceMs) }, 'ready again')
    downSinceMs = ok ? undefined : (downSinceMs ?? now)
    told = { reason: what, sinceMs: now }
  }
}
