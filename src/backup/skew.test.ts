import { expect, test } from 'vitest'
import { isSkewed, skewWarning } from './skew.ts'

test('a minute is tolerated, in both directions', () => {
  expect([60_000, -60_000, 60_001, -60_001].map(isSkewed)).toEqual([false, false, true, true])
})

test('a warning of clocks says whose clock is ahead', () => {
  expect(skewWarning(7_200_400)).toContain('this machine is 2h behind that of the server')
  expect(skewWarning(-90_000)).toContain('this machine is 90s ahead of that of the server')
})
