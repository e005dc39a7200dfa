import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NotifyJob } from '../../config/notify.ts'
import type { Log } from '../../log.ts'
import { visible } from '../../text.ts'
import type { Target } from './targets.ts'

/** How a job ended, in words without anything that may be data. */
export type Outcome = { ok: boolean; text: string }

/** A job that has started: says to each target how it ended. */
export type StartedJob = { end(outcomeFor: (target: Target) => Outcome, options?: PingOptions): Promise<void> }

export type PingOptions = { log: Log; signal: AbortSignal; tries: number; pauseMs: number }

/**
 * Tells the targets of kind `healthchecks` that a job starts, in the background: a ping never delays or fails a job.
 * https://healthchecks.io/docs/http_api/: `/start`, `/fail`, and `rid` to pair them.
 */
export function startPings(targets: readonly Target[], job: NotifyJob, options: PingOptions): StartedJob {
  const rid = randomUUID()
  const listening = targets.filter(({ jobs }) => jobs.includes(job))
  const started = listening.map((target) => ping(target, { path: '/start', rid, text: '' }, options))
  return {
    async end(outcomeFor, ending = options) {
      await Promise.all(
        listening.map(async (target, i) => {
          // the order counts
          await Promise.race([started[i], aborted(ending.signal)])
          const { ok, text } = outcomeFor(target)
          await ping(target, { path: ok ? '' : '/fail', rid, text }, ending)
        }),
      )
    },
  }
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

export type Ping = { path: string; rid: string; text: string }

async function ping(target: Target, { path, rid, text }: Ping, options: PingOptions): Promise<void> {
  const { log, signal, tries, pauseMs } = options
  for (let i = 1; ; i++) {
    const problem = await pingOnce(target, { path, rid, text }, signal)
    if (problem === undefined) target.pings.problem = undefined
    if (problem === undefined) return
    if (i >= tries || signal.aborted) {
      if (!signal.aborted) target.pings.problem = problem
      return log.warn({ target: target.name, problem }, `${target.name} was not pinged: ${problem}`)
    }
    // it keeps the process alive: a command still has to do what comes after its messages
    await sleep(pauseMs * i, undefined, { signal }).catch(() => {})
  }
}

/** One ping, tried once. @returns why it was not received */
export async function pingOnce(
  target: Target,
  { path, rid, text }: Ping,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { url } = await target.read(signal)
    const to = new URL(url)
    to.pathname = to.pathname.replace(/\/$/, '') + path
    to.searchParams.set('rid', rid)
    const body = text.split('\n').map(visible).join('\n')
    return await target.post(to.href, { body, headers: { 'content-type': 'text/plain; charset=utf-8' } }, signal)
  } catch (error) {
    return (error as Error).message
  }
}
