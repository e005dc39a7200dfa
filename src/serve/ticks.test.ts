import { expect, test } from 'vitest'
import { untilNextMinute } from './ticks.ts'

test.each([
  ['2026-03-01T00:00:00.000Z', 60_000],
  ['2026-03-01T00:00:00.001Z', 59_999],
  ['2026-03-01T00:00:59.999Z', 1],
  ['2026-03-29T00:59:30.000Z', 30_000],
])('at %s the next minute begins in %i ms', (now, ms) => {
  expect(untilNextMinute(Date.parse(now))).toBe(ms)
})
