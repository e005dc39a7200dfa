import type { Loaded } from '../../config/load.ts'
import type { NotifyJob } from '../../config/notify.ts'
import type { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Message } from './messages.ts'
import { startPings } from './pings.ts'
import { posted } from './render.ts'
import { type Target, targetsOf } from './targets.ts'
import { tellOnce } from './told-once.ts'

/** What one command may take for its messages, in all, after its result. */
const limitMs = 10_000
const tries = 3
const pauseMs = 500

/** The job of a command that ends: says how it ended, within ten seconds. It never fails. */
export type OneShot = (failure: AppError | undefined) => Promise<void>

/**
 * Starts a job that is the whole run of a command. Pings are for each run, a document of `json` is for each failure. Chats are told where that
 * is wanted (`oneShot`), and once an hour where the store can note it: a Job that is started again and again would fill them.
 *
 * @param database for messages
 * @throws {AppError} `usage` for a configuration that cannot be used
 */
export function startOneShot(
  loaded: Loaded,
  job: NotifyJob,
  { log, database }: { log: Log; database(): string },
): OneShot {
  const targets = targetsOf(loaded)
  const started = startPings(targets, job, { log, signal: new AbortController().signal, tries: 1, pauseMs })
  const listeners = targets.filter(({ oneShot, events }) => oneShot && events.includes('opened'))
  return async (failure) => {
    const signal = AbortSignal.timeout(limitMs)
    const listening = failure ? listeners : []
    const once = tellOnce(loaded, signal)
    await Promise.all([
      started.end((target) => ({ ok: failure === undefined, text: outcomeText(job, failure, target) }), {
        log,
        signal,
        tries,
        pauseMs,
      }),
      ...listening.map((target) => {
        const message = messageOf(job, failure!, target, database)
        const telling = () => tell(target, message, { log, signal })
        return target.as === 'json' ? telling() : once(target, message, telling)
      }),
    ])
  }
}

function outcomeText(job: NotifyJob, failure: AppError | undefined, { details }: Target): string {
  if (!failure) return `pgbosun ${job}: ok`
  const more = details && failure.excerpt ? [failure.excerpt] : []
  return [`pgbosun ${job}: exit ${failure.exitCode}: ${failure.message}`, ...more, ...hintOf(failure)].join('\n')
}

const hintOf = ({ hint }: AppError) => (hint === undefined ? [] : [`hint: ${hint}`])

function messageOf(job: NotifyJob, failure: AppError, { details }: Target, databaseOf: () => string): Message {
  const database = nameFrom(databaseOf)
  const name = job === 'up' ? 'up-failed' : 'backup-failed'
  const since = new Date().toISOString()
  const message = details && failure.excerpt ? `${failure.message}\n${failure.excerpt}` : failure.message
  return {
    event: 'opened',
    key: [name, database, '', since].join('/'),
    condition: { name, severity: 'error', database, message, hint: failure.hint ?? 'run it again', since },
  }
}

/** What failed may be that no connection is configured; that is in the message. */
function nameFrom(databaseOf: () => string): string {
  try {
    return databaseOf()
  } catch {
    return ''
  }
}

async function tell(
  target: Target,
  message: Message,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<boolean> {
  let problem: string | undefined
  for (let i = 1; i <= tries && !signal.aborted; i++) {
    problem = await tellOne(target, message, signal)
    if (problem === undefined) return true
    if (i < tries) await new Promise((resolve) => setTimeout(resolve, pauseMs * i))
  }
  log.warn({ target: target.name, problem }, `${target.name} was not told: ${problem ?? 'there was no time left'}`)
  return false
}

async function tellOne(target: Target, message: Message, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { url, secret } = await target.read(signal)
    return await target.post(
      url,
      posted(target.as as Exclude<Target['as'], 'healthchecks'>, message, { now: new Date(), url, secret }),
      signal,
    )
  } catch (error) {
    return (error as Error).message
  }
}
