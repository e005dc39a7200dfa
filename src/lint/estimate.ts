// pure
import type { Cost, TableName } from './types.ts'

/** How big a table is. Partitions count with the table that they are part of. */
export type TableSize = {
  /** With indexes and TOAST. */
  totalBytes: number
  /** Without indexes: what a scan reads. */
  heapBytes: number
  /** As the planner estimates; undefined before the first ANALYZE. */
  rows: number | undefined
}

/** Sizes by the table's name as the finding has it: {@link sizeKey}. */
export type Sizes = ReadonlyMap<string, TableSize>

/** A name as a key of {@link Sizes}. */
export const sizeKey = ({ schema, name }: TableName): string => JSON.stringify([schema ?? null, name])

/**
 * Bytes per second that an estimate assumes, on a server that does nothing else: rewriting a table writes it and its WAL once,
 * a scan only reads, an index build reads, sorts and writes. Cloud disks and cold caches are slower.
 */
const bytesPerSecond: Record<Cost, number> = { rewrite: 100e6, scan: 400e6, build: 100e6 }

/** Seconds that a statement takes on a table, about. A rewrite builds the indexes again too. */
export const estimateSeconds = (cost: Cost, { totalBytes, heapBytes }: TableSize): number =>
  (cost === 'rewrite' ? totalBytes : heapBytes) / bytesPerSecond[cost]
