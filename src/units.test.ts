import { describe, expect, test } from 'vitest'
import {
  counted,
  durationMs,
  durationPattern,
  firstOf,
  megabytes,
  plural,
  renderAge,
  renderAgo,
  renderBytes,
  renderDuration,
  renderSize,
  seconds,
  sizeBytes,
  sizePattern,
  someLines,
  someOf,
} from './units.ts'

describe('durations', () => {
  test.each([
    ['0ms', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['90s', 90_000],
    ['5m', 300_000],
    ['6h', 21_600_000],
    ['7d', 604_800_000],
    ['25h', 90_000_000],
    ['1500ms', 1_500],
  ])('%s is %i ms, and those are written so', (text, ms) => {
    expect(durationMs(text)).toBe(ms)
    expect(renderDuration(ms)).toBe(text)
  })

  test.each([
    ['60s', '1m'],
    ['24h', '1d'],
    ['1000ms', '1s'],
  ])('%s has a shorter spelling: %s', (text, shorter) => {
    expect(renderDuration(durationMs(text))).toBe(shorter)
  })

  test.each(['30', 's', '1.5h', '-1s', ' 30s', '30s ', '30 s', '1h30m', '5w', '30S'])('“%s” is none', (text) => {
    expect(durationPattern.test(text)).toBe(false)
  })
})

test.each([
  ['0B', 0],
  ['500MB', 500_000_000],
  ['1kB', 1_000],
  ['1KiB', 1_024],
  ['20GiB', 21_474_836_480],
  ['2TB', 2_000_000_000_000],
  ['1TiB', 1_099_511_627_776],
])('the size %s is %i bytes', (text, bytes) => {
  expect(sizePattern.test(text)).toBe(true)
  expect(sizeBytes(text)).toBe(bytes)
  expect(renderSize(bytes)).toBe(text)
})

test.each(['20', 'GB', '1.5GB', '-1GB', '20 GB', '20gb', '20G', '1KB'])('“%s” is no size', (text) => {
  expect(sizePattern.test(text)).toBe(false)
})

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [999, '999 B'],
  [1_000, '1 kB'],
  [8_249_999, '8.25 MB'],
  [12_345_678, '12.3 MB'],
  [999_400, '999 kB'],
  [999_500, '1 MB'],
  [999_999_999, '1 GB'],
  [2_000_000_000_000, '2 TB'],
  [3_000_000_000_000_000, '3 PB'],
  [4_000_000_000_000_000_000, '4000 PB'],
])('%i bytes are shown as %s', (bytes, text) => {
  expect(renderBytes(bytes)).toBe(text)
})

test.each([
  [0.4, '0 ms'],
  [12, '12 ms'],
  [999.4, '999 ms'],
  [999.6, '1.0 s'],
  [1_000, '1.0 s'],
  [61_250, '61.3 s'],
])('a time of %f ms is shown as %s', (ms, text) => {
  expect(seconds(ms)).toBe(text)
})

test.each([
  [0, '0 s'],
  [999, '0 s'],
  [1_000, '1 s'],
  [40_000, '40 s'],
  [60_000, '1 min'],
  [3_600_000, '1 h'],
  [7_500_000, '2 h 5 min'],
  [7_530_000, '2 h 5 min'],
  [86_400_000, '1 d'],
  [86_400_000 * 3 + 60_000, '3 d'],
  [86_400_000 * 3 + 3_600_000 * 4, '3 d 4 h'],
])('an age of %i ms has its two largest units: %s', (ms, text) => {
  expect([renderAge(ms), renderAge(-ms)]).toEqual([text, text])
})

test('an instant was some time ago, or is in the future', () => {
  expect([5_000, 0, -5_000].map(renderAgo)).toEqual(['5 s ago', '0 s ago', '5 s in the future'])
})

test('a progress bar is never without a megabyte', () => {
  expect([0, 499_999, 1_500_000, 2_400_000].map(megabytes)).toEqual([1, 1, 2, 2])
})

test('a message names three things, and says how many more there are', () => {
  expect([[], ['a'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd']].map((names) => someOf(names))).toEqual([
    '',
    'a',
    'a, b, c',
    'a, b, c and 1 more',
  ])
  expect(someOf(['a', 'b', 'c'], '; ', 2)).toBe('a; b; and 1 more')
  expect(someLines(['  a', '  b', '  c', '  d', '  e'])).toEqual(['  a', '  b', '  c', '  and 2 more'])
  expect(someLines(['a', 'b', 'c'])).toEqual(['a', 'b', 'c'])
  expect(someLines([])).toEqual([])
})

test('one is the first, several are the first so many', () => {
  expect([1, 2].map((count) => firstOf(count, 'statement'))).toEqual(['first statement', 'first 2 statements'])
})

test('a noun goes with its number', () => {
  expect([0, 1, 2].map((count) => counted(count, 'migration'))).toEqual(['0 migrations', '1 migration', '2 migrations'])
  expect([counted(1, 'index', 'indexes'), counted(2, 'index', 'indexes')]).toEqual(['1 index', '2 indexes'])
  expect([plural(1, 'role'), plural(2, 'role')]).toEqual(['role', 'roles'])
  expect([firstOf(1, 'statement'), firstOf(3, 'statement')]).toEqual(['first statement', 'first 3 statements'])
})
