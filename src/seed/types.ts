import type { Place } from './records.ts'

/** Statements that are run as they are. */
export type SqlSeed = {
  kind: 'sql'
  /** The file as the configuration names it, relative to its folder: `seeds/settings.csv`. Identifies the seed in the history. */
  name: string
  text: string
  /** SHA-256 of the bytes of the file. */
  checksum: string
}

/** Rows for one table, from a CSV or a JSON file, or one of JSON Lines. */
export type RowsSeed = {
  kind: 'rows'
  name: string
  format: 'csv' | 'json' | 'jsonl'
  path: string
  table: { schema: string; name: string }
  /** `insert` adds rows whose key is absent; `upsert` also updates rows that differ; `sync` also deletes rows that the file lacks. */
  mode: 'insert' | 'upsert' | 'sync'
  /** The columns that identify a row; undefined means the table's primary key, if the file has it. */
  key: string[] | undefined
  /** With `sync`: the rows that the file stands for, as an SQL condition; undefined means all. */
  scope: string | undefined
  /** Other seeds with `sync` of the same table, whose scopes are not this seed's to write or delete in. */
  rivals: { name: string; scope: string }[]
  /** With `sync`: how many rows may be deleted at once, or what share of them. */
  maxDeletes: DeleteLimit
  /** SHA-256 of the bytes of the file and of the way it is loaded; undefined until it is needed: it is computed while the file is loaded. */
  checksum: string | undefined
}

/** `Infinity`: no limit. */
export type DeleteLimit = { rows: number } | { percent: number }

export type Seed = SqlSeed | RowsSeed

/** A row of pgbosun.seeds. */
export type LoadedSeed = { name: string; checksum: string }

/** How many rows a seed has written. */
export type Written = { inserted: number; updated: number; deleted: number }

/** The result of a seed. `rows`: how many it has written, not how many the file has. */
export type SeedResult = { name: string; state: 'done' | 'failed' | 'not-run'; rows: number; durationMs: number }

/** What a file says of its columns. `sparse`: some rows lack some of them. `rows`: undefined where counting would take long. */
export type FileColumns = { columns: string[]; sparse: boolean; rows: number | undefined }

/** One row of a file, counted from 1, with the places of its values. */
export type FileRow = {
  number: number
  line: number
  lastLine: number
  /** Undefined when the row lacks it; its `value` is undefined for NULL, and otherwise a text that is the same for the same value. */
  field(column: string): (Place & { value: string | undefined }) | undefined
}
