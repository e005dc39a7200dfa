/** A thing in a schema, and how the configuration writes it. */
export type DeclaredObjects = {
  tables: { label: string; schema: string; name: string }[]
  indexes: { label: string; schema: string; name: string }[]
  columns: { label: string; schema: string; table: string; name: string; type: string }[]
  foreignKeys: { label: string; from: ColumnsOf; to: ColumnsOf }[]
}

export type ColumnsOf = { schema: string; table: string; columns: string[] }

/** What a database has, as far as it was asked for; see snapshot.ts. */
export type Snapshot = {
  tables: { schema: string; name: string }[]
  /** `type` as format_type writes it. */
  columns: { schema: string; table: string; name: string; type: string }[]
  /** All invalid ones, and those that were asked for. */
  indexes: { schema: string; table: string; name: string; valid: boolean }[]
  foreignKeys: { name: string; from: ColumnsOf; to: ColumnsOf; valid: boolean }[]
  notValidated: { schema: string; table: string; name: string }[]
  /** Some of the tables that are no extension's and not in a schema that a tool for migrations has for itself: two, where there are more. */
  someTables: { schema: string; name: string }[]
}

/** What is wrong. Each part is a field of the JSON document. */
export type HealthFindings = {
  tables: { ok: boolean; missing: string[] }
  columns: { ok: boolean; missing: string[]; different: { column: string; declared: string; actual: string }[] }
  indexes: { ok: boolean; missing: string[]; invalid: string[] }
  foreignKeys: { ok: boolean; missing: string[]; invalid: string[] }
  /** Sentences; each makes the database unhealthy. */
  errors: string[]
  warnings: string[]
}
