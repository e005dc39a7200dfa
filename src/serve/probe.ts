import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../log.ts'
import { renderDuration } from '../units.ts'
import { notReady, type ProbeAnswer } from './state.ts'

/** What the last look found, and when, in milliseconds of a monotonic clock. */
export type Known = { health: ProbeAnswer; atMs: number }

export type ProbeOptions = {
  /** One look. It ends soon after the signal does, and leaves no session behind. */
  look(signal: AbortSignal): Promise<ProbeAnswer>
  /** Whether a change is worth a line now. */
  isTold(): boolean
  log: Log
  signal: AbortSignal
}

export type Probe = {
  /** What is known, at once; what the first look finds is waited for, but not for long. */
  known(): Promise<Known | undefined>
  /** A new look, because something has happened; resolves when it is done. */
  again(): Promise<void>
}

const limitMs = 2_000
const pauseMs = 2_000
const firstMs = 150
const oldMs = 10_000

/** What is told now of what was found then: an answer that is too old is none. */
export function answerFrom(known: Known | undefined, nowMs: number): ProbeAnswer {
  if (!known) return notReady('unknown', 'the first look at the database is not done yet')
  const ageMs = nowMs - known.atMs
  if (ageMs <= oldMs) return known.health
  return notReady('unknown', `unknown: the last look at the database was ${Math.round(ageMs / 1000)} s ago`)
}

/** Looks again and again, one look at a time, each with an end. Nobody who asks starts one. */
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

/** One line for each change, with how long it was as it was before. */
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
