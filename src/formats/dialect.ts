import type { Db } from '../postgres/db.ts'
import type { Applied, FormatName, Migration } from './types.ts'

/** What a format needs beside its folder. */
export type ReadOptions = {
  /** Values of the format's placeholders (`migrate.placeholders`) and what it knows of the connection. */
  placeholders: Readonly<Record<string, string>>
  database: string | undefined
  user: string | undefined
  /** The environment, for the formats that put it into files. */
  environment: Readonly<Record<string, string | undefined>>
}

/**
 * One format: how its files are read, and how its own history is read and written, exactly as its tool does.
 * Everything here is pure but `read`, which reads files synchronously: for a thousand small files that is several times cheaper.
 */
export type Dialect = {
  format: FormatName
  /**
   * The migrations of a folder: versioned ones in the tool's own order, then the repeatable ones.
   * @throws {AppError} `usage` for what the tool would refuse, and for everything that we cannot honour
   *   (migrations in another language, callbacks), naming file and line
   */
  read(dir: string, options: ReadOptions): Migration[]
  /**
   * The files that count for a database, where what was applied decides about that: of Flyway's baseline migrations a new database
   * gets the newest, and others none. Default: all.
   *
   * @param files   as {@link read} gives them
   * @param applied what the database knows of versioned migrations
   */
  choose?(files: Migration[], applied: Applied[]): Migration[]
  /** Order of two ids: negative when the first comes first. */
  compare(a: string, b: string): number
  /**
   * What the tool does about a file older than the newest applied one, a recorded file that is gone although newer ones are
   * there, and a file that was changed after it was applied. The configuration may be stricter.
   */
  policy: { outOfOrder: 'error' | 'apply'; missing: 'error' | 'warn'; edited: 'error' | 'warn' }
  /** The tool's own history; undefined for pgbosun, whose history is pgbosun.migrations. */
  native?: NativeHistory
  /** Files that `migrate new` writes, by name. `files` are those already there. */
  create(name: string, options: { now: Date; files: Migration[]; reversible: boolean }): NewFile[]
}

export type NewFile = { file: string; text: string }

/** A row of a tool's history as {@link NativeHistory.select} gives it. */
export type NativeRow = {
  /** As {@link Migration.id}; null for a row that is not about a file (a marker). */
  id: string | null
  /** What is known of the file's name. */
  name: string
  kind: 'versioned' | 'repeatable' | 'baseline'
  checksum: string | null
  /** False: the tool began it and did not finish, or it failed. */
  ok: boolean
  /** RFC 3339 in UTC. */
  appliedAt: string | null
  durationMs: number | null
  appliedBy: string | null
  /** The description that the tool compares with that of the file, where it does. */
  description?: string
}

/**
 * SQL on a tool's own history table. `table` is always its quoted, qualified name. Statements end without semicolon;
 * they run as the role of the migrations, in the same transaction as the migration wherever there is one.
 */
export type NativeHistory = {
  /** Where the tool keeps it when it is not told: `schema_migrations`, `graphile_migrate.migrations`; unquoted, the schema optional. */
  table: string
  /** Columns that a table of that name must have to be taken for it. */
  columns: readonly string[]
  /** Creates what the tool creates; several statements are separated by semicolons. The schema exists unless it is the format's own. */
  create(table: string): string
  /**
   * A query with one row `rows`: a JSON array of {@link NativeRow}, in the order in which they were applied.
   * Times as `to_char(x at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.
   */
  select(table: string): string
  /** What the rows mean, where one does not stand for one migration: golang-migrate keeps only the newest. */
  expand?(rows: NativeRow[], files: Migration[]): NativeRow[]
  /** Records it as applied. `before`: the migration recorded before it in the format's order, if any. */
  record(table: string, file: Migration, before: Migration | undefined): string
  /** Records that a file outside a transaction begins; without it, nothing is written before the end. */
  start?(table: string, file: Migration, before: Migration | undefined): string
  /** Turns what `start` wrote into what `record` writes. Default: `record`. */
  finish?(table: string, file: Migration, before: Migration | undefined): string
  /** Takes back what `start` wrote: nothing of the file took effect. Needed where `start` is. */
  forget?(table: string, file: Migration, before: Migration | undefined): string
  /** Writes how long files took, once at the end, where the tool records that. */
  durations?(table: string, files: { file: Migration; durationMs: number }[]): string
  /** Takes back the record of a migration that was undone. */
  unrecord(table: string, file: Migration, before: Migration | undefined): string
  /** Marks everything up to a version as done, where the tool has a mark of its own for that. */
  baseline?(table: string, file: Migration): string
  /** Makes the recorded checksum that of the file; where the tool keeps one. */
  realign?(table: string, file: Migration): string
  /**
   * What the tool sets before each file: one statement that gives no rows, for the session and until `reset all`.
   * It belongs before the file's text, also where the file is split.
   */
  prepare?(table: string): string
  /** Key of the session-level advisory lock that the tool takes in the target database. `table` unquoted. */
  lockKey?(where: { database: string; schema: string; table: string }): bigint
}

/** Looks for a format's history in a database. */
export type Locate = (db: Db, dialect: Dialect, table: string | undefined) => Promise<{ schema: string; table: string }>
