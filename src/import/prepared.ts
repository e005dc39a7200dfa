import type { TableFacts } from './findings.ts'
import type { ImportPlan } from './plan.ts'
import type { ColumnSql } from './sqlite/column-sql.ts'
import type { Opened } from './sqlite/open.ts'
import type { Source } from './types.ts'

/** A plan with everything that applying it needs. */
export type Prepared = {
  /** Under which the import is recorded. */
  name: string
  opened: Opened
  source: Source
  plan: ImportPlan
  /** About each column of the tables. */
  sql: ColumnSql[][]
  /** Rows of each table. */
  rows: bigint[]
  /** All that is in the way, as far as that can be told without reading every value. */
  problems: string[]
  warnings: string[]
}

/** What reading every value found. */
export type Inspected = {
  facts: TableFacts[]
  /** All that is in the way. */
  problems: string[]
}
