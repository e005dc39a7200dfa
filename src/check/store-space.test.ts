import { expect, test } from 'vitest'
import { judgeSpace, neededBytes } from './store-space.ts'

const now = new Date('2026-03-01T12:00:00Z')
const store = (freeBytes: number | undefined, ...newestBytes: number[]) => ({
  name: 'file:///b',
  freeBytes,
  newestBytes,
})

test('the next backups need as much as the last, and one of them may have grown', () => {
  expect(neededBytes([])).toBe(0)
  expect(neededBytes([10])).toBe(20)
  expect(neededBytes([10, 9, 8])).toBe(27)
})

test('a store is full when the next backups have no room; what is not known is not full', () => {
  expect(judgeSpace([store(20, 10), store(undefined, 10), store(0)], [], now)).toEqual([])
  const [full] = judgeSpace([store(20, 10), store(19, 10), store(1, 10)], [], now)
  expect(full).toMatchObject({ name: 'store-full', severity: 'error', since: now.toISOString() })
  expect(full?.message).toBe('file:///b has 19 B free, and the next backups need 20 B; so have 1 more')
  expect(judgeSpace([store(19, 10)], [{ ...full!, since: 'before' }], now)).toMatchObject([{ since: 'before' }])
})
