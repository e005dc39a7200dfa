import type { Readable } from 'node:stream'

/** Each step is one trip to a thread and back. */
export const stepBytes = 1024 * 1024

/** The most that Node reads from a pipe at once. A shorter read has emptied the pipe. */
const wholeRead = 64 * 1024

const napMs = 0.2
const nobodyWakes = new Int32Array(new SharedArrayBuffer(4))

/**
 * What a program writes, in large steps. Each step is invalid once the next one is read.
 *
 * pg_dump writes 4 KiB at a time. A fast reader goes to sleep after nearly every write, and pg_dump has to wake it: for 900 MB, that is
 * 110,000 reads instead of 17,000, and 0.4 s of processor time. So after a read that emptied the pipe, this thread sleeps for a
 * moment, in which about 100 KiB accumulate.
 */
export async function* inSteps(output: Readable): AsyncGenerator<Buffer> {
  const step = Buffer.allocUnsafeSlow(stepBytes)
  let filled = 0
  for await (const chunk of output as AsyncIterable<Buffer>) {
    const { length } = chunk
    for (let taken = 0; taken < length; ) {
      const part = chunk.subarray(taken, taken + stepBytes - filled)
      step.set(part, filled)
      taken += part.length
      filled += part.length
      if (filled < stepBytes) continue
      yield step
      filled = 0
    }
    free(chunk)
    if (length < wholeRead) Atomics.wait(nobodyWakes, 0, 0, napMs)
  }
  if (filled > 0) yield step.subarray(0, filled)
}

/**
 * Frees the memory of a chunk that a stream has created and nobody uses any more. The garbage collector would do so only after many
 * megabytes, and memory that was just used is faster than other memory.
 */
export function free(chunk: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = chunk
  // zlib slices several chunks from one buffer; Node slices small ones from a shared pool
  const ownsAll = byteLength === buffer.byteLength
  const isLastPart = byteOffset + byteLength === buffer.byteLength && buffer.byteLength > Buffer.poolSize
  if ((ownsAll || isLastPart) && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
