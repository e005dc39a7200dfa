import { expect, test } from 'vitest'
import { parseCron } from '../config/cron.ts'
import { ageDeadline, deadlineOf } from './deadline.ts'

const schedule = (text: string, zone = 'UTC', jitterMs = 0) => {
  const cron = parseCron(text)
  if (typeof cron === 'string') throw new Error(cron)
  return { cron, zone, jitterMs }
}
const deadline = (of: ReturnType<typeof schedule>, covered: string | undefined, now: string, startedAt = now) =>
  deadlineOf(
    of,
    { covered: covered === undefined ? undefined : new Date(covered), startedAt: new Date(startedAt) },
    new Date(now),
  )?.toISOString()

test.each([
  ['daily', schedule('0 3 * * *'), '2026-03-01T03:00:00Z', '2026-03-01T12:00:00Z', '2026-03-02T04:00:00.000Z'],
  ['monthly', schedule('@monthly'), '2026-02-01T00:00:00Z', '2026-02-20T12:00:00Z', '2026-03-01T01:00:00.000Z'],
  [
    'with a delayed start',
    schedule('0 3 * * *', 'UTC', 600_000),
    '2026-03-01T03:00:00Z',
    '2026-03-01T12:00:00Z',
    '2026-03-02T04:10:00.000Z',
  ],
  [
    'the night in which an hour is missing',
    schedule('30 2 * * *', 'Europe/Berlin'),
    '2026-03-28T01:30:00Z',
    '2026-03-28T12:00:00Z',
    '2026-03-29T02:00:00.000Z',
  ],
  [
    'the night in which an hour comes twice',
    schedule('30 2 * * *', 'Europe/Berlin'),
    '2026-10-24T00:30:00Z',
    '2026-10-24T12:00:00Z',
    '2026-10-25T01:30:00.000Z',
  ],
  [
    'a slot that was missed long ago',
    schedule('0 3 * * *'),
    '2026-02-01T03:00:00Z',
    '2026-03-01T12:00:00Z',
    '2026-02-02T04:00:00.000Z',
  ],
  ['29 February', schedule('0 0 29 2 *'), '2024-02-29T00:00:00Z', '2026-03-01T12:00:00Z', '2028-02-29T01:00:00.000Z'],
])('the next backup is due an hour after the slot that follows the last one: %s', (_, of, covered, now, expected) => {
  expect(deadline(of, covered, now)).toBe(expected)
})

test('with an empty store, a new serve has an hour', () => {
  const started = '2026-03-01T12:00:00Z'
  expect(deadline(schedule('0 3 * * *'), undefined, '2026-03-05T12:00:00Z', started)).toBe('2026-03-01T13:00:00.000Z')
  // there was no slot within a year
  expect(deadline(schedule('0 0 29 2 *'), undefined, started)).toBe('2028-02-29T01:00:00.000Z')
})

test('who has not read the store says that the last slot has passed', () => {
  const at = (now: string) => deadlineOf(schedule('0 3 * * *'), undefined, new Date(now))?.toISOString()
  expect(at('2026-03-01T12:00:00Z')).toBe('2026-03-01T03:00:00.000Z')
})

test('a limit of age is passed at once where there is no backup', () => {
  const started = new Date('2026-03-01T12:00:00Z')
  expect(ageDeadline(undefined, 1000, started)).toEqual(started)
  expect(ageDeadline(started, 1000, new Date(0))).toEqual(new Date('2026-03-01T12:00:01Z'))
})
