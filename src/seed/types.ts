/** What all seeds have: where they come from, and what tells whether they changed. */
type Loadable = {
  /** The file as the configuration names it, relative to its folder: `seeds/settings.csv`. Identifies the seed in the history. */
  name: string
  /** SHA-256 over the bytes of the file and how it is to be loaded. */
  checksum: string
}

/** Statements that run as they are. */
export type SqlSeed = Loadable & { kind: 'sql'; text: string }

/** Rows for one table. */
export type CsvSeed = Loadable & {
  kind: 'csv'
  path: string
  table: { schema: string; name: string }
  /** `insert` adds rows whose key is absent; `upsert` also updates rows that differ. */
  mode: 'insert' | 'upsert'
  /** Columns that identify a row; undefined means the table's primary key, where the file has it. */
  key: string[] | undefined
}

export type Seed = SqlSeed | CsvSeed

/** A row of pgbosun.seeds. */
export type LoadedSeed = { name: string; checksum: string }

/** What became of a seed. `rows`: written by it, not read from it. */
export type SeedResult = { name: string; state: 'done' | 'failed' | 'not-run'; rows: number; durationMs: number }
