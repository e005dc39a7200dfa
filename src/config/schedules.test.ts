import { expect, test } from 'vitest'
import { joinedSchedule, writtenSchedules } from './schedules.ts'

const [hourly, daily] = [
  { name: 'hourly', schedule: '@hourly' },
  { name: 'daily', schedule: '0 3 * * *' },
]

test('schedules are those of the list, or the only one, without a name', () => {
  expect(writtenSchedules({ schedule: undefined, schedules: [hourly, daily] })).toEqual([hourly, daily])
  expect(writtenSchedules({ schedule: '@daily', schedules: undefined })).toEqual([{ name: '', schedule: '@daily' }])
  expect(writtenSchedules({ schedule: undefined, schedules: undefined })).toEqual([])
})

test('a backup joins the series of the first schedule, or of the one that is named', () => {
  expect(joinedSchedule({ schedules: [hourly, daily] }, undefined)).toBe('hourly')
  expect(joinedSchedule({ schedules: [hourly, daily] }, 'daily')).toBe('daily')
  expect(joinedSchedule({ schedules: undefined }, undefined)).toBeUndefined()
})

test('a schedule that is not there is a mistake, and the names are listed', () => {
  expect(() => joinedSchedule({ schedules: [hourly, daily] }, 'weekly')).toThrow(
    expect.objectContaining({
      kind: 'usage',
      message: 'there is no schedule weekly',
      hint: 'the names in backup.schedules are: hourly, daily',
    }),
  )
  expect(() => joinedSchedule({ schedules: undefined }, 'weekly')).toThrow(
    expect.objectContaining({ hint: 'backup.schedules is not set: leave --schedule out' }),
  )
})
