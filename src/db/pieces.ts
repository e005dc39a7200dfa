import { type CopyData, type Scan, scan } from './scan.ts'

/** A part of an SQL text that is sent as one message. Offsets count UTF-16 units of the whole text. */
export type Piece = SqlPiece | CopyPiece

/** `text` is as long as what it stands for: the lines that only psql knows are blanks in it. */
export type SqlPiece = { kind: 'sql'; text: string; start: number }

/** `text` is the COPY without its semicolon, `data` the lines behind it without the `\.` that ends them. */
export type CopyPiece = { kind: 'copy'; text: string; start: number; data: { start: number; end: number } }

/**
 * Cuts a text at the data of each `copy … from stdin`, which the server reads apart from the SQL. A text without such
 * data is one piece; parts without a statement are left out of any other.
 */
export function piecesOf(text: string, scanned: Scan = scan(text)): Piece[] {
  const { statements, restricts, copies } = scanned
  const sqlPiece = (start: number, end: number): Piece => ({
    kind: 'sql',
    text: blanked(text, restricts, start, end),
    start,
  })
  if (copies.length === 0) return [sqlPiece(0, text.length)]

  const pieces: Piece[] = []
  let sent = 0
  let from = 0
  for (const copy of copies) {
    const piece = copyPiece(text, scanned, copy)
    if (copy.statement > sent) pieces.push(sqlPiece(from, piece.start))
    pieces.push(piece)
    sent = copy.statement + 1
    from = copy.next
  }
  if (statements.length > sent) pieces.push(sqlPiece(from, text.length))
  return pieces
}

function copyPiece(text: string, { statements }: Scan, { statement, start, end }: CopyData): CopyPiece {
  const copy = statements[statement]!
  return { kind: 'copy', text: text.slice(copy.start, copy.end), start: copy.start, data: { start, end } }
}

/** A part of the text with the given lines as blanks. */
function blanked(text: string, lines: Scan['restricts'], start: number, end: number): string {
  let part = ''
  let from = start
  for (const line of lines) {
    if (line.start < start || line.end > end) continue
    part += text.slice(from, line.start) + ' '.repeat(line.end - line.start)
    from = line.end
  }
  return part + text.slice(from, end)
}

const chunkLength = 64 * 1024

/** A part of a text in chunks of 64 Ki units, none of which ends within a character. */
export function* chunksOf(text: string, { start, end }: { start: number; end: number }): Generator<string> {
  for (let from = start; from < end; ) {
    let to = Math.min(from + chunkLength, end)
    if (to < end && isHighSurrogate(text.charCodeAt(to - 1))) to++
    yield text.slice(from, to)
    from = to
  }
}

const isHighSurrogate = (c: number) => c >= 0xd800 && c < 0xdc00
