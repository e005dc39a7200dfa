import { randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { type Frame, frameReader, sendFrame } from './frames.ts'

/** A stream that hands on everything in pieces of one size, each of which is overwritten afterwards. */
function inPieces(size: number, take: (piece: Buffer) => void): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      for (let at = 0; at < chunk.length; at += size) {
        const piece = Buffer.from(chunk.subarray(at, at + size))
        take(piece)
        piece.fill('x')
      }
      done()
    },
  })
}

test.each([1, 7, 8, 9, 1000, 1_000_000])('frames arrive whole and in order, in pieces of %i bytes', async (size) => {
  const sent: Frame<object>[] = [
    { message: { id: 1, key: 'Größe 💾' }, bytes: undefined },
    { message: { id: 2 }, bytes: randomBytes(1) },
    { message: {}, bytes: randomBytes(70_000) },
    { message: { id: 3 }, bytes: undefined },
  ]
  const received: Frame<object>[] = []
  const stream = inPieces(
    size,
    frameReader<object>((frame) => void received.push(frame)),
  )
  for (const { message, bytes } of sent) await sendFrame(stream, message, bytes)
  expect(received).toEqual(sent)
})
