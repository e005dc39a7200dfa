import { type Log, silentLog } from '../log.ts'
import { codePoints, excerptOf, placeOf, shownPlace, type TextPlace } from '../sql/place.ts'
import { scan } from '../sql/scan.ts'
import { indented } from '../text.ts'
import { askFor } from './ask.ts'
import type { Db } from './db.ts'
import { hintByCode } from './hints.ts'
import { isServerError, type ServerError } from './server-error.ts'

/**
 * What to do about a server's error, or undefined if there is nothing useful to say.
 * First asks the server for what the message leaves out (types of columns, values of an enum, the owner of a table).
 * @param db must not be in the failed transaction. If asking fails, the general hint for the code is returned
 * @param options `path`: the search_path for names in the message; default: the session's
 */
export async function hintFor(
  db: Db,
  error: unknown,
  { log = silentLog, path }: { log?: Log; path?: readonly string[] | undefined } = {},
): Promise<string | undefined> {
  if (!isServerError(error)) return undefined
  try {
    const answer = await askFor(db, error, path)
    if (answer !== undefined) return answer
  } catch (cause) {
    log.debug(
      { sqlstate: error.code, problem: cause instanceof Error ? cause.message : String(cause) },
      'no details for a hint',
    )
  }
  return hintByCode(error)
}

/** A server's error as options of an `AppError`. */
export type RenderedError = { sqlstate: string; file?: string; line?: number; column?: number; excerpt?: string }

/**
 * Where in a text the error is, and what to show below the message: the line with a caret, DETAIL, HINT and CONTEXT.
 * @param text         the user's text as it was sent
 * @param file         the name to report it under
 * @param prefixLength code points sent before the text in the same message
 * @param statement    which statement of the text failed, from 0 on, for errors without a position
 * @param linesBefore  number of lines in the file before the text
 * @param shown        text to show instead: see `shownPlace`
 */
export function renderServerError(
  text: string,
  error: ServerError,
  {
    file,
    prefixLength = 0,
    statement,
    linesBefore = 0,
    shown,
  }: {
    file?: string
    prefixLength?: number
    statement?: number | undefined
    linesBefore?: number
    shown?: string | undefined
  } = {},
): RenderedError {
  const position = error.position === undefined ? 0 : Number(error.position) - prefixLength
  const sent = position > 0 ? placeOf(text, position) : statement === undefined ? undefined : placeIn(text, statement)
  const seen = sent && shownPlace(text, shown, sent)
  const place = seen?.place
  const notes = serverNotes(shown === undefined ? error : Object.create(error, { where: { value: undefined } }))
  const parts = [seen && excerptOf(seen.text, seen.place, linesBefore), ...notes].filter((part) => part !== undefined)
  return {
    sqlstate: error.code,
    ...(file !== undefined && { file }),
    ...(place && { line: place.line + linesBefore, column: place.column }),
    ...(parts.length > 0 && { excerpt: parts.join('\n') }),
  }
}

/** Where a statement begins, because a run-time error has no position. */
function placeIn(text: string, statement: number): TextPlace | undefined {
  const start = scan(text).statements.at(statement)?.start
  return start === undefined ? undefined : placeOf(text, codePoints(text, start) + 1)
}

/** DETAIL, HINT and CONTEXT, each on its own line. The CONTEXT of a COPY is left out, because it quotes the data. */
export function serverNotes({ detail, hint, where }: ServerError): string[] {
  const context = where === undefined || where.includes('COPY') ? undefined : where
  return [detail && `DETAIL: ${detail}`, hint && `HINT: ${hint}`, context && `CONTEXT: ${context}`]
    .filter((note): note is string => !!note)
    .map((note) => indented(note))
}
