import { expect, test } from 'vitest'
import { noSchedule, sumUp } from './schedules.ts'
import type { BackupState } from './state.ts'

const [one, two, three] = ['2026-03-01T01:00:00.000Z', '2026-03-01T02:00:00.000Z', '2026-03-01T03:00:00.000Z']
const summed = (...schedules: ReturnType<typeof noSchedule>[]) => {
  const backup = { database: 'shop', overdue: null, schedules } as unknown as BackupState
  sumUp(backup)
  return backup
}

test('of a database is said what its schedules have in common', () => {
  const hourly = { ...noSchedule('hourly'), lastAttemptAt: two, nextRunAt: three, overdue: 'late' }
  const daily = { ...noSchedule('daily'), running: true, lastAttemptAt: one, nextRunAt: two, lastError: 'why' }
  expect(summed(hourly, daily)).toMatchObject({
    running: true,
    lastAttemptAt: two,
    lastError: 'schedule daily: why',
    nextRunAt: two,
    // said of the schedule
    overdue: null,
  })
})

test('of a database with one schedule the same is said as of that', () => {
  const only = { ...noSchedule(''), lastError: 'why', overdue: 'late', nextRunAt: one }
  expect(summed(only)).toMatchObject({ running: false, lastError: 'why', overdue: 'late', nextRunAt: one })
})

test('of a database without a schedule nothing is said', () => {
  expect(summed()).toMatchObject({
    running: false,
    lastAttemptAt: null,
    lastError: null,
    nextRunAt: null,
    overdue: null,
  })
})
