// pure

import type { CheckConfig } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { ofOneKind, type Warning } from '../plan.ts'
import { splitName } from '../sql/quote.ts'
import { typeMeaning } from './typenames.ts'
import type { ColumnsOf, DeclaredObjects, HealthFindings, Snapshot } from './types.ts'

/**
 * The declared tables, columns, indexes and foreign keys, with schemas filled in.
 * @throws {AppError} `usage` for a foreign key that cannot be read
 */
export function wantedFrom({ tables, indexes, columns, foreignKeys }: CheckConfig): DeclaredObjects {
  return {
    tables: tables.map((label) => ({ label, ...splitName(label) })),
    indexes: indexes.map((label) => ({ label, ...splitName(label) })),
    columns: Object.entries(columns).flatMap(([table, types]) =>
      Object.entries(types).map(([name, type]) => {
        const { schema, name: tableName } = splitName(table)
        return { label: `${table}.${name}`, schema, table: tableName, name, type }
      }),
    ),
    foreignKeys: foreignKeys.map((label, i) => {
      const [from, to, more] = label.split(' -> ').map(columnsOf)
      if (from && to && !more && from.columns.length === to.columns.length) return { label, from, to }
      throw usage(`check.foreignKeys[${i}]: ${JSON.stringify(label)} cannot be read`, {
        hint: 'write it like games.user_id -> users.id, or with several columns like t.(a, b) -> u.(c, d)',
      })
    }),
  }
}

/** `users.id`, `app.users.id`, `users.(a, b)`; undefined for anything else. */
function columnsOf(text: string): ColumnsOf | undefined {
  const [, table = '', list = ''] =
    /^\s*((?:"(?:[^"]|"")+"|[^."()]+)(?:\.(?:"(?:[^"]|"")+"|[^."()]+))?)\.(\(.+\)|"(?:[^"]|"")+"|[^."()]+?)\s*$/.exec(
      text,
    ) ?? []
  const columns = [...list.replace(/^\(|\)$/g, '').matchAll(/"((?:[^"]|"")+)"|([^",\s]+)/g)]
  if (columns.length === 0) return undefined
  const { schema, name } = splitName(table.trim())
  return {
    schema,
    table: name,
    columns: columns.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ''),
  }
}

/** Compares what is declared with what exists. Types are compared by meaning. */
export function compare(wanted: DeclaredObjects, actual: Snapshot): HealthFindings {
  const tables = new Set(actual.tables.map(({ schema, name }) => keyOf(schema, name)))
  const missingTables = wanted.tables
    .filter(({ schema, name }) => !tables.has(keyOf(schema, name)))
    .map(({ label }) => label)

  const types = new Map(actual.columns.map(({ schema, table, name, type }) => [keyOf(schema, table, name), type]))
  const typed = wanted.columns.map((column) => ({
    ...column,
    actual: types.get(keyOf(column.schema, column.table, column.name)),
  }))
  const missingColumns = typed.filter((column) => column.actual === undefined).map(({ label }) => label)
  const different = typed.flatMap(({ label, type, actual }) =>
    actual !== undefined && typeMeaning(type) !== typeMeaning(actual)
      ? [{ column: label, declared: type, actual }]
      : [],
  )

  const indexes = sortOut(wanted.indexes, actual.indexes, ({ schema, name }) => keyOf(schema, name))
  const foreignKeys = sortOut(wanted.foreignKeys, actual.foreignKeys, ({ from, to }) => pairs(from, to))

  return {
    tables: { ok: missingTables.length === 0, missing: missingTables },
    columns: { ok: missingColumns.length + different.length === 0, missing: missingColumns, different },
    indexes,
    foreignKeys,
    errors: [
      ...missingTables.map((label) => `table ${label} is missing`),
      ...missingColumns.map((label) => `column ${label} is missing`),
      ...different.map(({ column, declared, actual }) => `column ${column} is ${actual}, declared as ${declared}`),
      ...indexes.missing.map((label) => `index ${label} is missing`),
      ...indexes.invalid.map((label) => `index ${label} is invalid`),
      ...foreignKeys.missing.map((label) => `foreign key ${label} is missing`),
      ...foreignKeys.invalid.map((label) => `foreign key ${label} is not validated`),
    ],
    warnings: warningsOf(wanted, actual),
  }
}

/** Broken indexes and constraints that are not declared. */
function warningsOf(wanted: DeclaredObjects, actual: Snapshot): Warning[] {
  const indexes = new Set(wanted.indexes.map(({ schema, name }) => keyOf(schema, name)))
  const wantedKeys = new Set(wanted.foreignKeys.map(({ from, to }) => pairs(from, to)))
  const keys = new Set(
    actual.foreignKeys
      .filter(({ from, to }) => wantedKeys.has(pairs(from, to)))
      .map(({ name, from }) => keyOf(from.schema, from.table, name)),
  )
  return [
    actual.indexes
      .filter(({ schema, name, valid }) => !valid && !indexes.has(keyOf(schema, name)))
      .map(({ schema, table, name }) => `index ${schema}.${name} of ${table} is invalid: drop it and create it again`),
    actual.notValidated
      .filter(({ schema, table, name }) => !keys.has(keyOf(schema, table, name)))
      .map(({ schema, table, name }) => `constraint ${name} of ${schema}.${table} is not validated`),
  ].flatMap(ofOneKind)
}

function sortOut<A extends { label: string }, B extends { valid: boolean }>(
  wanted: A[],
  actual: B[],
  key: (item: A | B) => string,
) {
  const validity = new Map<string, boolean>()
  for (const item of actual) validity.set(key(item), item.valid || validity.get(key(item)) === true)
  const missing = wanted.filter((item) => !validity.has(key(item))).map(({ label }) => label)
  const invalid = wanted.filter((item) => validity.get(key(item)) === false).map(({ label }) => label)
  return { ok: missing.length + invalid.length === 0, missing, invalid }
}

const keyOf = (...names: string[]) => JSON.stringify(names)

/** Equal for foreign keys that pair the same columns, in any order. */
const pairs = (from: ColumnsOf, to: ColumnsOf) =>
  keyOf(
    from.schema,
    from.table,
    to.schema,
    to.table,
    ...from.columns.map((column, i) => keyOf(column, to.columns[i] ?? '')).sort(),
  )
