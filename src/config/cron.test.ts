import { expect, test } from 'vitest'
import { parseCron } from './cron.ts'

const read = (text: string) => {
  const cron = parseCron(text)
  if (typeof cron === 'string') throw new Error(cron)
  return cron
}

const days = (text: string) => {
  const { daysOfMonth, daysOfWeek, eitherDay } = read(text)
  return { inMonth: daysOfMonth.length, daysOfWeek, eitherDay }
}

const everyDay = [0, 1, 2, 3, 4, 5, 6]

test.each([
  ['0 3 * * *', { inMonth: 31, daysOfWeek: everyDay, eitherDay: false }],
  ['0 3 13 * 5', { inMonth: 1, daysOfWeek: [5], eitherDay: true }],
  ['0 3 13 * *', { inMonth: 1, daysOfWeek: everyDay, eitherDay: false }],
  ['0 3 * * 1', { inMonth: 31, daysOfWeek: [1], eitherDay: false }],
  ['0 3 */2 * 1', { inMonth: 16, daysOfWeek: [1], eitherDay: false }],
  // A question mark says as much as a star: else this would be every day.
  ['0 3 ? * 1', { inMonth: 31, daysOfWeek: [1], eitherDay: false }],
  ['0 3 13 * ?', { inMonth: 1, daysOfWeek: everyDay, eitherDay: false }],
  ['@weekly', { inMonth: 31, daysOfWeek: [0], eitherDay: false }],
  ['@monthly', { inMonth: 1, daysOfWeek: everyDay, eitherDay: false }],
])('the days of “%s” are %j', (text, expected) => {
  expect(days(text)).toEqual(expected)
})

test('every field is ascending numbers, each once', () => {
  expect(read('45,15,45 3,1-2 1,1 12,JAN 7,mon,SUN')).toEqual({
    minutes: [15, 45],
    hours: [1, 2, 3],
    daysOfMonth: [1],
    months: [1, 12],
    daysOfWeek: [0, 1],
    eitherDay: true,
  })
})

test('blanks around and between the fields say nothing', () => {
  expect(parseCron('  0  3\t* * *\n')).toEqual(parseCron('0 3 * * *'))
})
