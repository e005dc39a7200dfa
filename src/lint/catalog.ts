// pure
import type { ColumnType } from './tree.ts'
import type { TableName } from './types.ts'

/** A column as the files declare it. `type` is undefined where they do not say. */
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
  /** Number of the file that creates it; -1 when none does. */
  file: number
  columns: Map<string, Column>
  constraints: Map<string, TableConstraint>
  /** Columns that it is partitioned by; an expression is an empty name. Undefined: it is not partitioned. */
  partitionKey: string[] | undefined
  /** Keys of the tables it is a partition of or inherits from. */
  parents: string[]
}

export type Index = { table: string; columns: string[]; unique: boolean; file: number }

export type EnumType = { file: number; values: string[] }

export type Domain = { file: number; base: ColumnType; constrained: boolean }

/** What the files up to a statement have declared; keys are `schema.name`. */
export type Catalog = {
  tables: Map<string, Table>
  indexes: Map<string, Index>
  enums: Map<string, EnumType>
  domains: Map<string, Domain>
  /** First schema of the search path, where unqualified names are created and looked for. */
  schema: string
  /** ALTER TYPE … ADD VALUE IF NOT EXISTS that may have added nothing. */
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

/** Where a name is meant to be. */
export const keyOf = ({ schema }: Pick<Catalog, 'schema'>, name: TableName): string =>
  `${name.schema ?? schema}.${name.name}`

/** A table by its name; without a schema that of the search path, then public's. */
export const tableOf = (catalog: Catalog, name: TableName): Table | undefined =>
  catalog.tables.get(keyOf(catalog, name)) ??
  (name.schema === undefined ? catalog.tables.get(`public.${name.name}`) : undefined)

/** The same for indexes. */
export const indexOf = (catalog: Catalog, name: TableName): Index | undefined =>
  catalog.indexes.get(keyOf(catalog, name)) ??
  (name.schema === undefined ? catalog.indexes.get(`public.${name.name}`) : undefined)

/** Columns of the primary key. */
export const primaryKey = (table: Table): string[] | undefined =>
  [...table.constraints.values()].find(({ kind }) => kind === 'primary')?.columns

/** The key of an enum type by a column's type; undefined where no file creates one. */
export const enumKeyOf = (catalog: Catalog, { schema, name }: Pick<ColumnType, 'schema' | 'name'>) =>
  [`${schema ?? catalog.schema}.${name}`, ...(schema === undefined ? [`public.${name}`] : [])].find((key) =>
    catalog.enums.has(key),
  )

/** A domain by a column's type. */
export const domainOf = (catalog: Catalog, { schema, name }: Pick<ColumnType, 'schema' | 'name'>) =>
  catalog.domains.get(`${schema ?? catalog.schema}.${name}`) ??
  (schema === undefined ? catalog.domains.get(`public.${name}`) : undefined)
