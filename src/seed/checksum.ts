import { createHash, type Hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { piecesOf } from './pieces.ts'
import type { RowsSeed } from './types.ts'

/** A checksum that is still to get the bytes of the file. */
export const startChecksum = (): Hash => createHash('sha256')

/** The checksum of a file whose bytes are known, and of the way it is loaded. */
export function endChecksum(hash: Hash, { format, table, mode, key, scope }: RowsSeed): string {
  const how = mode === 'sync' ? { table, mode, key, scope } : { table, mode, key }
  return hash.update(JSON.stringify(format === 'csv' ? how : { ...how, format })).digest('hex')
}

const smallBytes = 1024 * 1024

/** Reading in pieces of 64 KiB takes a sixth more processor time. */
const largeBytes = 256 * 1024

/** Reads a file for its checksum; a small one at once, which is faster. */
export async function readChecksum(seed: RowsSeed): Promise<string> {
  const hash = startChecksum()
  if (statSync(seed.path).size <= smallBytes) hash.update(readFileSync(seed.path))
  else for await (const bytes of piecesOf(seed.path, largeBytes)) hash.update(bytes)
  return endChecksum(hash, seed)
}
