import { createHash } from 'node:crypto'
import { proxiesIn } from '../../config/environment.ts'
import type { Loaded } from '../../config/load.ts'
import { type NotifyConfig, type NotifyEvent, type NotifyJob, notifyEvents } from '../../config/notify.ts'
import { readPem } from '../../config/pem.ts'
import { askingReader } from '../../config/renewed.ts'
import { usage } from '../../errors.ts'
import type { Posted } from './render.ts'
import { send } from './send.ts'

/** Somebody who is told. */
export type Target = {
  /** For messages, and for what is noted of it in the store; never a secret. */
  name: string
  as: NotifyConfig['as']
  events: readonly NotifyEvent[]
  jobs: readonly NotifyJob[]
  details: boolean
  /** Whether a command that ends tells it, too. */
  oneShot: boolean
  /** Why the last ping did not arrive, after all its tries; changed in place. */
  pings: { problem: string | undefined }
  /** Reads, or asks for, its secrets again. @throws {AppError} `usage`; an error when the signal comes before they are there */
  read(signal: AbortSignal): Promise<{ url: string; secret: string | undefined }>
  /** Sends once. @returns why it was not received, in words that show no secret; undefined if it was */
  post(url: string, posted: Posted, signal: AbortSignal): Promise<string | undefined>
}

/**
 * The targets of `notify`.
 * @throws {AppError} `usage` for two of one name, and for a file of `ca` that cannot be read
 */
export function targetsOf({ config, env, baseDir }: Loaded): Target[] {
  const targets = config.notify.map((one, i) => targetOf(one, `notify[${i}]`, { env, baseDir }))
  const twice = targets.find(({ name }, i) => targets.findIndex((other) => other.name === name) !== i)
  if (twice)
    throw usage(`two targets of notify are called ${twice.name}`, { hint: 'give each of them a `name` of its own' })
  return targets
}

function targetOf(one: NotifyConfig, key: string, around: Pick<Loaded, 'env' | 'baseDir'>): Target {
  const { as, url, headers = {}, sign, ca, details } = one
  const ask = askingReader(around)
  const trusted = ca === undefined ? undefined : [readPem(ca, `${key}.ca`, around.baseDir).text]
  const proxy = proxiesIn(around.env)
  return {
    name: one.name ?? `${as}-${createHash('sha256').update(JSON.stringify(url)).digest('hex').slice(0, 8)}`,
    as,
    events: as === 'healthchecks' ? [] : (one.on ?? notifyEvents),
    jobs: as === 'healthchecks' ? (one.for ?? ['backup']) : [],
    details,
    oneShot: one.oneShot ?? as === 'json',
    pings: { problem: undefined },
    async read(signal) {
      const text = typeof url === 'string' ? url : await inTime(ask(url, `${key}.url`), signal)
      return { url: httpUrl(text, `${key}.url`), secret: sign && (await inTime(ask(sign, `${key}.sign`), signal)) }
    },
    async post(to, { body, headers: own }, signal) {
      const more: Record<string, string> = {}
      for (const [name, value] of Object.entries(headers))
        more[name.toLowerCase()] =
          typeof value === 'string' ? value : await inTime(ask(value, `${key}.headers.${name}`), signal)
      return send({ url: to, body, headers: { ...own, ...more }, ca: trusted, proxy, signal })
    },
  }
}

function httpUrl(text: string, key: string): string {
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text
  throw usage(`${key} is no address of HTTP`, { hint: 'it begins with https:// (or http://)' })
}

/** Whoever asks for several secrets may wait for each of them, one after the other. */
async function inTime<T>(asking: Promise<T>, signal: AbortSignal): Promise<T> {
  const late = Promise.withResolvers<never>()
  const giveUp = () => late.reject(new Error('its secrets were not there in time'))
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  try {
    return await Promise.race([asking, late.promise])
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}
