import { describe, expect, test } from 'vitest'
import type { Condition } from '../../check/condition-catalogue.ts'
import { type NotifyEvent, notifyEvents } from '../../config/notify.ts'
import { messagesFor, type Present, reminderMs, settled, type Told, toldAfter } from './messages.ts'

const since = '2026-03-01T03:00:00.000Z'
const overdue: Condition = {
  ...{ name: 'backup-overdue', severity: 'error', roles: [], database: 'shop', since },
  ...{ message: 'no backup of shop since yesterday', hint: 'pgbosun backup run' },
}
const full: Condition = { ...overdue, name: 'store-unreadable', since: '2026-03-01T02:00:00.000Z' }
const now = new Date('2026-03-01T04:00:00Z')
const never = new Date(0)
const present = (conditions: Condition[], known = true): Present => ({ conditions, isKnown: () => known })
const all = { events: notifyEvents, now, maybeTold: never }

/** Says everything, and returns what was said and what is known afterwards. */
function say(now: Date, open: Present, told: readonly Told[], events: readonly NotifyEvent[] = notifyEvents) {
  const messages = messagesFor(open, told, { events, now, maybeTold: never })
  const after = messages.reduce<readonly Told[]>((known, message) => toldAfter(known, message, now), told)
  return { events: messages.map(({ event, condition }) => `${event} ${condition.name}`), told: after }
}

test('says what opened, the oldest first, once, and what is over', () => {
  const first = say(now, present([overdue, full]), [])
  expect(first.events).toEqual(['opened store-unreadable', 'opened backup-overdue'])
  const second = say(now, present([overdue, full]), first.told)
  expect(second.events).toEqual([])
  const third = say(now, present([overdue]), second.told)
  expect(third.events).toEqual(['resolved store-unreadable'])
  expect(say(now, present([overdue]), third.told).events).toEqual([])
  expect(say(now, present([overdue, full]), third.told).events).toEqual(['opened store-unreadable'])
})

test('reminds although the clock was ahead when it was told', () => {
  const { told } = say(new Date(now.getTime() + 365 * reminderMs), present([overdue]), [])
  expect(say(now, present([overdue]), told).events).toEqual(['reminder backup-overdue'])
})

test('what is not known to be over is not over', () => {
  const { told } = say(now, present([overdue]), [])
  expect(say(now, present([], false), told).events).toEqual([])
  expect(say(now, present([]), told).events).toEqual(['resolved backup-overdue'])
})

test('reminds after a day, and a day later again, with the instant of the start', () => {
  const { told } = say(now, present([overdue]), [])
  const later = (days: number) => new Date(now.getTime() + days * reminderMs)
  expect(say(new Date(later(1).getTime() - 1), present([overdue]), told).events).toEqual([])
  const again = { ...overdue, since: '2026-03-02T00:00:00.000Z' }
  const messages = messagesFor(present([again]), told, { ...all, now: later(1) })
  expect(messages).toMatchObject([{ event: 'reminder', key: `backup-overdue/shop//${since}`, condition: { since } }])
  const reminded = toldAfter(told, messages[0]!, later(1))
  expect(say(later(1.5), present([again]), reminded).events).toEqual([])
  expect(say(later(2), present([again]), reminded).events).toEqual(['reminder backup-overdue'])
})

test('what may have been said before this process is said as `still`', () => {
  const messages = messagesFor(present([overdue]), [], { ...all, maybeTold: now })
  expect(messages.map(({ event }) => event)).toEqual(['still'])
})

test('each schedule and each database is told for itself', () => {
  const { told } = say(now, present([overdue]), [])
  const others = [overdue, { ...overdue, schedule: 'hourly' }, { ...overdue, database: 'wiki' }]
  expect(say(now, present(others), told).events).toHaveLength(2)
})

describe('who does not want everything', () => {
  const later = new Date(now.getTime() + reminderMs)

  test('is told only of the end', () => {
    const told = settled([], present([overdue]), { events: ['resolved'], now })
    expect(say(now, present([overdue]), told, ['resolved']).events).toEqual([])
    expect(say(later, present([overdue]), told, ['resolved']).events).toEqual([])
    expect(say(later, present([]), told, ['resolved']).events).toEqual(['resolved backup-overdue'])
  })

  test('is told only of what lasts a day', () => {
    const told = settled([], present([overdue]), { events: ['reminder'], now })
    expect(say(now, present([overdue]), told, ['reminder']).events).toEqual([])
    expect(say(later, present([overdue]), told, ['reminder']).events).toEqual(['reminder backup-overdue'])
  })

  test('is told of what opens again, though not of its end', () => {
    const first = say(now, present([overdue]), [], ['opened'])
    expect(settled(first.told, present([overdue]), { events: ['opened'], now })).toEqual(first.told)
    const forgotten = settled(first.told, present([]), { events: ['opened'], now })
    expect(forgotten).toEqual([])
    expect(say(now, present([overdue]), forgotten, ['opened']).events).toEqual(['opened backup-overdue'])
    expect(settled(first.told, present([], false), { events: ['opened'], now })).toEqual(first.told)
  })
})
