// pure
import { counted } from '../units.ts'

/** A table with another number of rows than when it was backed up; `actual` is null if the table is missing. */
export type RowDifference = { table: string; expected: number; actual: number | null }

/** How many rows were compared, and where they differ. */
export type Comparison = {
  tables: number
  rows: number
  differences: RowDifference[]
  /** Tables that the session user may not count, with the server's reason. */
  notCompared: { table: string; reason: string }[]
}

/** A difference in words. */
export const renderDifference = ({ table, expected, actual }: RowDifference) =>
  actual === null
    ? `${table} is missing; it had ${counted(expected, 'row')}`
    : `${table} has ${counted(actual, 'row')} instead of ${expected}`
