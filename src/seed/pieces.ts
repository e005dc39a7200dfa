import type { FileHandle } from 'node:fs/promises'

/**
 * Reads a file piece by piece, always into the same memory: a piece is only valid until the next one is asked for. A stream would leave a
 * buffer for each piece to the garbage collection, which lets tens of megabytes of them pile up.
 * @param pieceBytes what is sent to the server comes best in pieces of 64 KiB
 */
export async function* piecesOf(path: string, pieceBytes = 64 * 1024): AsyncGenerator<Buffer> {
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
