import { expect, test } from 'vitest'
import { dueTest } from './due-test.ts'

const at = (time: string) => new Date(`2026-03-01T${time}Z`)
const newestSlot = at('05:00:00')
const fresh = { newestSlot, covered: undefined, failures: 0, lastFailureAt: undefined }

test.each<[string, Parameters<typeof dueTest>[0], 'url' | 'same-server', string, Date | undefined]>([
  ['a slot that was not tested is due', fresh, 'url', '05:00:00', newestSlot],
  ['also on the same server', fresh, 'same-server', '06:00:00', newestSlot],
  ['there, an hour later it waits for the next slot', fresh, 'same-server', '06:00:01', undefined],
  ['elsewhere it is made up for', fresh, 'url', '23:00:00', newestSlot],
  ['one that was tested is not due', { ...fresh, covered: at('05:00:01') }, 'url', '05:01:00', undefined],
  ['after a failure it waits', { ...fresh, failures: 1, lastFailureAt: at('05:00:30') }, 'url', '05:01:00', undefined],
  ['and tries again', { ...fresh, failures: 2, lastFailureAt: at('05:00:30') }, 'url', '06:00:30', newestSlot],
  ['but not a fourth time', { ...fresh, failures: 3, lastFailureAt: at('05:00:30') }, 'url', '23:00:00', undefined],
])('%s', (_, history, where, time, due) => {
  expect(dueTest(history, where, at(time))).toEqual(due)
})
