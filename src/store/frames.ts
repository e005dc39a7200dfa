import type { Duplex } from 'node:stream'

/** A message between two processes, and the bytes that belong to it. */
export type Frame<M> = { message: M; bytes: Buffer | undefined }

/** Lengths of the message, as JSON, and of the bytes after it. */
const headBytes = 8

/** Sends a message with its bytes, unchanged. Resolves when they are used up. */
export function sendFrame(stream: Duplex, message: unknown, bytes?: Uint8Array): Promise<void> {
  const text = Buffer.from(JSON.stringify(message))
  const head = Buffer.allocUnsafe(headBytes)
  head.writeUInt32LE(text.length, 0)
  head.writeUInt32LE(bytes?.length ?? 0, 4)
  return new Promise((resolve) => {
    // whoever waits for an answer learns of a stream that failed from its end
    const done = () => resolve()
    stream.cork()
    stream.write(head)
    stream.write(text, bytes?.length ? undefined : done)
    if (bytes?.length) stream.write(bytes, done)
    stream.uncork()
  })
}

/** Puts frames together from what arrives, in pieces of any size. A piece may be overwritten or freed as soon as it was taken. */
export function frameReader<M>(onFrame: (frame: Frame<M>) => void): (piece: Uint8Array) => void {
  // the lengths, then the message, then the bytes
  let parts = [filling(headBytes)]
  const advance = () => {
    while (parts.at(-1)!.left === 0) {
      const [head, text, bytes] = parts
      if (!text) parts.push(filling(head!.buffer.readUInt32LE(0)))
      else if (!bytes) parts.push(filling(head!.buffer.readUInt32LE(4)))
      else {
        parts = [filling(headBytes)]
        const message = JSON.parse(text.buffer.toString('utf8')) as M
        onFrame({ message, bytes: bytes.buffer.length === 0 ? undefined : bytes.buffer })
      }
    }
  }
  return (piece) => {
    for (let at = 0; at < piece.length; advance()) at += take(parts.at(-1)!, piece, at)
  }
}

type Filling = { buffer: Buffer; left: number }

/** Not from a pool: whoever receives the bytes frees them. */
const filling = (length: number): Filling => ({ buffer: Buffer.allocUnsafeSlow(length), left: length })

/** @returns how many bytes of the piece were taken */
function take(part: Filling, piece: Uint8Array, at: number): number {
  const some = piece.subarray(at, at + part.left)
  part.buffer.set(some, part.buffer.length - part.left)
  part.left -= some.length
  return some.length
}
