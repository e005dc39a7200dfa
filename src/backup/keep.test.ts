import { expect, test } from 'vitest'
import { keepOf } from './keep.ts'

const off = { within: 0, last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }
const keep = { ...off, last: 1 }
const hourly = { name: 'hourly', schedule: '@hourly', keep: { ...off, hourly: 24 } }
const daily = { name: 'daily', schedule: '@daily' }
const config = { keep, schedules: [hourly, daily] }

test.each([
  ['of the store, whatever the schedule says', 'hourly', 'all', 'all'],
  ['of the schedule', 'hourly', undefined, hourly.keep],
  ['of backup.keep, where the schedule has none', 'daily', undefined, keep],
  ['of backup.keep, of a schedule that is no longer configured', 'weekly', undefined, keep],
  ['of backup.keep, of backups without a schedule', undefined, undefined, keep],
] as const)('the rules are those %s', (_, schedule, ofStore, expected) => {
  expect(keepOf(config, schedule, ofStore)).toEqual(expected)
})
