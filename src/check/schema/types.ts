// pure
/**
 * What a database consists of, as plain data that two databases can be compared by.
 * Names and definitions are qualified with their schema and quoted where SQL would need it.
 */
export type DatabaseSchema = {
  /** As PostgreSQL numbers it: 150020 is 15.20. Another major may write the same definition in other words. */
  serverVersion: number
  objects: SchemaObject[]
}

/** One thing of its own: a table with its columns, constraints, indexes, triggers and policies is one. */
export type SchemaObject = {
  kind: ObjectKind
  /** `app.users`, `app.total(integer, text)`, `"Odd"`. */
  name: string
  /** The table that a sequence or a partition belongs to, `table app.users`: without it, it would not be there. */
  partOf: string | null
  /** What there is to say about it: `column email` → `text not null`. An absent fact is a fact, too. */
  facts: Record<string, string>
  /** Names of the columns in their order, of a table. */
  columns: string[]
}

/** In the order in which they are reported: what others build on comes first. */
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

/** Something that is not compared: a table or another relation with what belongs to it; without a name, a whole schema. */
export type LeftOut = { schema: string; name?: string }
