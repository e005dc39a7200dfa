import type { NotifyJob } from '../../config/notify.ts'
import type { Context } from '../../run/context.ts'
import { asAppError } from '../../run/failure.ts'
import { startPings } from './pings.ts'
import type { Target } from './targets.ts'

const tries = 10
const pauseMs = 5_000
/** What is still being sent when the process ends has this long. */
const lastMs = 10_000

const sending = new Set<Promise<void>>()

/** Does a job of `serve`, and tells whoever is told of jobs that it starts and how it ended, in the background. */
export async function asJob<T>(
  { log, signal }: Pick<Context, 'log' | 'signal'>,
  targets: readonly Target[],
  job: NotifyJob,
  work: () => Promise<T>,
): Promise<T> {
  const started = startPings(targets, job, { log, signal, tries, pauseMs })
  const end = (ok: boolean, text: string) => {
    const sent = started.end(() => ({ ok, text })).finally(() => sending.delete(sent))
    sending.add(sent)
  }
  try {
    const result = await work()
    end(true, `pgbosun ${job}: ok`)
    return result
  } catch (error) {
    const { exitCode, message, hint } = asAppError(error)
    end(
      false,
      [`pgbosun ${job}: exit ${exitCode}: ${message}`, ...(hint === undefined ? [] : [`hint: ${hint}`])].join('\n'),
    )
    throw error
  }
}

/** Waits for what is being sent, but not for long. */
export async function lastWords(): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, lastMs)
  await Promise.race([Promise.all(sending), late.promise])
  clearTimeout(timer)
}
