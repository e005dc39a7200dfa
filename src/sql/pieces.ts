// pure
import type { StatementList } from './list.ts'
import { type CopyData, type Scan, scan } from './scan.ts'

/** A part of an SQL text that is sent as one message. Offsets count UTF-16 units of the whole text. */
export type Piece = SqlPiece | CopyPiece

/** `text` is as long as the part that it stands for: lines that only psql knows are replaced with spaces. */
export type SqlPiece = { kind: 'sql'; text: string; start: number }

/** `text` is the COPY without its semicolon, `data` the lines after it without the `\.` that ends them. */
export type CopyPiece = { kind: 'copy'; text: string; start: number; data: { start: number; end: number } }

type Range = { start: number; end: number }

/** Messages are cut to this length if possible, because a message is in memory three times while it is sent. */
export const messageLength = 512 * 1024

/**
 * Cuts a text at the data of each `copy … from stdin`, which the server reads separately from the SQL, and a long text also between its
 * statements. A text that is not cut is one piece. Otherwise parts without a statement are left out.
 *
 * @param leftOut statements that must not be sent, in order: they are replaced with spaces
 */
export function piecesOf(text: string, scanned: Scan = scan(text), leftOut: readonly Range[] = []): Piece[] {
  const { statements, copies } = scanned
  const blanks = [...scanned.restricts, ...leftOut.map((range) => withSemicolon(text, range))]
  const sqlPiece = ({ start, end }: Range): Piece => ({ kind: 'sql', text: blanked(text, blanks, start, end), start })
  const isSent = (i: number) => leftOut.every(({ start }) => start !== statements.startOf(i))
  const parts = (from: number, to: number, first: number, last: number) =>
    partsOf(text, { start: from, end: to }, { statements, first, last, isSent }).map(sqlPiece)
  if (copies.length === 0 && text.length <= messageLength) return [sqlPiece({ start: 0, end: text.length })]

  const pieces: Piece[] = []
  let sent = 0
  let from = 0
  for (const copy of copies) {
    const piece = copyPiece(text, scanned, copy)
    pieces.push(...parts(from, piece.start, sent, copy.statement), piece)
    sent = copy.statement + 1
    from = copy.next
  }
  pieces.push(...parts(from, text.length, sent, statements.length))
  return pieces.length > 0 ? pieces : [sqlPiece({ start: 0, end: text.length })]
}

function copyPiece(text: string, { statements }: Scan, { statement, start, end }: CopyData): CopyPiece {
  const from = statements.startOf(statement)
  return { kind: 'copy', text: text.slice(from, statements.endOf(statement)), start: from, data: { start, end } }
}

/** The parts of a range to send, cut after a semicolon where they get too long. The range holds the statements from `first` to before `last`. */
function partsOf(
  text: string,
  range: Range,
  {
    statements,
    first,
    last,
    isSent,
  }: { statements: StatementList; first: number; last: number; isSent(i: number): boolean },
): Range[] {
  const parts: Range[] = []
  const cuts = range.end - range.start > messageLength && !changesReading.test(text)
  let { start } = range
  let filled = false
  for (let i = first; i < last; i++) {
    const end = statements.endOf(i) + 1
    if (cuts && filled && end - start > messageLength) {
      parts.push({ start, end: statements.endOf(i - 1) + 1 })
      start = statements.endOf(i - 1) + 1
      filled = false
    }
    filled ||= isSent(i)
  }
  return filled ? [...parts, { start, end: range.end }] : parts
}

/**
 * Matches a text that changes how SQL is read. The server parses a whole message before it runs any of it, so with such a text, two
 * messages would not have the same effect as one.
 */
const changesReading =
  /(?:standard_conforming_strings|client_encoding)(?!\s*(?:=|to)\s*'?(?:on|utf-?8)\b)|backslash_quote|\bset\s+(?:(?:local|session)\s+)?names\b/i

const withSemicolon = (text: string, { start, end }: Range): Range => ({
  start,
  end: text.charCodeAt(end) === 59 ? end + 1 : end,
})

/** A part of the text, with the given ranges replaced with spaces, except line ends. */
function blanked(text: string, ranges: readonly Range[], start: number, end: number): string {
  let part = ''
  let from = start
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    if (range.start < start || range.end > end) continue
    part += text.slice(from, range.start) + text.slice(range.start, range.end).replace(/[^\r\n]/g, ' ')
    from = range.end
  }
  return part + text.slice(from, end)
}

const chunkLength = 64 * 1024

/** A part of a text in chunks of 64 Ki units, none of which ends inside a character. */
export function* chunksOf(text: string, { start, end }: { start: number; end: number }): Generator<string> {
  for (let from = start; from < end; ) {
    let to = Math.min(from + chunkLength, end)
    if (to < end && isHighSurrogate(text.charCodeAt(to - 1))) to++
    yield text.slice(from, to)
    from = to
  }
}

const isHighSurrogate = (c: number) => c >= 0xd800 && c < 0xdc00
