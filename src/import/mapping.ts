import type { Conversion } from './convert.ts'
import type { SourceColumn, SourceTable, TargetColumn } from './types.ts'

/** A column of the file, and what becomes of it. */
export type ColumnPlan = {
  from: SourceColumn
  /** Name in PostgreSQL. */
  to: string
  conversion: Conversion
  /** Whether PostgreSQL refuses NULL. */
  required: boolean
  /** Undefined where the column is to be created. */
  target: TargetColumn | undefined
}

/** A table of the file, and the one that its rows are written to. */
export type TablePlan = { source: SourceTable; to: string; columns: ColumnPlan[] }
