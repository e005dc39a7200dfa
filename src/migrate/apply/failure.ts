import { AppError } from '../../errors.ts'
import type { Format } from '../../formats/format.ts'
import type { Script } from '../../formats/types.ts'
import { renderPieceError } from '../../postgres/send.ts'
import { isServerError, type ServerError } from '../../postgres/server-error.ts'
import { renderServerError } from '../../postgres/sqlstate.ts'
import type { Piece } from '../../sql/pieces.ts'
import { scan } from '../../sql/scan.ts'
import { templateHint } from '../../sql/template.ts'
import { indented } from '../../text.ts'
import type { HistoryTable } from '../history/history-table.ts'
import { isUnsendable, type Sending, type Unsendable } from '../plan/sending.ts'

export type FailureOptions = {
  historyTable: HistoryTable
  /** Code points sent before the text in the same message; negative if the message started inside the text. */
  prefixLength: number
  /** Which statement of the text failed, counted from 0, if that is known. */
  statement?: number | undefined
  /** The part of the text that failed, if it was sent in several. */
  piece?: Piece | undefined
  /** Who was in the way, in words. */
  blockedBy?: string | undefined
  /** What to know before running it again, such as what took effect; said in any case. */
  left?: (string | undefined)[]
  hint: string | undefined
  report?: Record<string, unknown> | undefined
}

/**
 * The error for a script that the server refused: `locked` for a lock timeout or a deadlock, `history` if the history could not be
 * written, otherwise `migration`. Returns errors that do not come from the server unchanged.
 */
export function migrationFailed(name: string, script: Script, error: unknown, options: FailureOptions): unknown {
  if (!isServerError(error)) return error
  const { prefixLength, blockedBy, historyTable, piece, statement } = options
  const said = (hint: string | undefined) =>
    [...(options.left ?? []), hint].filter((text) => text).join('; ') || undefined
  const position = Number(error.position ?? 0)
  const inPrefix = position > 0 ? position <= prefixLength : (statement ?? 0) < 0
  const inFile = position > prefixLength || isOneOf(script.text, statement)
  const isLocked = error.code === '55P03' || error.code === '40P01'
  if (!piece && !isLocked && !inFile && (isAboutHistory(error, historyTable) || inPrefix)) {
    const table = historyTable.native
      ? `${historyTable.native.schema}.${historyTable.native.name}`
      : 'pgbosun.migrations'
    return new AppError('history', `${name} could not be recorded in ${table}: ${indented(error.message)}`, {
      hint: said(options.hint) ?? 'another session wrote to that table during the run; run this again',
      sqlstate: error.code,
      cause: error,
    })
  }
  const rendered = render(script, error, options)
  const hint = said(templateIn(script, error, rendered) ?? options.hint)
  if (isLocked) {
    const what = error.code === '55P03' ? 'could not get a lock in time' : 'was caught in a deadlock'
    const who = blockedBy === undefined ? '' : `, ${blockedBy}`
    return new AppError('locked', `${name} ${what}${who}: ${indented(error.message)}`, {
      ...rendered,
      hint,
      cause: error,
    })
  }
  return new AppError('migration', `${name} failed: ${indented(error.message)}`, { ...rendered, hint, cause: error })
}

/** Columns match those of what was sent only where both are the same. */
const templateIn = ({ text, line, shown }: Script, { code }: ServerError, place: { line?: number; column?: number }) =>
  shown === undefined && place.line !== undefined && place.column !== undefined
    ? templateHint(code, text, { line: place.line - line + 1, column: place.column })
    : undefined

/**
 * What to do about a statement that cannot run in the transaction of its file; undefined if it is about something else.
 * @param outside the line with which a file of this format runs outside a transaction
 */
export function hintOnTransaction(
  { code }: ServerError,
  sending: Sending | Unsendable,
  { name, outside = name === 'pgbosun' ? '-- pgbosun: no-transaction' : undefined }: Format,
): string | undefined {
  if (isUnsendable(sending)) return undefined
  if (code === '25001' && sending.mode !== 'split' && outside !== undefined)
    return `put the statement alone into a file that begins with the line \`${outside}\``
  if (code !== '2D000') return undefined
  const without = 'remove COMMIT and ROLLBACK from the block or procedure'
  if (sending.mode === 'split')
    return `${without}, or let it be a statement of its own: it may only end transactions if no function and no BEGIN is around it`
  if (outside === undefined) return `${without}: the file already runs in one transaction`
  return `the file runs in one transaction: put this statement into a file that begins with the line \`${outside}\`, or ${without}`
}

/** SQLSTATEs of something that exists already. */
const existsAlready = new Set(['42P07', '42701', '42710', '42P06', '42723'])

/** What to do if a migration makes what is there already, because undoing it left that behind. */
export async function hintOnUndone(
  name: string,
  { code }: ServerError,
  wasUndone: (name: string) => Promise<boolean> = async () => false,
): Promise<string | undefined> {
  if (!existsAlready.has(code) || !(await wasUndone(name))) return undefined
  return `${name} was undone, but the script that undoes it left this behind: drop it by hand, and correct that script`
}

function render(
  { path, text, line, shown }: Script,
  error: ServerError,
  { prefixLength, statement, piece }: FailureOptions,
) {
  if (piece) {
    const { excerpt, ...rendered } = renderPieceError(text, piece, error, { file: path, statement })
    const mayShow = excerpt !== undefined && shown === undefined
    return {
      ...rendered,
      ...(mayShow && { excerpt }),
      ...(rendered.line !== undefined && { line: rendered.line + line - 1 }),
    }
  }
  const known = statement ?? onlyStatement(text)
  return renderServerError(text, error, { file: path, prefixLength, statement: known, linesBefore: line - 1, shown })
}

const isAboutHistory = (
  { schema_name, table_name }: { schema_name?: string; table_name?: string },
  { native }: HistoryTable,
) =>
  (schema_name === 'pgbosun' && (table_name === 'migrations' || table_name === 'migration_details')) ||
  (native !== undefined && schema_name === native.schema && table_name === native.name)

/** Whether it is a statement of the text, and not the commit after all of them. */
const isOneOf = (text: string, statement = -1) => statement >= 0 && statement < scan(text).statements.length

/** In a text with a single statement, that one must be it. */
const onlyStatement = (text: string) => (scan(text).statements.length === 1 ? 0 : undefined)
