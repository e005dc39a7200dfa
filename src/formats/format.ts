import type { Db } from '../postgres/db.ts'
import type { Applied, FormatName, Migration } from './types.ts'

/** What a format needs in addition to its folder. */
export type ReadOptions = {
  /** Values of the format's placeholders (`migrate.placeholders`), and what placeholders may use of the connection. */
  placeholders: Readonly<Record<string, string>>
  database: string | undefined
  user: string | undefined
  /** The environment, for formats that substitute environment variables in files. */
  environment: Readonly<Record<string, string | undefined>>
}

/**
 * One format: how its files are read, and how its own history is read and written, exactly as its tool does it.
 * Everything here is pure except `read`, which reads files synchronously: for a thousand small files that is several times cheaper.
 */
export type Format = {
  name: FormatName
  /**
   * The migrations of a folder: versioned ones in the tool's own order, then the repeatable ones.
   * @throws {AppError} `usage` for what the tool would refuse, and for what we do not support (migrations in another language,
   *   callbacks), naming file and line
   */
  read(dir: string, options: ReadOptions): Migration[]
  /** The same for several folders, read as if their files were in one. Undefined if the tool takes only one folder. */
  readSeveral?(dirs: readonly string[], options: ReadOptions): Migration[]
  /** Whether the files of a subfolder are read with those of the folder. @param path relative to the folder, with `/`. Default: no */
  readsBelow?(path: string): boolean
  /**
   * The files that apply to a database, if that depends on what is already applied: a new database gets the newest of Flyway's
   * baseline migrations, any other database none. Default: all files.
   *
   * @param files   the result of {@link read}
   * @param applied the versioned migrations in the history
   */
  choose?(files: Migration[], applied: Applied[]): Migration[]
  /**
   * The id of the version that a person means: a version, or the name of its file without `.sql`. Undefined when no file of this format
   * can be called that.
   */
  idOf(name: string): string | undefined
  /** Order of two ids: negative when the first comes first. */
  compare(a: string, b: string): number
  /**
   * What the tool does about a file older than the newest applied one, an applied migration without a file although newer files
   * exist, and a file that was changed after it was applied. The configuration may be stricter.
   */
  policy: { outOfOrder: 'error' | 'apply'; missing: 'error' | 'warn'; edited: 'error' | 'warn' }
  /** The line that makes a file run outside a transaction; undefined where the tool has none, or its files do so by themselves. */
  outside?: string
  /** Its ids are names, which begin with a number only by habit. */
  idsAreNames?: true
  /** What is sent may differ from the file, because values are put into it. */
  fillsIn?: true
  /** Its files have no scripts that undo them. */
  neverUndoes?: true
  /** Its history keeps the newest version only, which stands for all before it, and is marked in both directions. */
  keepsOnlyNewest?: true
  /** The tool's own history; undefined for pgbosun, whose history is pgbosun.migrations. */
  native?: NativeHistory
  /** The files that `migrate new` writes. @param options `files`: those that already exist */
  create(name: string, options: { now: Date; files: Migration[]; reversible: boolean }): NewFile[]
}

export type NewFile = { file: string; text: string }

/** A row of a tool's history, as returned by {@link NativeHistory.select}. */
export type NativeRow = {
  /** As {@link Migration.id}; null for a row that is not about a file (a marker). */
  id: string | null
  /** The file's name, as far as the history has it. */
  name: string
  kind: 'versioned' | 'repeatable' | 'baseline'
  checksum: string | null
  /** False if the tool started it and did not finish, or it failed. */
  ok: boolean
  /** RFC 3339 in UTC. */
  appliedAt: string | null
  durationMs: number | null
  appliedBy: string | null
  /** The description, if the tool compares it with that of the file. */
  description?: string
}

/**
 * SQL on a tool's own history table. `table` is always its quoted, qualified name. Statements end without semicolon;
 * they run as the role of the migrations, in the same transaction as the migration wherever there is one.
 */
export type NativeHistory = {
  /** The tool's default table: `schema_migrations`, `graphile_migrate.migrations`; unquoted, the schema optional. */
  table: string
  /** Columns that a table of that name must have to count as the tool's history. */
  columns: readonly string[]
  /** Creates what the tool creates; several statements are separated by semicolons. The schema already exists, unless it is the tool's own. */
  create(table: string): string
  /**
   * A query with one row `rows`: a JSON array of {@link NativeRow}, in the order in which they were applied.
   * Times as `to_char(x at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`.
   */
  select(table: string): string
  /** Turns the rows into one for each migration, if they are not that already: golang-migrate records only the newest version. */
  expand?(rows: NativeRow[], files: Migration[]): NativeRow[]
  /** Records it as applied. `before`: the migration recorded before it in the format's order, if any. */
  record(table: string, file: Migration, before: Migration | undefined): string
  /** Records that a file that runs outside a transaction starts. Without it, nothing is written before the end. */
  start?(table: string, file: Migration, before: Migration | undefined): string
  /** Turns what `start` wrote into what `record` writes. Default: `record`. */
  finish?(table: string, file: Migration, before: Migration | undefined): string
  /** Removes what `start` wrote, because nothing of the file took effect. Required if there is a `start`. */
  forget?(table: string, file: Migration, before: Migration | undefined): string
  /** Writes how long files took, once at the end, if the tool records that. */
  durations?(table: string, files: { file: Migration; durationMs: number }[]): string
  /** Removes the record of a migration that was undone. */
  unrecord(table: string, file: Migration, before: Migration | undefined): string
  /** Marks everything up to a version as applied, if the tool has its own mark for that. */
  baseline?(table: string, file: Migration): string
  /** Sets the recorded checksum to that of the file, if the tool records one. */
  realign?(table: string, file: Migration): string
  /**
   * What the tool sets before each file: one statement that returns no rows and lasts for the session, until `reset all`.
   * It is sent before the file's text, also if the file is split.
   */
  prepare?(table: string): string
  /** Key of the session-level advisory lock that the tool takes in the target database. `table` unquoted. */
  lockKey?(where: { database: string; schema: string; table: string }): bigint
}

/** Looks for a format's history in a database. */
export type Locate = (db: Db, format: Format, table: string | undefined) => Promise<{ schema: string; table: string }>
