// pure
import { counted } from '../units.ts'
import type { ColumnPlan, TablePlan } from './mapping.ts'
import type { ImportPlan } from './plan.ts'

/** What one reading of a column found. */
export type ColumnFacts = {
  /** Values that are not NULL. */
  values: bigint
  /** Values that the type cannot hold exactly. */
  unfit: bigint
  /** The first of them: its storage class, and the number of its row. */
  first: { storage: string; row: string | undefined } | undefined
  sum: string | undefined
  least: string | undefined
  most: string | undefined
}

export type TableFacts = { rows: bigint; columns: ColumnFacts[] }

/** Rows of a table whose parent does not exist. */
export type Orphans = { table: string; parent: string; rows: number; first: string | undefined }

/** What is in the way of an import, because of the values. */
export const valueProblems = (plan: ImportPlan, facts: readonly TableFacts[]): string[] =>
  plan.tables.flatMap((table, i) =>
    table.columns.flatMap((column, j) => problemsOf(table, column, facts[i]!.rows, facts[i]!.columns[j]!)),
  )

/** Rows that no foreign key would let in. */
export const orphanProblems = ({ excluded }: Pick<ImportPlan, 'excluded'>, orphans: readonly Orphans[]): string[] =>
  orphans
    .filter(({ table }) => !excluded.includes(table))
    .map(({ table, parent, rows, first }) => {
      const where = first === undefined ? '' : `, first the one with rowid ${first}`
      return `${counted(rows, 'row')} of ${table} ${rows === 1 ? 'refers' : 'refer'} to a row of ${parent} that does not exist${where}`
    })

function problemsOf({ source }: TablePlan, column: ColumnPlan, rows: bigint, facts: ColumnFacts): string[] {
  const { from, conversion, required } = column
  const name = `${source.name}.${from.name}`
  const nulls = rows - facts.values
  const found: string[] = []
  if (facts.unfit > 0n) {
    const { storage, row } = facts.first ?? {}
    const what =
      storage === undefined
        ? ''
        : `: first ${aStorage(storage)}${row === undefined ? '' : ` in the row with rowid ${row}`}`
    found.push(
      `${name} has ${counted(Number(facts.unfit), 'value')} that ${conversion.type.sql} cannot hold exactly${what}`,
    )
  }
  if (required && nulls > 0n)
    found.push(`${name} is NULL in ${counted(Number(nulls), 'row')}, but NOT NULL in the database`)
  return found
}

const aStorage = (storage: string) =>
  storage === 'integer' ? 'an integer' : storage === 'real' ? 'a number with a fraction or exponent' : `a ${storage}`
