// pure

import type { ColumnPlan, TablePlan } from './mapping.ts'
import { matchName } from './match.ts'
import type { SourceForeignKey } from './types.ts'

/** A foreign key of a file, with the columns on both sides; undefined for a table or a column that is not there. */
export type Referred = { parent: TablePlan | undefined; pairs: { from: ColumnPlan; to: ColumnPlan | undefined }[] }

/** The columns of a table's primary key, in its order. */
export const keyOf = ({ columns }: TablePlan): ColumnPlan[] =>
  columns.filter(({ from }) => from.key > 0).sort((a, b) => a.from.key - b.from.key)

/** What a foreign key refers to: the primary key of the parent, where it names no columns. */
export function referredBy(key: SourceForeignKey, table: TablePlan, tables: readonly TablePlan[]): Referred {
  const [found] = matchName(
    key.parent,
    tables.map((one) => ({ name: one.source.name, one })),
  )
  const parent = found?.one
  const columnOf = (of: TablePlan, name: string) =>
    matchName(
      name,
      of.columns.map((column) => ({ name: column.from.name, column })),
    )[0]?.column
  const named = parent
    ? key.parentColumns.length > 0
      ? key.parentColumns.map((name) => columnOf(parent, name))
      : keyOf(parent)
    : []
  return {
    parent,
    pairs: key.columns.flatMap((name, i) => {
      const from = columnOf(table, name)
      return from ? [{ from, to: named[i] }] : []
    }),
  }
}
