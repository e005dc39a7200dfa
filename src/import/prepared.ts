import type { ColumnSql } from './convert.ts'
import type { TableFacts } from './findings.ts'
import type { Opened } from './open.ts'
import type { ImportPlan } from './plan.ts'
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
  facts: TableFacts[]
  /** All that is in the way. */
  problems: string[]
  warnings: string[]
  /** Lines for `types`, where they were asked for. */
  proposals: string[]
}
