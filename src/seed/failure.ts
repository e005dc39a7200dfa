import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { statementsBeforeErrors } from '../postgres/answers.ts'
import type { Sql } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import { failedPiece, renderPieceError } from '../postgres/send.ts'
import { isServerError, type ServerError } from '../postgres/server-error.ts'
import { hintFor, renderServerError } from '../postgres/sqlstate.ts'
import { piecesOf } from '../sql/pieces.ts'
import { templateHint } from '../sql/template.ts'
import { indented } from '../text.ts'
import { kindOf, rowsFailed } from './rows-failure.ts'
import type { Seed, SqlSeed } from './types.ts'

/**
 * The error of a failed seed: an {@link AppError}, or the error itself when the connection was lost.
 * @param db asked for hints; its transaction has ended
 */
export async function seedFailed(
  db: Sql,
  seed: Seed,
  cause: unknown,
  { log, place }: { log: Log; place: RunsAs },
): Promise<unknown> {
  if (cause instanceof AppError || isConnectionLost(cause)) return cause
  const file = seed.name
  if (!isServerError(cause))
    return new AppError('seed', `${file}: ${cause instanceof Error ? cause.message : cause}`, { file, cause })

  if (seed.kind === 'rows') return rowsFailed(db, seed, cause, { log, place })
  const statement = statementsBeforeErrors(db).at(-1)
  const at = renderSqlError(seed, cause, statement)
  const line = at.line === undefined ? '' : `, line ${at.line}`
  return new AppError(kindOf(cause), `${file}${line}: ${indented(cause.message)}`, {
    ...at,
    hint: templateIn(seed, cause, at) ?? (await hintFor(db, cause, { log, path: place.path })),
    cause,
  })
}

const templateIn = ({ text }: SqlSeed, { code }: ServerError, { line, column }: { line?: number; column?: number }) =>
  line !== undefined && column !== undefined ? templateHint(code, text, { line, column }) : undefined

/** A long seed is sent in several pieces. */
function renderSqlError({ name: file, text }: SqlSeed, error: ServerError, statement: number | undefined) {
  const pieces = piecesOf(text)
  const piece = pieces[failedPiece(error) ?? -1]
  return piece && pieces.length > 1
    ? renderPieceError(text, piece, error, { file, statement })
    : renderServerError(text, error, { file, statement })
}
