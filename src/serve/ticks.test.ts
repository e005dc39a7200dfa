import { expect, test } from 'vitest'
import { untilNextMinute } from './ticks.ts'

test.each([
  ['2026-03-01T00:00:00.000Z', 60_005],
  ['2026-03-01T00:00:00.001Z', 60_004],
  ['2026-03-01T00:00:59.999Z', 6],
  ['2026-03-29T00:59:30.000Z', 30_005],
])('at %s the next turn is in %i ms, just behind the minute', (now, ms) => {
  expect(untilNextMinute(Date.parse(now))).toBe(ms)
})
