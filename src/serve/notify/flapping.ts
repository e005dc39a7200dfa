// pure
import type { Message } from './messages.ts'

/** When each condition was told as opened, newest last, in milliseconds since 1970. */
export type Openings = Map<string, number[]>

/** So often in an hour a condition that comes and goes is told; the last time it is said that it does. */
const mostOpenings = 3
const windowMs = 3_600_000

const keyOf = ({ condition: { name, database, schedule } }: Message) =>
  JSON.stringify([name, database ?? null, schedule ?? null])

const recent = (openings: Openings, key: string, now: Date) =>
  (openings.get(key) ?? []).filter((at) => Math.abs(now.getTime() - at) < windowMs)

/**
 * Leaves out what is said of a condition that has opened too often within an hour: that it is over, too. When the hour is over, what it is
 * then is said. Pure.
 */
export const withoutFlapping = (messages: readonly Message[], openings: Openings, now: Date): Message[] =>
  messages.flatMap((message) => {
    const before = recent(openings, keyOf(message), now).length
    if (message.event === 'reminder') return [message]
    if (before >= mostOpenings) return []
    const isLast = message.event === 'opened' && before === mostOpenings - 1
    return [isLast ? { ...message, flapping: true } : message]
  })

/** Notes what was told. */
export function noteOpening(openings: Openings, message: Message, now: Date): void {
  if (message.event !== 'opened') return
  const key = keyOf(message)
  openings.set(key, [...recent(openings, key, now), now.getTime()])
}
