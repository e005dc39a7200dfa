import { describe, expect, test } from 'vitest'
import {
  mergeFiles,
  mergeSlots,
  mostSlots,
  type SlotRecord,
  type SlotSeries,
  type SlotsFile,
  slotsOf,
  withSeries,
} from './slot-records.ts'

const record = (slot: string, state: SlotRecord['state'], more: Partial<SlotRecord> = {}): SlotRecord => ({
  ...{ slot, state, id: null, size_bytes: null, duration_ms: null, problem: null },
  ...more,
})
const [first, second, third] = ['2026-03-01T03:00:00.000Z', '2026-03-02T03:00:00.000Z', '2026-03-03T03:00:00.000Z']
const series = (more: Partial<SlotSeries>): SlotSeries => ({
  ...{ name: 'default', system_identifier: '7', cron: '0 3 * * *', timezone: 'UTC', slots: [] },
  ...more,
})
const empty: SlotsFile = { schema_version: 1, series: [] }

describe('slots', () => {
  test('are merged in the order of time', () => {
    const merged = mergeSlots([record(first, 'made'), record(third, 'missed')], [record(second, 'late')])
    expect(merged.map(({ slot }) => slot)).toEqual([first, second, third])
  })

  test.each([
    ['made', 'failed', 'made'],
    ['late', 'missed', 'late'],
    ['failed', 'missed', 'failed'],
    ['failed', 'late', 'late'],
    ['missed', 'failed', 'failed'],
    ['missed', 'made', 'made'],
    ['made', 'late', 'made'],
    ['late', 'made', 'late'],
  ] as const)('that were %s and then %s are %s', (before, after, expected) => {
    expect(mergeSlots([record(first, before)], [record(first, after)])).toEqual([record(first, expected)])
  })

  test('that failed twice have the newer problem', () => {
    const [one, other] = ['one', 'other'].map((problem) => record(first, 'failed', { problem }))
    expect(mergeSlots([one!], [other!])).toEqual([other])
  })

  test('are the newest 400', () => {
    const at = (i: number) => new Date(Date.UTC(2026, 0, 1, i)).toISOString()
    const all = Array.from({ length: mostSlots + 2 }, (_, i) => record(at(i), 'made'))
    expect(mergeSlots(all.slice(0, -1), all.slice(-1))).toEqual(all.slice(2))
    expect(mostSlots).toBe(400)
  })
})

describe('a file', () => {
  const [hourly, daily] = ['hourly', 'daily'].map((schedule) =>
    series({ schedule, slots: [record(first, 'made', { id: schedule })] }),
  ) as [SlotSeries, SlotSeries]

  test('keeps the series apart: by name, schedule and server', () => {
    const all = [hourly, daily, series({ slots: [record(first, 'made')] }), { ...hourly, name: 'other' }]
    const file = all.reduce(withSeries, empty)
    expect(file.series).toEqual(all)
    const elsewhere = series({ schedule: 'hourly', system_identifier: '8', slots: [record(second, 'missed')] })
    const both = withSeries(file, elsewhere)
    expect(both.series).toHaveLength(5)
    expect(slotsOf(both, 'default', 'hourly').slots).toEqual([...hourly.slots, ...elsewhere.slots])
    expect(slotsOf(both, 'default', 'daily').slots).toEqual(daily.slots)
    expect(slotsOf(both, 'default', '').slots).toEqual([record(first, 'made')])
  })

  test('says of which schedule the newest slots are', () => {
    const older = series({ system_identifier: null, cron: '@daily', slots: [record(first, 'failed')] })
    const newer = series({ cron: '@hourly', timezone: 'Europe/Berlin', slots: [record(second, 'made')] })
    const expected = { cron: '@hourly', timezone: 'Europe/Berlin' }
    for (const both of [
      [older, newer],
      [newer, older],
    ])
      expect(slotsOf(both.reduce(withSeries, empty), 'default', '')).toMatchObject(expected)
    expect(slotsOf(empty, 'default', '')).toEqual({ slots: [] })
  })

  test('that another process has written meanwhile is merged', () => {
    const theirs = withSeries(withSeries(empty, daily), {
      ...hourly,
      slots: [record(second, 'late', { id: 'theirs' })],
    })
    expect(mergeFiles(theirs, withSeries(empty, hourly)).series).toEqual([
      daily,
      { ...hourly, slots: [...hourly.slots, record(second, 'late', { id: 'theirs' })] },
    ])
  })
})
