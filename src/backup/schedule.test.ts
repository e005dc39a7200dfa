import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cron, parseCron } from '../config/cron.ts'
import { lookBackMs, newestMissedSlot, newestSlots, nextSlot, slotsBetween } from './schedule.ts'
import { localTime } from './zone.ts'

function cron(text: string): Cron {
  const parsed = parseCron(text)
  if (typeof parsed === 'string') throw new Error(parsed)
  return parsed
}

const slots = (expression: string, zone: string, after: string, until: string) =>
  slotsBetween(cron(expression), zone, new Date(after), new Date(until)).map((slot) =>
    slot.toISOString().replace(':00.000Z', 'Z'),
  )

test('two schedules with different times have one instant in common when the earlier one is skipped', () => {
  const night = (text: string) => slots(text, 'Europe/Berlin', '2026-03-28T12:00Z', '2026-03-29T12:00Z')
  expect([night('30 2 * * *'), night('0 3 * * *')]).toEqual([['2026-03-29T01:00Z'], ['2026-03-29T01:00Z']])
})

describe('around a change of daylight saving', () => {
  test.for([
    // Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC
    [
      '30 2 * * *',
      'Europe/Berlin',
      '2026-03-28T00:00Z',
      ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      '0 3 * * *',
      'Europe/Berlin',
      '2026-03-28T00:00Z',
      ['2026-03-28T02:00Z', '2026-03-29T01:00Z', '2026-03-30T01:00Z'],
    ],
    // New York, 8 March 2026: 02:00 becomes 03:00 at 07:00 UTC
    [
      '30 2 * * *',
      'America/New_York',
      '2026-03-07T06:00Z',
      ['2026-03-07T07:30Z', '2026-03-08T07:00Z', '2026-03-09T06:30Z'],
    ],
    [
      '0 3 * * *',
      'America/New_York',
      '2026-03-07T06:00Z',
      ['2026-03-07T08:00Z', '2026-03-08T07:00Z', '2026-03-09T07:00Z'],
    ],
    // Lord Howe, 4 October 2026: 02:00 becomes 02:30 at 15:30 UTC of the day before
    [
      '15 2 * * *',
      'Australia/Lord_Howe',
      '2026-10-02T12:00Z',
      ['2026-10-02T15:45Z', '2026-10-03T15:30Z', '2026-10-04T15:15Z'],
    ],
    [
      '0 3 * * *',
      'Australia/Lord_Howe',
      '2026-10-02T12:00Z',
      ['2026-10-02T16:30Z', '2026-10-03T16:00Z', '2026-10-04T16:00Z'],
    ],
  ] as const)('a time that is skipped moves to the end of the gap: %s in %s', ([expression, zone, after, expected]) => {
    const until = new Date(Date.parse(after) + 3 * 86_400_000 - 1).toISOString()
    expect(slots(expression, zone, after, until)).toEqual(expected)
  })

  test.for([
    // Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC
    [
      '30 2 * * *',
      'Europe/Berlin',
      '2026-10-24T00:00Z',
      ['2026-10-24T00:30Z', '2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      '0 3 * * *',
      'Europe/Berlin',
      '2026-10-24T00:00Z',
      ['2026-10-24T01:00Z', '2026-10-25T02:00Z', '2026-10-26T02:00Z'],
    ],
    // New York, 1 November 2026: 02:00 becomes 01:00 at 06:00 UTC
    [
      '30 1 * * *',
      'America/New_York',
      '2026-10-31T05:00Z',
      ['2026-10-31T05:30Z', '2026-11-01T05:30Z', '2026-11-02T06:30Z'],
    ],
    [
      '0 3 * * *',
      'America/New_York',
      '2026-10-31T05:00Z',
      ['2026-10-31T07:00Z', '2026-11-01T08:00Z', '2026-11-02T08:00Z'],
    ],
    // Lord Howe, 5 April 2026: 02:00 becomes 01:30 at 15:00 UTC of the day before
    [
      '45 1 * * *',
      'Australia/Lord_Howe',
      '2026-04-03T12:00Z',
      ['2026-04-03T14:45Z', '2026-04-04T14:45Z', '2026-04-05T15:15Z'],
    ],
    [
      '0 3 * * *',
      'Australia/Lord_Howe',
      '2026-04-03T12:00Z',
      ['2026-04-03T16:00Z', '2026-04-04T16:30Z', '2026-04-05T16:30Z'],
    ],
  ] as const)('a time that comes twice counts once, the first time: %s in %s', ([
    expression,
    zone,
    after,
    expected,
  ]) => {
    const until = new Date(Date.parse(after) + 3 * 86_400_000 - 1).toISOString()
    expect(slots(expression, zone, after, until)).toEqual(expected)
  })

  test('of many times in a gap one remains, and none is repeated', () => {
    expect(slots('*/15 * * * *', 'Europe/Berlin', '2026-03-29T00:30Z', '2026-03-29T01:30Z')).toEqual([
      '2026-03-29T00:45Z',
      '2026-03-29T01:00Z',
      '2026-03-29T01:15Z',
      '2026-03-29T01:30Z',
    ])
    expect(slots('*/15 * * * *', 'Europe/Berlin', '2026-10-25T00:30Z', '2026-10-25T02:15Z')).toEqual([
      '2026-10-25T00:45Z',
      '2026-10-25T02:00Z',
      '2026-10-25T02:15Z',
    ])
  })

  test('midnight may come and the day before return (St John’s, until 2011): the slot is there, and once', () => {
    const daily = ['@daily', 'America/St_Johns'] as const
    expect(slots(...daily, '2010-11-07T02:00Z', '2010-11-07T02:45Z')).toEqual(['2010-11-07T02:30Z'])
    expect(slots(...daily, '2010-11-07T02:45Z', '2010-11-08T04:00Z')).toEqual(['2010-11-08T03:30Z'])
    const [after, now] = [new Date('2010-11-07T02:00Z'), new Date('2010-11-07T02:45Z')]
    expect(newestMissedSlot(cron('@daily'), 'America/St_Johns', after, now)).toEqual(new Date('2010-11-07T02:30Z'))
  })

  test('midnight itself may be skipped (Beirut), or a whole day (Apia)', () => {
    expect(slots('@daily', 'Asia/Beirut', '2026-03-28T12:00Z', '2026-03-30T12:00Z')).toEqual([
      '2026-03-28T22:00Z',
      '2026-03-29T21:00Z',
    ])
    expect(slots('0 3 * * *', 'Pacific/Apia', '2011-12-29T00:00Z', '2011-12-31T12:00Z')).toEqual([
      '2011-12-29T13:00Z',
      '2011-12-30T10:00Z',
      '2011-12-30T13:00Z',
    ])
  })
})

describe('fields', () => {
  test.for([
    ['*/15 * * * *', ['2026-01-01T00:15Z', '2026-01-01T00:30Z', '2026-01-01T00:45Z', '2026-01-01T01:00Z']],
    ['@hourly', ['2026-01-01T01:00Z', '2026-01-01T02:00Z', '2026-01-01T03:00Z', '2026-01-01T04:00Z']],
    ['@daily', ['2026-01-02T00:00Z', '2026-01-03T00:00Z', '2026-01-04T00:00Z', '2026-01-05T00:00Z']],
    ['@weekly', ['2026-01-04T00:00Z', '2026-01-11T00:00Z', '2026-01-18T00:00Z', '2026-01-25T00:00Z']],
    ['@monthly', ['2026-02-01T00:00Z', '2026-03-01T00:00Z', '2026-04-01T00:00Z', '2026-05-01T00:00Z']],
    ['@yearly', ['2027-01-01T00:00Z', '2028-01-01T00:00Z', '2029-01-01T00:00Z', '2030-01-01T00:00Z']],
    // Thursday the first: weekdays, names, Sunday as 7
    ['0 3 * * 1-5', ['2026-01-01T03:00Z', '2026-01-02T03:00Z', '2026-01-05T03:00Z', '2026-01-06T03:00Z']],
    ['0 3 * * mon,WED', ['2026-01-05T03:00Z', '2026-01-07T03:00Z', '2026-01-12T03:00Z', '2026-01-14T03:00Z']],
    ['0 3 * * 7', ['2026-01-04T03:00Z', '2026-01-11T03:00Z', '2026-01-18T03:00Z', '2026-01-25T03:00Z']],
    ['45,15 4 * * *', ['2026-01-01T04:15Z', '2026-01-01T04:45Z', '2026-01-02T04:15Z', '2026-01-02T04:45Z']],
    // both kinds of day: either will do; a field that starts with * restricts nothing by itself
    ['0 3 13 * 5', ['2026-01-02T03:00Z', '2026-01-09T03:00Z', '2026-01-13T03:00Z', '2026-01-16T03:00Z']],
    ['0 3 1-7 * *', ['2026-01-01T03:00Z', '2026-01-02T03:00Z', '2026-01-03T03:00Z', '2026-01-04T03:00Z']],
    ['0 3 */2 * 1', ['2026-01-05T03:00Z', '2026-01-19T03:00Z', '2026-02-09T03:00Z', '2026-02-23T03:00Z']],
    ['0 0 29 2 *', ['2028-02-29T00:00Z', '2032-02-29T00:00Z', '2036-02-29T00:00Z', '2040-02-29T00:00Z']],
    ['0 0 31 * *', ['2026-01-31T00:00Z', '2026-03-31T00:00Z', '2026-05-31T00:00Z', '2026-07-31T00:00Z']],
  ] as const)('%s', ([expression, expected]) => {
    let after = new Date('2026-01-01T00:00Z')
    for (const slot of expected) {
      after = nextSlot(cron(expression), 'UTC', after)!
      expect(after).toEqual(new Date(slot))
    }
  })

  test('a 29 February that is a Sunday comes every 28 years, and once after 40, for 2100 has none', () => {
    const next = (after: string) => nextSlot(cron('0 0 29 2 */7'), 'UTC', new Date(after))
    expect(next('2060-02-29T00:00Z')).toEqual(new Date('2088-02-29T00:00Z'))
    expect(next('2088-02-29T00:00Z')).toEqual(new Date('2128-02-29T00:00Z'))
  })

  test('whoever looks back finds a slot of every schedule but one for 29 February', () => {
    for (const now of ['2027-12-31T23:59Z', '2028-12-31T23:59Z'].map((instant) => new Date(instant)))
      for (const text of ['@yearly', '0 0 31 12 *', '59 23 1 1 *'])
        expect(newestMissedSlot(cron(text), 'UTC', new Date(now.getTime() - lookBackMs), now)).toBeDefined()
  })

  test('a day that never comes is not looked for without end', () => {
    const never: Cron = { ...cron('0 0 29 2 *'), daysOfMonth: [30] }
    expect(nextSlot(never, 'UTC', new Date('2026-01-01T00:00Z'))).toBeUndefined()
  })

  test.for([
    ['0 0 3 * * *', 'has 6 fields, not five: minute, hour, day of month, month, day of week'],
    ['0 3 * *', 'has 4 fields, not five: minute, hour, day of month, month, day of week'],
    ['', 'is empty'],
    ['61 3 * * *', '61 is not a valid minute'],
    ['0 24 * * fun', '24 is not a valid hour; fun is not a valid day of week'],
    ['0 3 30 2 *', 'none of the months has a day 30'],
    ['@reboot', '@reboot is not one of @hourly, @daily, @weekly, @monthly, @yearly'],
    ['0 3 L * *', 'L is not supported: write days as numbers, names, lists and ranges'],
  ] as const)('“%s” is refused: %s', ([expression, problem]) => {
    expect(parseCron(expression)).toBe(problem)
  })
})

describe('slots', () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Beirut', 'Africa/Casablanca']
  const instant = fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2027, 0) }).map((ms) => new Date(ms))
  const expression = fc.constantFrom('30 2 * * *', '*/20 1-3 * * *', '@daily', '0 3 * * 1-5', '5 4 1,15 * 0')
  const anyCase = fc.tuple(expression, fc.constantFrom(...zones), instant, fc.integer({ min: 1, max: 60 }))

  test('the next is the first one, the newest missed is the last one', () => {
    fc.assert(
      fc.property(anyCase, ([text, zone, after, days]) => {
        const until = new Date(after.getTime() + days * 86_400_000)
        const all = slotsBetween(cron(text), zone, after, until)
        const next = nextSlot(cron(text), zone, after)!
        expect(next <= until ? next : undefined).toEqual(all[0])
        expect(newestMissedSlot(cron(text), zone, after, until)).toEqual(all.at(-1))
        for (const most of [1, 3, 400])
          expect(newestSlots(cron(text), zone, after, until, most)).toEqual(all.slice(-most))
        expect(all.every((slot) => slot > after && slot <= until)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('no slot is lost or doubled between two looks', () => {
    fc.assert(
      fc.property(anyCase, instant, ([text, zone, after, days], somewhere) => {
        const until = new Date(after.getTime() + days * 86_400_000)
        const middle = new Date(Math.min(Math.max(somewhere.getTime(), after.getTime()), until.getTime()))
        expect([
          ...slotsBetween(cron(text), zone, after, middle),
          ...slotsBetween(cron(text), zone, middle, until),
        ]).toEqual(slotsBetween(cron(text), zone, after, until))
      }),
      { numRuns: 200 },
    )
  })

  test('once a day is 365 times a year in every zone that has daylight saving', () => {
    const offset = (zone: string, at: string) => localTime(zone, Date.parse(at)).offsetMs
    const changing = Intl.supportedValuesOf('timeZone').filter(
      (zone) => offset(zone, '2026-01-01T12:00Z') !== offset(zone, '2026-07-01T12:00Z'),
    )
    expect(changing.length).toBeGreaterThan(50)
    for (const zone of changing) {
      const year = slotsBetween(cron('30 2 * * *'), zone, new Date('2026-01-01T12:00Z'), new Date('2027-01-01T12:00Z'))
      expect([zone, year.length]).toEqual([zone, 365])
    }
  })

  test('a slot is missed only after the last backup and not after now', () => {
    const missed = (after: string, now: string) =>
      newestMissedSlot(cron('0 3 * * *'), 'UTC', new Date(after), new Date(now))?.toISOString()
    expect(missed('2026-01-01T03:00Z', '2026-01-04T02:59Z')).toBe('2026-01-03T03:00:00.000Z')
    expect(missed('2026-01-01T03:00Z', '2026-01-04T03:00Z')).toBe('2026-01-04T03:00:00.000Z')
    expect(missed('2026-01-04T03:00Z', '2026-01-04T12:00Z')).toBeUndefined()
    // the clock stepped back
    expect(missed('2026-01-04T03:00Z', '2026-01-03T12:00Z')).toBeUndefined()
  })
})
