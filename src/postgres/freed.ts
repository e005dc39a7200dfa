import type { Socket } from 'node:net'

/** Messages of a COPY begin with this byte. */
const copyData = 0x64
const largeBytes = 32 * 1024

/**
 * Frees the memory of each piece of a COPY once the system has it. The driver copies every piece into a buffer of its own, and the garbage
 * collection, which does not see what lies outside its heap, would let tens of megabytes of them pile up.
 */
export function freeCopies(socket: Socket): Socket {
  const write = socket.write.bind(socket) as (data: Uint8Array | string, done?: unknown) => boolean
  socket.write = ((data: Uint8Array | string, ...more: unknown[]) => {
    const [done] = more
    if (typeof data === 'string' || typeof done !== 'function' || !isCopy(data)) return write(data, ...more)
    return write(data, (error?: Error) => {
      // After an error, nobody knows what the system still reads.
      if (!error) data.buffer.transfer(0)
      done(error)
    })
  }) as typeof socket.write
  return socket
}

/** Nobody else has a part of its memory: a small buffer lies in a pool. */
const isCopy = (data: Uint8Array): data is Uint8Array<ArrayBuffer> =>
  data[0] === copyData &&
  data.byteLength > largeBytes &&
  data.byteLength === data.buffer.byteLength &&
  data.buffer instanceof ArrayBuffer
