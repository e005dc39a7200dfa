import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { free, inSteps, stepBytes } from './steps.ts'

const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')

async function collected(chunks: Uint8Array[]) {
  const steps: Buffer[] = []
  for await (const step of inSteps(Readable.from(chunks.map((chunk) => Buffer.from(chunk)))))
    steps.push(Buffer.from(step))
  return steps
}

describe('the output of a program', () => {
  test.for([
    ['nothing', []],
    ['one byte', [1]],
    ['a step', [stepBytes]],
    ['a step and a byte', [stepBytes, 1]],
    ['small pieces', Array.from({ length: 600 }, () => 4096)],
    ['pieces of all sizes', [70_000, 1, 65_536, 400_000, 3, 2_500_000, 262_143, 5]],
  ] satisfies [string, number[]][])('comes in steps, byte for byte: %s', async ([, sizes]) => {
    const chunks = sizes.map((size) => randomBytes(size))
    const steps = await collected(chunks)
    expect(sha256(Buffer.concat(steps))).toBe(sha256(Buffer.concat(chunks)))
    expect(steps.slice(0, -1).every(({ length }) => length === stepBytes)).toBe(true)
  })

  test('ends with the error of the stream', async () => {
    const source = async function* () {
      yield Buffer.from('begun')
      throw new Error('the disk broke')
    }
    await expect(async () => {
      for await (const _ of inSteps(Readable.from(source())));
    }).rejects.toThrow('the disk broke')
  })
})

describe('the memory of a chunk', () => {
  test('is given back at once where the chunk has it for itself, or is the last part of it', () => {
    const whole = Buffer.allocUnsafeSlow(65_536)
    free(whole)
    expect(whole.length).toBe(0)
    const [first, last] = halves(Buffer.allocUnsafe(300_000))
    free(first)
    expect(first.length).toBe(150_000)
    free(last)
    expect([first.length, last.length]).toEqual([0, 0])
  })

  test('stays where other chunks may lie in it', () => {
    const small = Array.from({ length: 100_000 }, (_, i) => Buffer.from(`chunk ${i}`))
    for (const chunk of small) free(chunk)
    expect(small.every((chunk, i) => chunk.toString() === `chunk ${i}`)).toBe(true)
  })
})

const halves = (chunk: Buffer): [Buffer, Buffer] => [
  chunk.subarray(0, chunk.length / 2),
  chunk.subarray(chunk.length / 2),
]
