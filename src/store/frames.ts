import type { Duplex } from 'node:stream'

/** A message between two processes, and the bytes that belong to it. */
export type Frame<M> = { message: M; bytes: Buffer | undefined }

/** Lengths of the message, as JSON, and of the bytes after it. */
const headBytes = 8

/** Sends a message with its bytes, unchanged. Resolves when they are used up. */
export function sendFrame(stream: Duplex, message: unknown, bytes?: Uint8Array): Promise<void> {
  const text = JSON.stringify(message)
  const length = Buffer.byteLength(text)
  const head = Buffer.allocUnsafe(headBytes + length)
  head.writeUInt32LE(length, 0)
  head.writeUInt32LE(bytes?.length ?? 0, 4)
  head.write(text, headBytes)
  return new Promise((resolve) => {
    // whoever waits for an answer learns of a stream that failed from its end
    const done = () => resolve()
    if (!bytes?.length) return stream.write(head, done)
    stream.cork()
    stream.write(head)
    stream.write(bytes, done)
    stream.uncork()
  })
}

/**
 * Puts frames together from what arrives, in pieces of any size. A piece may be overwritten or freed as soon as it was taken. There may
 * be tens of thousands of small frames, and only bytes that belong to one get memory of their own.
 */
export function frameReader<M>(onFrame: (frame: Frame<M>) => void): (piece: Buffer) => void {
  /** The beginning of a head and a message that came in several pieces. */
  let partial: Buffer = nothing
  let message: M | undefined
  let bytes: Filling | undefined

  const emit = () => {
    const frame = { message: message as M, bytes: bytes?.buffer }
    message = undefined
    bytes = undefined
    onFrame(frame)
  }
  /** @returns the first byte after the head and its message; undefined if they are not there yet */
  const begin = (piece: Buffer, at: number): number | undefined => {
    if (piece.length - at < headBytes) return undefined
    const end = at + headBytes + piece.readUInt32LE(at)
    if (piece.length < end) return undefined
    const length = piece.readUInt32LE(at + 4)
    message = JSON.parse(piece.toString('utf8', at + headBytes, end)) as M
    if (length > 0) bytes = { buffer: Buffer.allocUnsafeSlow(length), left: length }
    else emit()
    return end
  }
  return (arrived) => {
    const piece = partial.length > 0 ? Buffer.concat([partial, arrived]) : arrived
    partial = nothing
    for (let at = 0; at < piece.length; ) {
      if (bytes) {
        at += fill(bytes, piece, at)
        if (bytes.left === 0) emit()
        continue
      }
      const end = begin(piece, at)
      if (end === undefined) {
        partial = Buffer.from(piece.subarray(at))
        return
      }
      at = end
    }
  }
}

const nothing = Buffer.alloc(0)

type Filling = { buffer: Buffer; left: number }

/** @returns how many bytes of the piece were taken */
function fill(part: Filling, piece: Buffer, at: number): number {
  const some = piece.subarray(at, at + part.left)
  part.buffer.set(some, part.buffer.length - part.left)
  part.left -= some.length
  return some.length
}
