import { expect, test } from 'vitest'
import { noteOpening, type Openings, withoutFlapping } from './flapping.ts'
import type { Message } from './messages.ts'

const message = (event: Message['event'], database = 'shop'): Message => ({
  ...{ event, key: event },
  condition: {
    ...{ name: 'database-unreachable', severity: 'error', database, since: '2026-03-01T00:00:00.000Z' },
    ...{ message: 'it is away', hint: 'pgbosun wait' },
  },
})
const at = (minute: number) => new Date(Date.UTC(2026, 2, 1, 12, minute))

/** What of some messages is said, one after the other. */
function said(told: [minute: number, event: Message['event'], database?: string][]): string[] {
  const openings: Openings = new Map()
  return told.flatMap(([minute, event, database]) =>
    withoutFlapping([message(event, database)], openings, at(minute)).map((one) => {
      noteOpening(openings, one, at(minute))
      return `${minute} ${one.event}${one.flapping ? ', comes and goes' : ''}`
    }),
  )
}

test('a condition that comes and goes is told three times in an hour, and the third time says so', () => {
  const turns = [0, 5, 10, 15, 20].flatMap((minute): [number, Message['event']][] => [
    [minute, 'opened'],
    [minute + 2, 'resolved'],
  ])
  expect(said(turns)).toEqual(['0 opened', '2 resolved', '5 opened', '7 resolved', '10 opened, comes and goes'])
})

test('an hour after the first of them it is told again', () => {
  const opened: [number, Message['event']][] = [0, 20, 40, 59, 61].map((minute) => [minute, 'opened'])
  expect(said(opened)).toEqual(['0 opened', '20 opened', '40 opened, comes and goes', '61 opened, comes and goes'])
  expect(said([...opened.slice(0, 3), [61, 'resolved']])).toContain('61 resolved')
})

test('others are told meanwhile, and reminders are', () => {
  const many: [number, Message['event']][] = [0, 1, 2].map((minute) => [minute, 'opened'])
  expect(said([...many, [3, 'opened', 'wiki'], [4, 'reminder']]).slice(3)).toEqual(['3 opened', '4 reminder'])
})
