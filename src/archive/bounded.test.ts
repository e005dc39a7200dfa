import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { mapBounded } from './bounded.ts'

test('keeps the order and never works at more than so many at once', async () => {
  let busy = 0
  let most = 0
  const results = await mapBounded([...Array(100).keys()], 7, async (i) => {
    most = Math.max(most, ++busy)
    for (let n = 0; n < i % 5; n++) await turn()
    busy--
    return i * 2
  })
  expect(results).toEqual([...Array(100).keys()].map((i) => i * 2))
  expect(most).toBe(7)
})

test('nothing is begun after a failure, which is thrown', async () => {
  const begun: number[] = []
  const failing = mapBounded([1, 2, 3, 4], 1, async (i) => {
    begun.push(i)
    if (i === 2) throw new Error('two')
  })
  await expect(failing).rejects.toThrow('two')
  expect(begun).toEqual([1, 2])
})

test('no items are no work', async () => expect(await mapBounded([], 3, async () => 1)).toEqual([]))
