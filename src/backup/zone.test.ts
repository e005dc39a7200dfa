import { expect, test } from 'vitest'
import { instantOf, localTime } from './zone.ts'

const utc = (time: string) => Date.parse(`${time}Z`)
const shown = (ms: number) => new Date(ms).toISOString().replace('.000Z', '')

test.each([
  ['UTC', '2026-03-01T12:34:56', '2026-03-01T12:34:56', 0],
  ['Europe/Berlin', '2026-01-01T00:00:00', '2026-01-01T01:00:00', 60],
  ['Europe/Berlin', '2026-07-01T00:00:00', '2026-07-01T02:00:00', 120],
  ['America/New_York', '2026-01-01T00:00:00', '2025-12-31T19:00:00', -300],
  ['Asia/Kathmandu', '2026-01-01T00:00:00', '2026-01-01T05:45:00', 345],
  ['Europe/Berlin', '2026-12-31T23:00:00', '2027-01-01T00:00:00', 60],
])('in %s, clocks show %s UTC as %s', (zone, instant, local, offsetMinutes) => {
  const { ms, offsetMs } = localTime(zone, utc(instant))
  expect([shown(ms), offsetMs / 60_000]).toEqual([local, offsetMinutes])
})

test.each([1, 999])('%i ms of a second are not shown, also before 1970', (ms) => {
  expect(localTime('Europe/Berlin', utc('2026-01-01T00:00:00') + ms)).toEqual({
    ms: utc('2026-01-01T01:00:00'),
    offsetMs: 3_600_000,
  })
  expect(localTime('UTC', utc('1969-12-31T23:59:59') + ms)).toEqual({ ms: -1000, offsetMs: 0 })
})

test.each([
  ['an ordinary time', 'Europe/Berlin', '2026-05-01T12:00:00', '2026-05-01T10:00:00'],
  ['west of Greenwich', 'America/New_York', '2026-01-15T20:00:00', '2026-01-16T01:00:00'],
  ['the last second before a gap', 'Europe/Berlin', '2026-03-29T01:59:59', '2026-03-29T00:59:59'],
  ['the start of a gap', 'Europe/Berlin', '2026-03-29T02:00:00', '2026-03-29T01:00:00'],
  ['the end of a gap', 'Europe/Berlin', '2026-03-29T02:59:59', '2026-03-29T01:00:00'],
  ['the first second after a gap', 'Europe/Berlin', '2026-03-29T03:00:00', '2026-03-29T01:00:00'],
  ['a gap west of Greenwich', 'America/New_York', '2026-03-08T02:30:00', '2026-03-08T07:00:00'],
  ['a gap of half an hour', 'Australia/Lord_Howe', '2026-10-04T02:15:00', '2026-10-03T15:30:00'],
  ['a day that was skipped', 'Pacific/Apia', '2011-12-30T12:00:00', '2011-12-30T10:00:00'],
  ['a time that comes twice', 'Europe/Berlin', '2026-10-25T02:30:00', '2026-10-25T00:30:00'],
  ['one that comes twice west of Greenwich', 'America/New_York', '2026-11-01T01:30:00', '2026-11-01T05:30:00'],
  ['the first second after those that come twice', 'Europe/Berlin', '2026-10-25T03:00:00', '2026-10-25T02:00:00'],
])('clocks show %s: in %s, %s is %s UTC', (_, zone, local, instant) => {
  expect(shown(instantOf(zone, utc(local)))).toBe(instant)
})
