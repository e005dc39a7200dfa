/** A column of a table in SQLite. */
export type SourceColumn = {
  name: string
  /** The declared type as it is written; empty where there is none. */
  declared: string
  notNull: boolean
  /** Its place in the primary key, from 1; 0: not part of it. */
  key: number
  /** The default as SQLite's SQL. */
  fallback: string | null
  generated: boolean
}

export type SourceForeignKey = {
  columns: string[]
  parent: string
  /** Empty: the primary key of the parent. */
  parentColumns: string[]
  onDelete: string
  onUpdate: string
  deferred: boolean
}

export type SourceIndex = { name: string; unique: boolean; columns: string[] }

export type SourceTable = {
  name: string
  columns: SourceColumn[]
  /** How SQL calls the number of a row; undefined for WITHOUT ROWID, or where columns hide every name of it. */
  rowid: string | undefined
  foreignKeys: SourceForeignKey[]
  indexes: SourceIndex[]
  /** What of the table is not taken over where the schema is derived from it, for people. */
  leftOut: string[]
}

/** What a SQLite file contains. `views` and `virtual`: names of what is no table of rows. */
export type Source = { tables: SourceTable[]; views: string[]; virtual: string[]; utf8: boolean }

/** A column of a table in PostgreSQL. */
export type TargetColumn = {
  name: string
  /** As format_type writes it. */
  type: string
  /** The name of the type in pg_type; of a domain, that of its base type. */
  base: string
  enum: boolean
  /** As in pg_attribute; -1: none. */
  typmod: number
  notNull: boolean
  hasDefault: boolean
  generated: boolean
  /** Whether its values are text, not numbers. */
  text: boolean
  /** The sequences that its values come from, as SQL. */
  sequences: string[]
}

export type TargetForeignKey = {
  name: string
  /** Table in the same schema; null: in another one. */
  parent: string | null
  deferrable: boolean
  deferred: boolean
}

export type TargetTable = { name: string; columns: TargetColumn[]; foreignKeys: TargetForeignKey[] }

/** What the database has. `schema`: whether the schema is there. */
export type Target = { schema: boolean; tables: TargetTable[] }
