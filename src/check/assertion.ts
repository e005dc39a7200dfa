// pure
import { counted } from '../units.ts'

/** `ok` null: it could not be checked, and `problem` says why. */
export type AssertionResult = { name: string; level: 'error' | 'warning'; ok: boolean | null; problem: string | null }

/** More rows of an answer are not read. */
export const mostRows = 100

/** `value`: that of the only column, if it is a boolean. */
export type Rows = { count: number; columns: string[]; value?: unknown }

/** @returns why the assertion does not hold, without values, which may be confidential; null when it holds */
export function judgeRows({ count, columns, value }: Rows): string | null {
  if (count === 0 || (count === 1 && value === true)) return null
  if (count === 1 && value === false) return 'it is false'
  const rows = count === mostRows ? `${mostRows} rows or more` : counted(count, 'row')
  return `it returned ${rows} (${columns.join(', ')})`
}

/** For people and for the lists of errors and warnings. */
export const describeAssertion = ({ name, problem }: AssertionResult) => `assertion ${name} does not hold: ${problem}`
