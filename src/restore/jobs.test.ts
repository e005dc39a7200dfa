import { expect, test } from 'vitest'
import { planJobs } from './jobs.ts'

const GB = 1_000_000_000
const plan = (change: Partial<Parameters<typeof planJobs>[0]>) =>
  planJobs({
    ...{ asked: undefined, cores: 8, alone: false, dumpBytes: 2 * GB, place: { folder: '/tmp', freeBytes: 9 * GB } },
    ...change,
  })

test('half the processors load more than 1 GB', () => {
  expect(plan({})).toEqual({ jobs: 4, note: '4 connections, after 2 GB were decoded into /tmp' })
  expect(plan({ cores: 3 }).jobs).toBe(1)
  expect(plan({ cores: 1 })).toEqual({ jobs: 1, note: undefined })
  expect(plan({ dumpBytes: GB - 1 })).toEqual({ jobs: 1, note: undefined })
  expect(plan({ dumpBytes: GB }).jobs).toBe(4)
  expect(plan({ alone: true })).toEqual({ jobs: 1, note: undefined })
  expect(plan({ place: { folder: '/tmp', freeBytes: undefined } }).jobs).toBe(4)
})

test('what is asked for is done, however small the dump', () => {
  expect(plan({ asked: 3, dumpBytes: 10 }).jobs).toBe(3)
  expect(plan({ asked: 1 })).toEqual({ jobs: 1, note: undefined })
})

test('without room, one connection loads it, unless more were asked for', () => {
  const place = { folder: '/tmp', freeBytes: 2 * GB - 1 }
  expect(plan({ place })).toEqual({
    jobs: 1,
    note: 'one connection: /tmp has 2 GB free, but the decoded dump has 2 GB',
  })
  expect(() => plan({ place, asked: 2 })).toThrow(expect.objectContaining({ kind: 'restore' }))
  expect(plan({ place: { folder: '/tmp', freeBytes: 2 * GB } }).jobs).toBe(4)
})

test('what must be proven first needs the room, also for one connection', () => {
  const one = { proven: true, asked: 1 }
  expect(plan(one)).toEqual({ jobs: 1, note: 'one connection, after 2 GB were decoded into /tmp' })
  const place = { folder: '/tmp', freeBytes: GB }
  for (const change of [{ proven: true }, one])
    expect(() => plan({ ...change, place })).toThrow(expect.objectContaining({ kind: 'restore' }))
})
