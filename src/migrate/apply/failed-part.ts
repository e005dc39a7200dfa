import { statementsBeforeErrors } from '../../postgres/answers.ts'
import type { Sql } from '../../postgres/db.ts'
import { failedPiece } from '../../postgres/send.ts'
import { failedAtCommit } from '../../postgres/transaction.ts'
import type { Piece } from '../../sql/pieces.ts'
import { codePoints } from '../../sql/place.ts'
import { scan } from '../../sql/scan.ts'
import { firstOf } from '../../units.ts'
import { isUnsendable, type Sending, type Unsendable } from '../plan/sending.ts'
import { UnitFailure } from './split.ts'

/** Where a script failed. `left`: what the failed statement left behind, in words. */
export type FailedPart = {
  prefixLength?: number
  statement?: number | undefined
  piece?: Piece
  left?: string | undefined
}

/**
 * Which part of a script failed, if each of its messages was awaited.
 * @param sent `prefix`: the text sent before that of the script
 */
export function failedPart(sql: Sql, { sending, text, prefix }: Sent & { prefix: string }, error: unknown): FailedPart {
  // behind the last statement, so that it is none of them
  if (failedAtCommit(error)) return { statement: scan(text).statements.length }
  const ended = statementsBeforeErrors(sql).at(-1)
  if (isUnsendable(sending) || sending.mode === 'wrapped') return placeBehind(prefix, { sending, text }, ended)
  if (sending.mode === 'pieces') {
    const piece = sending.pieces[failedPiece(error) ?? -1]
    return piece ? { piece, statement: piece.kind === 'sql' ? ended : undefined } : { statement: -1 }
  }
  if (!(error instanceof UnitFailure)) return { statement: -1, prefixLength: Number.POSITIVE_INFINITY }
  const unit = sending.units[error.unit]!
  const { statements } = scan(text)
  const before = statements.findIndex(({ start }) => start >= unit.start)
  return {
    statement: (before === -1 ? statements.length : before) + (unit.commitAt === undefined ? 0 : (ended ?? 0)),
    prefixLength: -codePoints(text, unit.start),
    left: error.left,
  }
}

/** Where the text after a prefix failed. @param ended how many statements of the message had finished */
export const placeBehind = (prefix: string, sent: Sent, ended: number | undefined) => ({
  prefixLength: codePoints(prefix, prefix.length),
  statement: ended === undefined ? undefined : statementOf(sent, ended - scan(prefix).statements.length),
})

/** A text and how it is sent. */
type Sent = { sending: Sending | Unsendable; text: string }

/** Converts the number of a sent statement to its number in the text, which may have a BEGIN that was not sent. */
function statementOf({ sending, text }: Sent, index: number): number {
  if (isUnsendable(sending) || sending.mode !== 'wrapped' || sending.text === text || index < 0) return index
  const start = scan(sending.text).statements.at(index)?.start
  return scan(text).statements.findIndex((statement) => statement.start === start)
}

/** The hint for a split file that stopped in the middle: the next run continues there. */
export function stoppedWithin({ sending }: { sending: Sending | Unsendable }, error: unknown): string | undefined {
  if (!(error instanceof UnitFailure) || error.unit === 0 || isUnsendable(sending) || sending.mode !== 'split')
    return undefined
  const done = `its ${firstOf(error.unit, 'statement')} (of ${sending.units.length})`
  return `${done} took effect and will not run again; the next run continues from here, so correct the rest of the file and run this again`
}
