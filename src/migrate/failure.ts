import { placeOf } from '../db/place.ts'
import { scan } from '../db/scan.ts'
import { isServerError, renderServerError } from '../db/sqlstate.ts'
import { AppError } from '../errors.ts'
import type { Migration } from './types.ts'

export type FailureOptions = {
  /** Code points sent before the text in the same message. */
  prefixLength: number
  hint: string | undefined
}

/**
 * The error of a file that the server refused: `locked` for a lock timeout or a deadlock, `history` when it was the
 * history that could not be written, else `migration`. Errors that are not the server's are returned as they are.
 */
export function migrationFailed({ name, path, text }: Migration, error: unknown, options: FailureOptions): unknown {
  if (!isServerError(error)) return error
  const { prefixLength, hint } = options
  const position = Number(error.position ?? 0)
  if (isAboutHistory(error) || (position > 0 && position <= prefixLength)) {
    return new AppError('history', `${name} could not be recorded in pgbosun.migrations: ${error.message}`, {
      hint: 'somebody else wrote to it during the run; run this again',
      sqlstate: error.code,
      cause: error,
    })
  }
  const rendered = { ...onlyStatement(text), ...renderServerError(text, error, { file: path, prefixLength }) }
  if (error.code === '55P03' || error.code === '40P01') {
    const what = error.code === '55P03' ? 'could not get a lock in time' : 'was caught in a deadlock'
    return new AppError('locked', `${name} ${what}: ${error.message}`, { ...rendered, hint, cause: error })
  }
  return new AppError('migration', `${name} failed: ${error.message}`, { ...rendered, hint, cause: error })
}

const isAboutHistory = ({ schema_name, table_name }: { schema_name?: string; table_name?: string }) =>
  schema_name === 'pgbosun' && table_name === 'migrations'

/** Run-time errors have no position; in a file with a single statement the place is known all the same. */
function onlyStatement(text: string): { line?: number; column?: number } {
  const [first, second] = scan(text).statements
  return first && !second ? placeOf(text, [...text.slice(0, first.start)].length + 1) : {}
}
