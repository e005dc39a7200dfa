import { expect, test } from 'vitest'
import { clockDifference, isSkewed, skewWarning } from './skew.ts'

test('a minute is tolerated, in both directions', () => {
  expect([60_000, -60_000, 60_001, -60_001].map(isSkewed)).toEqual([false, false, true, true])
})

test('a warning of clocks says whose clock is ahead', () => {
  expect(skewWarning(7_200_400)).toContain('this machine is 2h behind that of the server')
  expect(skewWarning(-90_000)).toContain('this machine is 90s ahead of that of the server')
})

test('clocks that may be equal are equal, however long the question took', () => {
  expect([1000, 1003.2, 2000.9].map((server) => clockDifference(server, 1000, 2000))).toEqual([0, 0, 0])
  expect([999, 2001].map((server) => clockDifference(server, 1000, 2000))).toEqual([-501, 501])
  expect(clockDifference(3_601_000.4, 1000, 1002)).toBe(3_599_999)
})
