import { scan } from '../db/scan.ts'
import { isServerError, renderServerError } from '../db/sqlstate.ts'
import { AppError } from '../errors.ts'
import type { Migration } from './types.ts'

export type FailureOptions = {
  /** Code points sent before the text in the same message. */
  prefixLength: number
  /** Which statement of the text failed, from 0 on, where that is known. */
  statement?: number | undefined
  hint: string | undefined
}

/**
 * The error of a file that the server refused: `locked` for a lock timeout or a deadlock, `history` when it was the
 * history that could not be written, else `migration`. Errors that are not the server's are returned as they are.
 */
export function migrationFailed({ name, path, text }: Migration, error: unknown, options: FailureOptions): unknown {
  if (!isServerError(error)) return error
  const { prefixLength, statement, hint } = options
  const position = Number(error.position ?? 0)
  if (isAboutHistory(error) || (position > 0 && position <= prefixLength)) {
    return new AppError('history', `${name} could not be recorded in pgbosun.migrations: ${error.message}`, {
      hint: 'somebody else wrote to it during the run; run this again',
      sqlstate: error.code,
      cause: error,
    })
  }
  const known = statement ?? onlyStatement(text)
  const rendered = renderServerError(text, error, { file: path, prefixLength, statement: known })
  if (error.code === '55P03' || error.code === '40P01') {
    const what = error.code === '55P03' ? 'could not get a lock in time' : 'was caught in a deadlock'
    return new AppError('locked', `${name} ${what}: ${error.message}`, { ...rendered, hint, cause: error })
  }
  return new AppError('migration', `${name} failed: ${error.message}`, { ...rendered, hint, cause: error })
}

const isAboutHistory = ({ schema_name, table_name }: { schema_name?: string; table_name?: string }) =>
  schema_name === 'pgbosun' && table_name === 'migrations'

/** In a file with a single statement it is that one. */
const onlyStatement = (text: string) => (scan(text).statements.length === 1 ? 0 : undefined)
