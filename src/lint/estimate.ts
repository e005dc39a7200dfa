// pure
import type { Cost, TableName } from './types.ts'

/** How big a table is. A partitioned table includes its partitions. */
export type TableSize = {
  /** With indexes and TOAST. */
  totalBytes: number
  /** Without indexes, with TOAST: what a scan reads. */
  heapBytes: number
  /** The planner's estimate; undefined before the first ANALYZE. */
  rows: number | undefined
}

/** Sizes by the table's name as in the finding: {@link sizeKey}. */
export type Sizes = ReadonlyMap<string, TableSize>

/** A name as a key of {@link Sizes}. */
export const sizeKey = ({ schema, name }: TableName): string => JSON.stringify([schema ?? null, name])

/**
 * Assumed bytes per second on an otherwise idle server: a rewrite writes the table and its WAL once, a scan only reads,
 * an index build reads, sorts and writes. Cloud disks and cold caches are slower.
 */
const bytesPerSecond: Record<Cost, number> = { rewrite: 100e6, scan: 400e6, build: 100e6 }

/** Roughly how many seconds a statement takes on a table. A rewrite includes rebuilding the indexes. */
export const estimateSeconds = (cost: Cost, { totalBytes, heapBytes }: TableSize): number =>
  (cost === 'rewrite' ? totalBytes : heapBytes) / bytesPerSecond[cost]
