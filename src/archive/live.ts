import type { RowsHash, SequenceValue } from '../postgres/row-hashes.ts'

/** What a dump that is loaded while it is made must have become. Names are quoted as `quoteName` does. */
export type Expected = {
  tables: ReadonlyMap<string, RowsHash>
  /** Before and after the dump: those that somebody uses meanwhile are somewhere between. */
  sequences: readonly [SequenceValue[], SequenceValue[]]
  largeObjects: number
  /** Tables that could not be read, with the server's reason. */
  notCompared: { table: string; reason: string }[]
  /** What `hashProbe` said there. */
  probe: string
}

/** A dump that is made while it is loaded: it can be read once. */
export type LiveDump = {
  /** The first bytes again, and then the rest, which only the first reader that goes on gets. */
  open(): AsyncIterable<Buffer>
  /** Ends pg_dump, whatever it is doing. */
  kill(): Promise<void>
}
