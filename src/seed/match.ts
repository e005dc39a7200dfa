// pure

import { type Condition, columnsIn, parseCondition } from '../config/condition.ts'
import { AppError } from '../errors.ts'
import { type SequenceUse, sequencesOf } from '../postgres/sequence-use.ts'
import { quoteIdent, quoteName } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import type { ColumnShape } from './json-copy.ts'
import type { FileColumns, RowsSeed } from './types.ts'

export type Column = {
  name: string
  notNull: boolean
  generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: accepts a value on insert, never on update. */
  alwaysIdentity: boolean
  /** Whether its values are text, not numbers. */
  text: boolean
  json: boolean
  array: boolean
  /** Whether comparing it with a literal can run no code but PostgreSQL's own. */
  comparable: boolean
  /** Whether values that are equal are the same; `collate`: with the collation that compares bytes. */
  exact: 'yes' | 'collate' | 'no'
  /** What a row gets that is inserted without it, as SQL. */
  default: string | null
  /** The sequences that its values come from, as SQL: its own (serial or identity), and those in its default. */
  sequences: string[]
}

/** A table as the catalog has it. */
export type Table = {
  schema: string
  name: string
  columns: Column[]
  /** Whether other tables inherit from it, which are no partitions. */
  hasHeirs: boolean
  /** The columns of each unique index that identifies rows, the primary key first. */
  uniques: { primary: boolean; columns: string[] }[]
}

/** How the rows of one file are written to one table. */
export type SeedTable = {
  /** As SQL. */
  table: string
  /** Columns of the file, in its order. */
  header: string[]
  shapes: ColumnShape[]
  /** Whether some rows of the file lack some columns. */
  sparse: boolean
  defaults: Map<string, string | null>
  updated: string[]
  exact: Map<string, Column['exact']>
  key: string[]
  /** Whether the table itself forbids NULL in the key. */
  keyNotNull: boolean
  sequences: SequenceUse[]
  scope: Condition | undefined
  /** What other seeds of the table say they alone stand for. `text`: as the configuration has it. */
  rivals: { name: string; text: string; scope: Condition }[]
}

/**
 * Matches the columns of a file with the table.
 * @throws {AppError} `seed` when the table or a column does not exist or cannot be written, or the key has no unique index
 */
export function matchTable(seed: RowsSeed, file: FileColumns, found: Table | undefined): SeedTable {
  const { schema, name } = seed.table
  const fail = failing(seed)
  if (!found) return fail(`there is no table ${schema}.${name}`, 'create it in a migration, or correct `table`')
  const columns = new Map(found.columns.map((column) => [column.name, column]))
  const line = seed.format === 'csv' ? 1 : undefined
  const key = seed.key ?? primaryKeyIn(found, file)
  const header = file.rows === 0 ? key : file.columns

  const unknown = header.find((column) => !columns.has(column))
  if (unknown !== undefined)
    return fail(
      `the table ${schema}.${name} has no column ${JSON.stringify(unknown)}`,
      `use its columns: ${[...columns.keys()].join(', ')}`,
      line,
    )
  if (header.length === 0 && file.rows !== 0) return fail('its rows have no columns', 'give the rows some keys')
  const generated = header.find((column) => columns.get(column)?.generated)
  if (generated !== undefined)
    return fail(
      `the column ${JSON.stringify(generated)} of ${schema}.${name} is generated, and cannot be written`,
      'remove it from the file',
      line,
    )
  const absent = key.find((column) => !header.includes(column))
  if (absent !== undefined)
    return fail(`the key column ${absent} is not in the file`, 'add it to the file, or correct `key`', line)
  if (key.length === 0 && seed.mode !== 'insert')
    return fail(`${seed.mode} needs a \`key\``, 'set `key` to the columns that identify a row')
  if (seed.mode === 'sync' && found.hasHeirs)
    return fail(`sync would also delete rows of the tables that inherit from ${schema}.${name}`, 'use another `mode`')
  if (key.length > 0 && !found.uniques.some((unique) => sameSet(unique.columns, key)))
    return fail(
      `the key (${key.join(', ')}) has no unique index on ${schema}.${name}`,
      visibleSql(
        `add a unique index in a migration: create unique index on ${quoteName(schema, name)} (${key.map(quoteIdent).join(', ')})`,
      ),
    )
  const used = header.map((column) => columns.get(column)!)
  return {
    table: quoteName(schema, name),
    header,
    shapes: used.map(({ name, json, array }) => ({ name, json, array })),
    sparse: file.sparse,
    defaults: new Map(used.map((column) => [column.name, column.default])),
    exact: new Map(used.map((column) => [column.name, column.exact])),
    updated: header.filter((column) => !key.includes(column) && !columns.get(column)?.alwaysIdentity),
    key,
    keyNotNull: key.every((column) => columns.get(column)?.notNull),
    sequences: sequencesOf(used),
    scope: scopeOf(seed, columns),
    rivals: seed.rivals.flatMap(({ name, scope: text }) => {
      const scope = scopeOf({ ...seed, name, scope: text }, columns)
      return scope ? [{ name, text, scope }] : []
    }),
  }
}

const failing =
  ({ name: file }: RowsSeed) =>
  (problem: string, hint: string, line?: number): never => {
    throw new AppError('seed', `${file}: ${problem}`, { file, ...(line && { line }), hint })
  }

/** The scope of a seed, whose columns exist and have types that compare without code of the application. */
function scopeOf(seed: RowsSeed, columns: Map<string, Column>): Condition | undefined {
  const {
    scope,
    table: { schema, name },
  } = seed
  if (scope === undefined) return undefined
  const fail = failing(seed)
  const condition = parseCondition(scope)
  if (!condition) return fail(`\`scope\` is not a condition: ${scope}`, 'compare columns with texts and numbers')
  for (const column of columnsIn(condition)) {
    if (!columns.has(column))
      return fail(
        `\`scope\` names the column ${JSON.stringify(column)}, which ${schema}.${name} does not have`,
        `use its columns: ${[...columns.keys()].join(', ')}`,
      )
    if (!columns.get(column)?.comparable)
      return fail(
        `\`scope\` cannot use the column ${JSON.stringify(column)}: its type has casts of its own`,
        "use columns of PostgreSQL's own types, and enums",
      )
  }
  return condition
}

const primaryKeyIn = ({ uniques }: Table, { columns: header, rows }: FileColumns) => {
  const columns = uniques.find(({ primary }) => primary)?.columns ?? []
  return rows === 0 || columns.every((column) => header.includes(column)) ? columns : []
}

const sameSet = (a: string[], b: string[]) => a.length === b.length && a.every((item) => b.includes(item))
