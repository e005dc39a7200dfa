import { expect, test } from 'vitest'
import { type Attempts, dueSlot, retryAt } from './due.ts'

const at = (time: string) => new Date(`2026-03-01T${time}Z`)
const history = { newestSlot: at('03:00:00'), covered: undefined, failures: 0, lastFailureAt: undefined }

test.each([
  ['nothing before the first slot', { ...history, newestSlot: undefined }, '03:00:01', undefined],
  ['a slot without a backup', history, '03:00:01', '03:00:00'],
  ['a slot that was missed hours ago', history, '11:00:00', '03:00:00'],
  ['a slot after an older backup', { ...history, covered: at('02:59:59') }, '03:00:01', '03:00:00'],
  ['no slot that a backup covers', { ...history, covered: at('03:00:00') }, '03:00:01', undefined],
  ['no slot before a later backup by hand', { ...history, covered: at('08:00:00') }, '11:00:00', undefined],
  ['a slot after one that failed', { ...history, lastFailureAt: at('02:59:59') }, '03:00:01', '03:00:00'],
  ['a slot that failed nobody knows when', { ...history, failures: 3 }, '03:00:01', '03:00:00'],
  [
    'nothing at the instant of a failure',
    { ...history, failures: 1, lastFailureAt: at('03:00:10') },
    '03:00:10',
    undefined,
  ],
  ['nothing soon after a failure', { ...history, failures: 1, lastFailureAt: at('03:00:10') }, '03:01:09', undefined],
  [
    'the slot a minute after a failure',
    { ...history, failures: 1, lastFailureAt: at('03:00:10') },
    '03:01:10',
    '03:00:00',
  ],
  [
    'nothing within an hour of any later failure',
    { ...history, failures: 3, lastFailureAt: at('03:10:00') },
    '04:09:59',
    undefined,
  ],
  ['the slot an hour after it', { ...history, failures: 3, lastFailureAt: at('03:10:00') }, '04:10:00', '03:00:00'],
  [
    'the slot at once when the clock was set back',
    { ...history, failures: 3, lastFailureAt: at('09:00:00') },
    '03:14:00',
    '03:00:00',
  ],
])('finds %s', (_, slots, now, expected) => {
  expect(dueSlot(slots, at(now))).toEqual(expected === undefined ? undefined : at(expected))
})

const failed = { ...history, failures: 2, lastFailureAt: at('03:10:00') }
test.each<[string, Attempts, string, typeof failed | typeof history, boolean]>([
  ['not before its delay is over', { delayMs: 90_000 }, '03:01:29', history, false],
  ['when its delay is over', { delayMs: 90_000 }, '03:01:30', history, true],
  ['again after its second failure, with two retries', { retries: 2 }, '04:10:00', failed, true],
  [
    'not again after its third, however long ago that was',
    { retries: 2 },
    '23:00:00',
    { ...failed, failures: 3 },
    false,
  ],
  ['once, with no retries', { retries: 0 }, '03:00:01', history, true],
  ['not again, with no retries', { retries: 0 }, '23:00:00', { ...failed, failures: 1 }, false],
])('a slot is due %s', (_, attempts, now, slots, due) => {
  expect(dueSlot(slots, at(now), attempts)).toEqual(due ? at('03:00:00') : undefined)
})

test('a failed slot says when it is tried again, until it was tried often enough', () => {
  expect(retryAt(1, at('03:10:00'), 2)).toEqual(at('03:11:00'))
  expect(retryAt(2, at('03:10:00'), 2)).toEqual(at('04:10:00'))
  expect(retryAt(3, at('03:10:00'), 2)).toBeUndefined()
})
