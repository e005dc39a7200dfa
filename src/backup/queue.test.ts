import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Upload } from '../store/store.ts'
import { queued } from './queue.ts'

const lag = {
  mostBytes: 100,
  fullMs: 300,
  stalledMs: 200,
  isAlone: () => false,
  tooSlow: (how: string) => new Error(how),
}
const bytes = (length: number) => Buffer.alloc(length, 1)

/** An upload whose writes take as long as `write` does. */
function upload(write: () => Promise<void>): Upload & { taken: number[] } {
  const taken: number[] = []
  return {
    taken,
    async write(chunk) {
      taken.push(chunk.length)
      await write()
    },
    commit: async () => {},
    abort: async () => {},
  }
}

const never = () => new Promise<void>(() => {})

describe('an upload behind another', () => {
  test('gets everything, in order, and a chunk may be used again at once', async () => {
    const got: string[] = []
    const queue = queued(
      { ...upload(async () => {}), write: async (chunk) => void got.push(Buffer.from(chunk).toString()) },
      lag,
    )
    const chunk = Buffer.from('one')
    await queue.put(chunk)
    chunk.write('two')
    await queue.put(chunk)
    await queue.drained()
    expect(got).toEqual(['one', 'two'])
  })

  test('keeps nobody waiting while there is room', async () => {
    const queue = queued(upload(never), lag)
    const start = performance.now()
    await queue.put(bytes(60))
    await queue.put(bytes(40))
    expect(performance.now() - start).toBeLessThan(100)
  })

  test('is given up when it takes nothing', async () => {
    const queue = queued(upload(never), lag)
    await queue.put(bytes(100))
    await expect(queue.put(bytes(1))).rejects.toThrow('it took nothing for 0 s')
    await expect(queue.put(bytes(1))).rejects.toThrow('it took nothing')
    await expect(queue.drained()).rejects.toThrow('it took nothing')
  })

  test('is given up when it is behind for too long, though it moves', async () => {
    const queue = queued(
      upload(() => sleep(20)),
      lag,
    )
    const start = performance.now()
    const endless = async () => {
      for (;;) await queue.put(bytes(10))
    }
    await expect(endless()).rejects.toThrow('it was too slow for 0 s')
    expect(performance.now() - start).toBeGreaterThan(lag.fullMs)
  })

  test('is not given up when it catches up in between', async () => {
    const queue = queued(
      upload(() => sleep(20)),
      lag,
    )
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 14; j++) await queue.put(bytes(10))
      await sleep(200)
    }
    await queue.drained()
  })

  test('may take its time where nothing else is left', async () => {
    let alone = true
    const queue = queued(
      upload(() => sleep(400)),
      { ...lag, isAlone: () => alone },
    )
    await queue.put(bytes(100))
    await queue.put(bytes(100))
    await queue.drained()
    alone = false
    const stuck = queued(upload(never), { ...lag, isAlone: () => alone })
    await stuck.put(bytes(100))
    await expect(stuck.drained()).rejects.toThrow('it took nothing')
  })

  test('says what its own failure was', async () => {
    const queue = queued(
      upload(() => Promise.reject(new Error('no space'))),
      lag,
    )
    await queue.put(bytes(10))
    await expect(queue.drained()).rejects.toThrow('no space')
    await expect(queue.put(bytes(10))).rejects.toThrow('no space')
  })
})
