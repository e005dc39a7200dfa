/** What all seeds have: their name, and a checksum that shows whether they have changed. */
type Loadable = {
  /** The file as the configuration names it, relative to its folder: `seeds/settings.csv`. Identifies the seed in the history. */
  name: string
  /** SHA-256 of the bytes of the file and of the way it is loaded. */
  checksum: string
}

/** Statements that are run as they are. */
export type SqlSeed = Loadable & { kind: 'sql'; text: string }

/** Rows for one table. */
export type CsvSeed = Loadable & {
  kind: 'csv'
  path: string
  table: { schema: string; name: string }
  /** `insert` adds rows whose key is absent; `upsert` also updates rows that differ. */
  mode: 'insert' | 'upsert'
  /** The columns that identify a row; undefined means the table's primary key, if the file has it. */
  key: string[] | undefined
}

export type Seed = SqlSeed | CsvSeed

/** A row of pgbosun.seeds. */
export type LoadedSeed = { name: string; checksum: string }

/** The result of a seed. `rows`: how many it has written, not how many the file has. */
export type SeedResult = { name: string; state: 'done' | 'failed' | 'not-run'; rows: number; durationMs: number }
