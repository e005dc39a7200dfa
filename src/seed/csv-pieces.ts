import { AppError } from '../errors.ts'
import { findRecord } from './csv.ts'
import { piecesOf } from './pieces.ts'
import type { CsvRecord } from './records.ts'
import { createStrayScan } from './stray.ts'
import type { RowsSeed } from './types.ts'

/**
 * The pieces of a CSV file, as they are sent to the server.
 * @throws {AppError} `seed` at a quote for which the server would write something else than the file has, without an error
 */
export async function* csvPieces(
  { path, name }: RowsSeed,
  columns: number,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let hasStray = createStrayScan()
  for await (const bytes of piecesOf(path)) {
    onBytes(bytes)
    if (hasStray(bytes)) {
      const record = await findRecord(path, (one) => isTaken(one, columns))
      if (record) throw strayQuote(name, record)
      hasStray = () => false
    }
    yield bytes
  }
}

/** The server itself refuses a quote that stays open, and another number of values than the first line has. */
const isTaken = ({ stray, quote, fieldCount }: CsvRecord, columns: number) =>
  stray !== undefined && quote?.open !== true && fieldCount === columns

function strayQuote(file: string, { stray: { line, column } = { line: 1, column: 1 }, lastLine }: CsvRecord): AppError {
  const does = lastLine > line ? swallows(lastLine) : 'does not enclose the whole value, and would be lost'
  return new AppError('seed', `${file}, line ${line}: the quote at column ${column} ${does}`, {
    file,
    line,
    column,
    hint: quotesHint,
  })
}

export const swallows = (lastLine: number) => `makes one value of everything up to a quote in line ${lastLine}`

export const quotesHint =
  'put a value with quotes, commas or line breaks in double quotes, and double the quotes in it: "5"" disk"'
