// pure

import { isSame } from '../../check/backup-conditions.ts'
import type { Condition } from '../../check/condition-catalogue.ts'
import type { NotifyEvent } from '../../config/notify.ts'

/** What a target was told of a condition that was open then. */
export type Told = Pick<Condition, 'name' | 'severity' | 'message' | 'hint' | 'since'> & {
  database: string | null
  schedule: string | null
  /** When it was told last that it is open. */
  at: string
}

/** Something to say of a condition. `still`: said again, because nobody knows whether it was said before. */
export type Message = {
  event: NotifyEvent | 'still'
  /** The same for the same thing, however often it is said. */
  key: string
  /** It has opened several times within an hour, and nothing more is said of it for as long. */
  flapping?: boolean
  condition: Pick<Condition, 'name' | 'severity' | 'message' | 'hint' | 'since' | 'database' | 'schedule'>
}

/** What is open, and of what it is known whether it is. */
export type Present = {
  conditions: readonly Condition[]
  /** Whether this process has looked, so that what is not among the conditions is over. */
  isKnown(condition: Pick<Condition, 'name' | 'database'>): boolean
}

export const reminderMs = 24 * 3_600_000

/**
 * What one target has to be told now, the oldest first. A condition that was told, and is open again after it was told that it is over, is
 * a new one. Pure.
 *
 * @param told   what it was told already, and is not over as far as it knows
 * @param events what it wants to know
 * @param maybeTold what is open since before this instant, and is not in `told`, may have been told by a process before
 */
export function messagesFor(
  { conditions, isKnown }: Present,
  told: readonly Told[],
  { events, now, maybeTold }: { events: readonly NotifyEvent[]; now: Date; maybeTold: Date },
): Message[] {
  const wants = (event: NotifyEvent) => events.includes(event)
  const open = conditions.flatMap((condition): Message[] => {
    const before = told.find((one) => isSame(fromTold(one), condition))
    if (!before)
      return wants('opened') ? [messageOf(new Date(condition.since) < maybeTold ? 'still' : 'opened', condition)] : []
    // told in the future: the clock was set back since
    const due = Math.abs(now.getTime() - Date.parse(before.at)) >= reminderMs
    return due && wants('reminder') ? [messageOf('reminder', { ...condition, since: before.since })] : []
  })
  const over = told
    .map(fromTold)
    .filter((one) => wants('resolved') && isKnown(one) && !conditions.some((condition) => isSame(condition, one)))
    .map((one) => messageOf('resolved', one))
  return [...over, ...open].sort((a, b) => (a.condition.since < b.condition.since ? -1 : 1))
}

/** What a target knows after it was told. Pure. */
export function toldAfter(told: readonly Told[], { event, condition }: Message, now: Date): Told[] {
  const others = told.filter((one) => !isSame(fromTold(one), condition))
  return event === 'resolved' ? others : [...others, toTold(condition, now)]
}

/**
 * What need not be said is remembered or forgotten in silence: what opened where only reminders or the end are wanted, and what is over
 * where nothing is wanted of that. Pure.
 */
export function settled(
  told: readonly Told[],
  { conditions, isKnown }: Present,
  { events, now }: { events: readonly NotifyEvent[]; now: Date },
): Told[] {
  const isOpen = (one: Told) => conditions.some((condition) => isSame(condition, fromTold(one)))
  const kept = events.includes('resolved') ? told : told.filter((one) => isOpen(one) || !isKnown(fromTold(one)))
  if (events.includes('opened')) return [...kept]
  const fresh = conditions.filter((condition) => !kept.some((one) => isSame(fromTold(one), condition)))
  return [...kept, ...fresh.map((condition) => toTold(condition, now))]
}

const messageOf = (event: Message['event'], condition: Message['condition']): Message => ({
  event,
  key: [condition.name, condition.database ?? '', condition.schedule ?? '', condition.since].join('/'),
  condition,
})

const toTold = (condition: Message['condition'], now: Date): Told => {
  const { name, severity, message, hint, since, database, schedule } = condition
  return {
    name,
    severity,
    message,
    hint,
    since,
    database: database ?? null,
    schedule: schedule ?? null,
    at: now.toISOString(),
  }
}

const fromTold = ({ database, schedule, at: _, ...rest }: Told): Message['condition'] => ({
  ...rest,
  ...(database !== null && { database }),
  ...(schedule !== null && { schedule }),
})
