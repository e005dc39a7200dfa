/** A table whose rows are not as many as when it was backed up. `null`: it is not there. */
export type Difference = { table: string; expected: number | null; actual: number | null }

/** How many rows were compared, and where they differ. */
export type Comparison = { tables: number; rows: number; differences: Difference[] }

/**
 * Compares rows per table. Both by `schema.table`, quoted alike.
 * @param expected as counted in the snapshot of the dump
 */
export function compareRows(expected: Record<string, number>, actual: Record<string, number>): Comparison {
  const tables = [...new Set([...Object.keys(expected), ...Object.keys(actual)])].sort()
  const pairs = tables.map((table) => ({
    table,
    expected: expected[table] ?? null,
    actual: actual[table] ?? null,
  }))
  return {
    tables: tables.length,
    rows: pairs.reduce((sum, pair) => sum + (pair.actual ?? 0), 0),
    differences: pairs.filter((pair) => pair.expected !== pair.actual),
  }
}

/** A difference in words. */
export const renderDifference = ({ table, expected, actual }: Difference) => {
  if (actual === null) return `${table}: is missing, ${expected} rows were backed up`
  if (expected === null) return `${table}: has ${actual} rows, and was not in the backup`
  return `${table}: ${actual} rows instead of ${expected}`
}
