import { answered } from '../../postgres/answers.ts'
import type { Sql } from '../../postgres/db.ts'
import { isConnectionLost } from '../../postgres/lost.ts'

/** The server works while we write, with at most this many messages or characters unanswered at once. */
const maxMessages = 100
const maxChars = 8_000_000

/** Messages that were sent and not yet answered. The server answers them in order. */
export type Pipeline = {
  /** Sends a message, and returns its number as `answered` of postgres/answers counts. `done` gets the time it took from the answer before; `fail` is called for the first failure only. */
  send(text: string, done?: (durationMs: number) => void, fail?: (error: unknown) => void): number
  /** Whether a message failed. */
  failed(): boolean
  /** Waits until another message may be sent, or one has failed. */
  room(): Promise<void>
  /** Waits until all are answered, or the connection is lost: then some never are. */
  drain(): Promise<void>
}

/** Pipelines messages on a session without awaiting each of them. Discards the rows that they return. */
export function openPipeline(sql: Sql): Pipeline {
  const underWay: { chars: number; answered: Promise<void> }[] = []
  let chars = 0
  let lastAnswerAt = 0
  let failure: { error: unknown } | undefined
  let number = answered(sql)

  const next = async () => {
    const oldest = underWay.shift()
    await oldest?.answered
    chars -= oldest?.chars ?? 0
  }

  return {
    send(text, done, fail) {
      const sentAt = performance.now()
      const settled = sql
        .unsafe(text)
        .forEach(ignoreRow)
        .then(
          () => {
            const now = performance.now()
            done?.(now - Math.max(sentAt, lastAnswerAt))
            lastAnswerAt = now
          },
          (error) => {
            if (failure) return
            failure = { error }
            fail?.(error)
          },
        )
      underWay.push({ chars: text.length, answered: settled })
      chars += text.length
      return number++
    },
    failed: () => failure !== undefined,
    async room() {
      while (!failure && (underWay.length >= maxMessages || (chars > maxChars && underWay.length > 0))) await next()
    },
    async drain() {
      while (underWay.length > 0 && !(failure && isConnectionLost(failure.error))) await next()
    },
  }
}

const ignoreRow = () => {}
