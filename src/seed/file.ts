import { copyIn } from '../postgres/copy.ts'
import type { Db } from '../postgres/db.ts'
import { csvRow, csvRows, findRecord, readCsvColumns } from './csv.ts'
import { csvPieces } from './csv-pieces.ts'
import { findJsonRow, jsonLines, jsonRows, readJsonColumns } from './json.ts'
import type { ColumnShape } from './json-copy.ts'
import { given, list } from './row-sql.ts'
import type { FileColumns, FileRow, RowsSeed } from './types.ts'

/** The columns of a file. @throws {AppError} `seed` when there are none, or one appears twice */
export const readColumns = (seed: RowsSeed): Promise<FileColumns> =>
  seed.format === 'csv' ? readCsvColumns(seed) : readJsonColumns(seed)

/** The first row that matches. */
export async function findRow(
  seed: RowsSeed,
  header: string[],
  matches: (row: FileRow) => boolean,
): Promise<FileRow | undefined> {
  if (seed.format !== 'csv') return findJsonRow(seed, matches)
  const record = await findRecord(seed.path, (one) => one.number > 0 && matches(csvRow(one, header)))
  return record && csvRow(record, header)
}

/** Every row, with its values in some columns. */
export const rowsOf = (seed: RowsSeed, header: string[], kept: readonly string[]): AsyncGenerator<FileRow> =>
  seed.format === 'csv' ? csvRows(seed.path, header, kept) : jsonRows(seed)

/** Gets each piece of a file that is being sent. */
export type OnBytes = (bytes: Uint8Array) => void

/**
 * Sends the rows of a file to the server, in reads of 64 KB with back pressure; returns how many rows were copied. A CSV file is sent
 * unchanged, without its first line: an unquoted empty value is NULL, a quoted one is the empty text.
 * @param table as SQL
 */
export function copyFile(
  tx: Db,
  seed: RowsSeed,
  table: string,
  { shapes, sparse }: { shapes: ColumnShape[]; sparse: boolean },
  onBytes: OnBytes = () => {},
): Promise<number> {
  const columns = list(shapes.map(({ name }) => name))
  return seed.format === 'csv'
    ? copyIn(
        tx,
        `copy ${table} (${columns}) from stdin with (format csv, header true)`,
        csvPieces(seed, shapes.length, onBytes),
      )
    : copyIn(
        tx,
        `copy ${table} (${columns}${sparse ? `, ${given}` : ''}) from stdin`,
        jsonLines(seed, shapes, sparse, onBytes),
      )
}
