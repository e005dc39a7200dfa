import type { FileHandle } from 'node:fs/promises'

const pieceBytes = 64 * 1024

/**
 * Reads a file piece by piece, always into the same memory: a piece is only valid until the next one is asked for. A stream would leave a
 * buffer for each piece to the garbage collection, which lets tens of megabytes of them pile up.
 */
export async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  // Loaded when it is used: that takes longer than a run that finds nothing to do has.
  const { open } = await import('node:fs/promises')
  const file: FileHandle = await open(path)
  try {
    const { buffer } = new Uint8Array(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(new Uint8Array(buffer), 0, pieceBytes)
      if (bytesRead === 0) return
      yield Buffer.from(buffer, 0, bytesRead)
    }
  } finally {
    await file.close()
  }
}
