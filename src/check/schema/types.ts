// pure
/**
 * The objects of a database as plain data, for comparing two databases.
 * Names and definitions are qualified with their schema, and quoted where SQL needs it.
 */
export type DatabaseSchema = {
  /** As PostgreSQL numbers it: 150020 is 15.20. Another major version may write the same definition differently. */
  serverVersion: number
  objects: SchemaObject[]
}

/** One object. A table with its columns, constraints, indexes, triggers and policies is one object. */
export type SchemaObject = {
  kind: ObjectKind
  /** `app.users`, `app.total(integer, text)`, `"Odd"`. */
  name: string
  /** The table that a sequence or a partition belongs to, as `table app.users`; without that table it would not exist. */
  partOf: string | null
  /** Its properties, such as `column email` → `text not null`. A property that only one side has is a difference. */
  facts: Record<string, string>
  /** For a table: the names of its columns, in their order. */
  columns: string[]
}

/** In the order in which they are reported: kinds that others depend on come first. */
export const objectKinds = [
  'schema',
  'extension',
  'collation',
  'type',
  'sequence',
  'foreign data wrapper',
  'foreign server',
  'table',
  'view',
  'materialized view',
  'function',
  'procedure',
  'aggregate',
  'operator',
  'operator family',
  'operator class',
  'cast',
  'text search dictionary',
  'text search configuration',
  'event trigger',
  'publication',
  'default privileges',
] as const

export type ObjectKind = (typeof objectKinds)[number]

/** What is not compared: a table or another relation with everything that belongs to it; without a name, a whole schema. */
export type LeftOut = { schema: string; name?: string }
