import type { Warning } from '../plan.ts'

/** What is declared under `check`. `label`: as the configuration writes it. */
export type DeclaredObjects = {
  tables: { label: string; schema: string; name: string }[]
  indexes: { label: string; schema: string; name: string }[]
  columns: { label: string; schema: string; table: string; name: string; type: string }[]
  foreignKeys: { label: string; from: ColumnsOf; to: ColumnsOf }[]
}

export type ColumnsOf = { schema: string; table: string; columns: string[] }

/** What a database has of what is declared; see snapshot.ts. */
export type Snapshot = {
  tables: { schema: string; name: string }[]
  /** `type` as format_type writes it. */
  columns: { schema: string; table: string; name: string; type: string }[]
  /** All invalid indexes, and the declared ones. */
  indexes: { schema: string; table: string; name: string; valid: boolean }[]
  foreignKeys: { name: string; from: ColumnsOf; to: ColumnsOf; valid: boolean }[]
  notValidated: { schema: string; table: string; name: string }[]
  /** At most two of the tables, without those of extensions and those in the schema of a migration tool. */
  someTables: { schema: string; name: string }[]
}

/** What is wrong. Each part is a field of the JSON document, except errors and warnings. */
export type HealthFindings = {
  tables: { ok: boolean; missing: string[] }
  columns: { ok: boolean; missing: string[]; different: { column: string; declared: string; actual: string }[] }
  indexes: { ok: boolean; missing: string[]; invalid: string[] }
  foreignKeys: { ok: boolean; missing: string[]; invalid: string[] }
  /** Messages; each of them makes the database unhealthy. */
  errors: string[]
  warnings: Warning[]
}
