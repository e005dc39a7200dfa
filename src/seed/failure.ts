import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { statementsBeforeErrors } from '../postgres/answers.ts'
import { copyLineOf } from '../postgres/copy.ts'
import type { Sql } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { failedPiece, renderPieceError } from '../postgres/send.ts'
import { isServerError, type ServerError } from '../postgres/server-error.ts'
import { hintFor, renderServerError, serverNotes } from '../postgres/sqlstate.ts'
import { piecesOf } from '../sql/pieces.ts'
import { templateHint } from '../sql/template.ts'
import { indented } from '../text.ts'
import type { Seed, SqlSeed } from './types.ts'

/**
 * The error of a failed seed: an {@link AppError}, or the error itself when the connection was lost.
 * @param db asked for hints; its transaction has ended
 */
export async function seedFailed(
  db: Sql,
  seed: Seed,
  cause: unknown,
  { log, path }: { log: Log; path: readonly string[] },
): Promise<unknown> {
  if (cause instanceof AppError || isConnectionLost(cause)) return cause
  const file = seed.name
  if (!isServerError(cause))
    return new AppError('seed', `${file}: ${cause instanceof Error ? cause.message : cause}`, { file, cause })

  const statement = statementsBeforeErrors(db).at(-1)
  const place = seed.kind === 'sql' ? renderSqlError(seed, cause, statement) : renderCopyError(cause, file)
  const at = place.line === undefined ? '' : `, line ${place.line}`
  return new AppError(waited.has(cause.code) ? 'locked' : 'seed', `${file}${at}: ${indented(cause.message)}`, {
    ...place,
    hint: templateIn(seed, cause, place) ?? (await hintFor(db, cause, { log, path })),
    cause,
  })
}

const templateIn = (seed: Seed, { code }: ServerError, { line, column }: { line?: number; column?: number }) =>
  seed.kind === 'sql' && line !== undefined && column !== undefined
    ? templateHint(code, seed.text, { line, column })
    : undefined

/** Another session held the table for too long. */
const waited = new Set(['55P03', '40P01'])

/** A long seed is sent in several pieces. */
function renderSqlError({ name: file, text }: SqlSeed, error: ServerError, statement: number | undefined) {
  const pieces = piecesOf(text)
  const piece = pieces[failedPiece(error) ?? -1]
  return piece && pieces.length > 1
    ? renderPieceError(text, piece, error, { file, statement })
    : renderServerError(text, error, { file, statement })
}

function renderCopyError(error: ServerError, file: string) {
  const line = copyLineOf(error)
  const notes = serverNotes(error)
  return {
    sqlstate: error.code,
    file,
    ...(line !== undefined && { line }),
    ...(notes.length > 0 && { excerpt: notes.join('\n') }),
  }
}
