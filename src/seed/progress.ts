import { statSync } from 'node:fs'
import type { OnBytes } from './file.ts'
import type { RowsSeed } from './types.ts'

/** How far a file has been sent. `rows`: about how many, in so long. */
export type SeedProgress = { name: string; bytes: number; totalBytes: number; rows: number; ms: number }

export type OnSeedProgress = (progress: SeedProgress) => void

const lineBreak = 10
/** Lines are counted in one of so many pieces: counting all of them would take longer than reading the file. */
const sampled = 16

/** Tells how far a file has been sent, each time when a piece of it is. */
export function watchFile(seed: RowsSeed, onProgress: OnSeedProgress | undefined): OnBytes {
  if (!onProgress) return () => {}
  const startedAt = performance.now()
  const totalBytes = statSync(seed.path).size
  let [bytes, pieces, sampledBytes, lines] = [0, 0, 0, 0]
  return (piece) => {
    if (pieces++ % sampled === 0) {
      sampledBytes += piece.length
      for (let at = piece.indexOf(lineBreak); at >= 0; at = piece.indexOf(lineBreak, at + 1)) lines++
    }
    bytes += piece.length
    const rows = Math.round((bytes * lines) / sampledBytes)
    onProgress({ name: seed.name, bytes, totalBytes, rows, ms: performance.now() - startedAt })
  }
}
