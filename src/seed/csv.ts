import { createReadStream } from 'node:fs'
import { AppError } from '../errors.ts'
import { copyIn } from '../postgres/copy.ts'
import type { Db } from '../postgres/db.ts'
import { quoteIdent } from '../sql/quote.ts'
import { type CsvRecord, createRecordReader } from './records.ts'

/**
 * Sends a CSV file to the server unchanged, in reads of 64 KB with back pressure; returns how many rows were copied.
 * The first line is skipped. An unquoted empty value is NULL, a quoted one is the empty text.
 * @param table as SQL
 */
export const copyFile = (tx: Db, path: string, table: string, columns: string[]): Promise<number> =>
  copyIn(
    tx,
    `copy ${table} (${columns.map(quoteIdent).join(', ')}) from stdin with (format csv, header true)`,
    createReadStream(path),
  )

/**
 * The names of the columns in the first line.
 * @throws {AppError} `seed` when there is none, or two columns have the same name
 */
export async function readHeader(path: string, file: string): Promise<string[]> {
  const header = (await findRecord(path, () => true))?.names
  const twice = header?.find((name, i) => header.indexOf(name) !== i)
  if (header === undefined)
    throw wrong(file, 1, 'the file is empty', 'write the names of the columns into the first line')
  if (twice !== undefined)
    throw wrong(file, 1, `the column ${JSON.stringify(twice)} appears twice`, 'remove one of them')
  return header
}

/** The first record that matches. Reads the file from its start, and keeps nothing of it: COPY reads the data. */
export async function findRecord(
  path: string,
  matches: (record: CsvRecord) => boolean,
): Promise<CsvRecord | undefined> {
  const reader = createRecordReader()
  for await (const text of createReadStream(path, 'utf8'))
    for (const record of reader.read(text as string)) if (matches(record)) return record
  for (const record of reader.end()) if (matches(record)) return record
  return undefined
}

const wrong = (file: string, line: number, problem: string, hint: string) =>
  new AppError('seed', `${file}, line ${line}: ${problem}`, { file, line, hint })
