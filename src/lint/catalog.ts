// pure
import type { ColumnType } from './tree.ts'
import type { TableName } from './types.ts'

/** A column as the files declare it. `type` is undefined if they do not say. */
export type Column = { type: ColumnType | undefined; notNull: boolean }

/** A constraint of a table. */
export type TableConstraint = {
  kind: 'primary' | 'unique' | 'foreign' | 'check' | 'exclusion' | 'not-null'
  columns: string[]
  validated: boolean
  /** Key of the table that a foreign key references. */
  references?: string
  /** The column that a check `c is not null` is about. */
  notNullColumn?: string
}

/** A table, materialized view or foreign table as the files declare it. */
export type Table = {
  key: string
  kind: 'table' | 'matview' | 'foreign'
  /** Number of the file that creates it; -1 if none does. */
  file: number
  columns: Map<string, Column>
  constraints: Map<string, TableConstraint>
  /** The columns of its partition key, an expression as an empty name. Undefined if it is not partitioned. */
  partitionKey: string[] | undefined
  /** Keys of the tables it is a partition of or inherits from. */
  parents: string[]
}

export type Index = { table: string; columns: string[]; unique: boolean; file: number }

export type EnumType = { file: number; values: string[] }

export type Domain = { file: number; base: ColumnType; constrained: boolean }

/** Everything declared so far, by this file and the files before it; keys are `schema.name`. */
export type Catalog = {
  tables: Map<string, Table>
  indexes: Map<string, Index>
  enums: Map<string, EnumType>
  domains: Map<string, Domain>
  /** First schema of the search path: where names without a schema are created and looked up. */
  schema: string
  /** Nodes of ALTER TYPE … ADD VALUE IF NOT EXISTS that may have added nothing. */
  idle: WeakSet<object>
}

export const emptyCatalog = (): Catalog => ({
  tables: new Map(),
  indexes: new Map(),
  enums: new Map(),
  domains: new Map(),
  schema: 'public',
  idle: new WeakSet(),
})

/** The key of a name: `schema.name`. */
export const keyOf = ({ schema }: Pick<Catalog, 'schema'>, name: TableName): string =>
  `${name.schema ?? schema}.${name.name}`

/** A table by its name. A name without a schema is looked up in the first schema of the search path, then in public. */
export const tableOf = (catalog: Catalog, name: TableName): Table | undefined =>
  catalog.tables.get(keyOf(catalog, name)) ??
  (name.schema === undefined ? catalog.tables.get(`public.${name.name}`) : undefined)

/** An index by its name, looked up like a table. */
export const indexOf = (catalog: Catalog, name: TableName): Index | undefined =>
  catalog.indexes.get(keyOf(catalog, name)) ??
  (name.schema === undefined ? catalog.indexes.get(`public.${name.name}`) : undefined)

/** Columns of the primary key. */
export const primaryKey = (table: Table): string[] | undefined =>
  [...table.constraints.values()].find(({ kind }) => kind === 'primary')?.columns

/** The key of the enum that a column's type is; undefined if no file creates such an enum. */
export const enumKeyOf = (catalog: Catalog, { schema, name }: Pick<ColumnType, 'schema' | 'name'>) =>
  [`${schema ?? catalog.schema}.${name}`, ...(schema === undefined ? [`public.${name}`] : [])].find((key) =>
    catalog.enums.has(key),
  )

/** The domain that a column's type is. */
export const domainOf = (catalog: Catalog, { schema, name }: Pick<ColumnType, 'schema' | 'name'>) =>
  catalog.domains.get(`${schema ?? catalog.schema}.${name}`) ??
  (schema === undefined ? catalog.domains.get(`public.${name}`) : undefined)
