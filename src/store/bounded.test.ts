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

test.each([
  [1, [1, 2]],
  [3, [1, 2, 3]],
])('nothing is started after a failure, which is thrown: %i at a time', async (limit, all) => {
  const started: number[] = []
  const others = Promise.withResolvers<void>()
  const failing = mapBounded([1, 2, 3, 4, 5, 6], limit, async (i) => {
    started.push(i)
    if (i === 2) throw new Error('two')
    if (limit > 1) await others.promise
  })
  await expect(failing).rejects.toThrow('two')
  others.resolve()
  await new Promise((resolve) => setImmediate(resolve))
  expect(started).toEqual(all)
})

test('no items are no work', async () => expect(await mapBounded([], 3, async () => 1)).toEqual([]))
