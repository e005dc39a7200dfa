import { type CopyPiece, chunksOf, type Piece } from '../sql/pieces.ts'
import { codePoints, excerptOf, placeOf } from '../sql/place.ts'
import { scan } from '../sql/scan.ts'
import { copyIn, copyLineOf } from './copy.ts'
import type { Db } from './db.ts'
import type { ServerError } from './server-error.ts'
import { type RenderedError, serverNotes } from './sqlstate.ts'

/**
 * Sends pieces one after another, each as one message, and the data of a COPY in bounded memory.
 *
 * @param db     one session (`max: 1`), in a transaction, with nothing else running
 * @param text   what the pieces were cut from
 * @param onPiece called before each piece; stops the sending if it throws
 * @throws the error of the server or of the connection, unchanged; {@link failedPiece} tells which piece it is about
 */
export async function sendPieces(
  db: Db,
  text: string,
  pieces: Piece[],
  { onPiece }: { onPiece?: ((index: number, piece: Piece) => void) | undefined } = {},
): Promise<void> {
  for (const [index, piece] of pieces.entries()) {
    onPiece?.(index, piece)
    try {
      if (piece.kind === 'sql') await db.unsafe(piece.text)
      else await copyIn(db, piece.text, chunksOf(text, piece.data))
    } catch (error) {
      if (typeof error === 'object' && error !== null) failures.set(error, index)
      throw error
    }
  }
}

const failures = new WeakMap<object, number>()

/** Index of the piece whose error {@link sendPieces} threw; undefined for any other error. */
export const failedPiece = (error: unknown): number | undefined =>
  typeof error === 'object' && error !== null ? failures.get(error) : undefined

/**
 * Where in the whole text a piece failed, and what to show below the message, like `renderServerError` for a text that is one message.
 * Of a line of data, only the number is given: its content is never quoted.
 *
 * @param text      what the piece was cut from
 * @param file      the name to report it under
 * @param statement which statement of the piece failed, from 0 on, for errors without a position
 */
export function renderPieceError(
  text: string,
  piece: Piece,
  error: ServerError,
  { file, statement }: { file?: string | undefined; statement?: number | undefined } = {},
): RenderedError {
  const dataLine = piece.kind === 'copy' ? dataLineOf(text, piece, error) : undefined
  const start = dataLine === undefined ? startOf(piece, error, statement) : undefined
  const place = start === undefined ? undefined : placeOf(text, codePoints(text, piece.start) + start)
  const notes = [place && excerptOf(text, place), ...serverNotes(withoutData(piece, error))].filter(
    (note) => note !== undefined,
  )
  return {
    sqlstate: error.code,
    ...(file !== undefined && { file }),
    ...(dataLine !== undefined && { line: dataLine }),
    ...place,
    ...(notes.length > 0 && { excerpt: notes.join('\n') }),
  }
}

/** The CONTEXT of a COPY quotes the data, and does not contain "COPY" in every language. */
const withoutData = (piece: Piece, error: ServerError): ServerError =>
  piece.kind === 'copy' ? Object.create(error, { where: { value: undefined } }) : error

/** Where in the piece, in code points from 1: the server's position, otherwise the start of the statement. */
function startOf(piece: Piece, { position }: ServerError, statement: number | undefined): number | undefined {
  if (Number(position ?? 0) > 0) return Number(position)
  if (piece.kind === 'copy') return 1
  const start = statement === undefined ? undefined : scan(piece.text).statements.at(statement)?.start
  return start === undefined ? undefined : codePoints(piece.text, start) + 1
}

/** The line of the text with the line of data that the server refused; undefined if the server names none. */
function dataLineOf(text: string, { data }: CopyPiece, error: ServerError): number | undefined {
  const line = copyLineOf(error)
  return line === undefined ? undefined : linesBefore(text, data.start) + line
}

function linesBefore(text: string, end: number): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) count++
  return count
}
