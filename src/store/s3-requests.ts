import { setTimeout as sleep } from 'node:timers/promises'
import type { S3Client } from '../config/aws.ts'
import type { S3Settings } from '../config/s3-settings.ts'
import { isExpired, isSkew, isTemporary, retryAfterMs } from './s3-answers.ts'
import type { Place } from './s3-place.ts'

export type Aws = typeof import('../config/aws.ts')

/** How long things may take, in milliseconds. */
export type Patience = {
  /** To connect. */
  connectMs: number
  /** Without a byte in either direction. */
  idleMs: number
  /** For the answer to a request without a body. */
  answerMs: number
  /** A slower server than this cannot be used: bytes per millisecond. */
  slowest: number
  /** For a request with everything that is tried again, once the server has answered well. */
  totalMs: number
  /** The same before it has: somebody may have typed its address wrong. */
  firstMs: number
  /** Before the second attempt; then twice that, and so on. */
  pauseMs: number
}

export const patience: Patience = {
  connectMs: 10_000,
  idleMs: 60_000,
  answerMs: 30_000,
  slowest: 64,
  totalMs: 120_000,
  firstMs: 15_000,
  pauseMs: 200,
}

const longestPauseMs = 10_000

/** One attempt of a request. */
export type Attempt<T> = (client: S3Client, options: { abortSignal: AbortSignal }, aws: Aws) => Promise<T>

export type Limits = {
  /** How much is sent. */
  bytes?: number
  /** For the answer, instead of {@link Patience}'s. */
  answerMs?: number
  /** Ends it. */
  signal?: AbortSignal
}

/** Requests to one bucket, each tried again while that may help. */
export type Requests = {
  place: Place
  patience: Patience
  /** @throws the error of the last attempt, as the SDK has it; what a signal was aborted with */
  send<T>(attempt: Attempt<T>, limits?: Limits): Promise<T>
  /** Aborted once what is asked or read now is given up. */
  readonly given: AbortSignal
  /** What must not be shown. */
  secrets(): string[]
  /** Ends every request and everything that is being read. */
  giveUp(error: Error): void
  /** Closes connections that nobody uses. */
  rest(): void
}

export function requestsTo(place: Place, settings: S3Settings, patience: Patience): Requests {
  let connecting: Promise<{ aws: Aws; client: S3Client }> | undefined
  let stop = new AbortController()
  let answered = false

  const connect = async () => {
    const aws = await import('../config/aws.ts')
    return { aws, client: await aws.makeClient({ ...settings, ...patience }) }
  }
  const once = async <T>(attempt: Attempt<T>, { bytes = 0, answerMs, signal }: Limits): Promise<T> => {
    connecting ??= connect()
    const { aws, client } = await connecting
    const late = new AbortController()
    const limitMs = (answerMs ?? patience.answerMs) + bytes / patience.slowest
    const timer = setTimeout(() => late.abort(), limitMs)
    const abortSignal = AbortSignal.any([stop.signal, late.signal, ...(signal ? [signal] : [])])
    try {
      const answer = await attempt(client, { abortSignal }, aws)
      answered = true
      return answer
    } catch (error) {
      if (isExpired(error)) await client.config.credentials({ forceRefresh: true }).catch(() => {})
      throw late.signal.aborted ? tooLate(limitMs) : error
    } finally {
      // what is read afterwards has no limit but `idleMs`
      clearTimeout(timer)
    }
  }
  return {
    place,
    patience,
    async send(attempt, limits = {}) {
      const stopped = stop.signal
      const startedAt = performance.now()
      for (let tries = 1; ; tries++) {
        try {
          return await once(attempt, limits)
        } catch (error) {
          stopped.throwIfAborted()
          limits.signal?.throwIfAborted()
          const mayHelp = isTemporary(error) || (tries === 1 && (isExpired(error) || isSkew(error)))
          const pause = Math.max(retryAfterMs(error), pauseMs(patience.pauseMs, tries))
          const leftMs = (answered ? patience.totalMs : patience.firstMs) - (performance.now() - startedAt)
          if (!mayHelp || pause > leftMs) throw error
          const signal = AbortSignal.any([stopped, ...(limits.signal ? [limits.signal] : [])])
          await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())
        }
      }
    },
    get given() {
      return stop.signal
    },
    secrets: () => settings.shown(),
    giveUp(error) {
      stop.abort(error)
      stop = new AbortController()
    },
    rest() {},
  }
}

/** Twice as long each time, and not at the same instant as everybody else. */
const pauseMs = (first: number, tries: number) =>
  Math.min(longestPauseMs, first * 2 ** (tries - 1)) * (0.5 + Math.random() / 2)

const tooLate = (limitMs: number) =>
  Object.assign(new Error(`no answer within ${Math.round(limitMs)} ms`), { name: 'TimeoutError' })
