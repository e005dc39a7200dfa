import { expect, test } from 'vitest'
import { contentTime, isFromFuture, takenAt } from './clock.ts'

const now = new Date('2026-03-01T12:00:00.000Z')
const at = (time: string) => new Date(`2026-03-01T${time}Z`)

test.each([
  ['the server’s where it is known', at('10:00:00'), at('11:00:00'), at('11:00:00')],
  ['the maker’s where it is not', at('10:00:00'), undefined, at('10:00:00')],
  ['the server’s up to five minutes ahead of the present', at('10:00:00'), at('12:05:00.000'), at('12:05:00.000')],
  ['the maker’s where the server’s is further ahead', at('10:00:00'), at('12:05:00.001'), at('10:00:00')],
  ['the server’s where the maker’s is far ahead', at('18:00:00'), at('11:00:00'), at('11:00:00')],
])('the clock that counts is %s', (_, startedAt, serverTime, expected) => {
  expect(takenAt({ startedAt, serverTime }, now)).toEqual(expected)
})

test.each([
  ['11:00:00.000', false],
  ['12:05:00.000', false],
  ['12:05:00.001', true],
])('at 12:00, a backup that says that it started at %s is from the future: %s', (time, expected) => {
  expect(isFromFuture({ startedAt: at(time) }, now)).toBe(expected)
})

test('a backup of a standby is as old as what was replayed, and older manifests say nothing', () => {
  const server_time = at('11:00:00').toISOString()
  const standby = (time: string) => ({ replayed_at: at(time).toISOString() })
  expect(contentTime({ server_time })).toEqual(at('11:00:00'))
  expect(contentTime({ server_time, standby: standby('08:00:00') })).toEqual(at('08:00:00'))
  expect(contentTime({ server_time, standby: standby('11:00:01') })).toEqual(at('11:00:00'))
  expect(contentTime({ server_time: null })).toBeUndefined()
})
