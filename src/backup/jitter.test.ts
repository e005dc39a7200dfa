import { describe, expect, test } from 'vitest'
import { type Cron, parseCron } from '../config/cron.ts'
import { delayMs, jitterOf, shortestGapMs } from './jitter.ts'

const minuteMs = 60_000
const slot = new Date('2026-03-01T03:00:00Z')

describe('the shortest time between two slots', () => {
  test.each([
    ['0 3 * * *', 1440],
    ['0 3 1 1 *', 1440],
    ['* * * * *', 1],
    ['*/15 * * * *', 15],
    ['@hourly', 60],
    ['0 3,5,9 * * *', 120],
    ['0 1,23 * * *', 120],
    ['5,58 * * * *', 7],
  ])('of %s is %i minutes', (text, minutes) => {
    expect(shortestGapMs(parseCron(text) as Cron)).toBe(minutes * minuteMs)
  })

  test('is the most that backup.jitter can be', () => {
    const hourly = parseCron('@hourly') as Cron
    expect([jitterOf(hourly, 5 * minuteMs), jitterOf(hourly, 300 * minuteMs)]).toEqual([5 * minuteMs, 60 * minuteMs])
  })
})

describe('the delay of a start', () => {
  const hosts = Array.from({ length: 1000 }, (_, i) => `shop-${i}`)
  const delays = hosts.map((host) => delayMs(slot, 600_000, ['default', '', 'app', host]))

  test('is none without jitter', () => {
    expect(delayMs(slot, 0, ['default', '', 'app', 'shop-1'])).toBe(0)
  })

  test('is the same for the same names and slot, another for others', () => {
    const [names, later] = [['a', 'b'], new Date(slot.getTime() + minuteMs)]
    expect(delayMs(slot, 600_000, names)).toBe(delayMs(slot, 600_000, names))
    expect(delayMs(slot, 600_000, ['ab', ''])).not.toBe(delayMs(slot, 600_000, names))
    expect(delayMs(later, 600_000, names)).not.toBe(delayMs(slot, 600_000, names))
  })

  test('is spread evenly over the jitter, and less than it', () => {
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...delays)).toBeLessThan(600_000)
    for (let tenth = 0; tenth < 10; tenth++) {
      const inTenth = delays.filter((delay) => Math.floor(delay / 60_000) === tenth)
      expect([inTenth.length > 70, inTenth.length < 130]).toEqual([true, true])
    }
  })
})
