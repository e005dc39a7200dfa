import { createReadStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import type { Info } from 'csv-parse'
import { AppError } from '../errors.ts'
import { copyIn } from '../postgres/copy.ts'
import type { Db } from '../postgres/db.ts'
import { quoteIdent } from '../sql/quote.ts'

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
  let header: string[] | undefined
  await eachRecord(path, file, (record) => {
    header = record.map(String)
    return 'stop'
  })
  const twice = header?.find((name, i) => header?.indexOf(name) !== i)
  if (header === undefined)
    throw wrong(file, 1, 'the file is empty', 'write the names of the columns into the first line')
  if (twice !== undefined)
    throw wrong(file, 1, `the column ${JSON.stringify(twice)} appears twice`, 'remove one of them')
  return header
}

/**
 * The line on which the first matching record starts.
 * @param matches gets the values, null where COPY reads NULL, and the number of the record, counted from 1 after the first line
 */
export async function lineOf(
  path: string,
  file: string,
  matches: (record: (string | null)[], number: number) => boolean,
): Promise<number | undefined> {
  let found: number | undefined
  await eachRecord(path, file, (record, number, line) => {
    if (number === 0 || !matches(record, number)) return 'go on'
    found = line
    return 'stop'
  })
  return found
}

type Visit = (record: (string | null)[], number: number, line: number) => 'stop' | 'go on'

/** Reads a file record by record; the header is number 0. Only for the header and for finding a line: COPY reads the data. */
async function eachRecord(path: string, file: string, visit: Visit): Promise<void> {
  const { parse } = await import('csv-parse')
  const source = createReadStream(path)
  const parser = source.pipe(
    parse({
      bom: true,
      info: true,
      relax_column_count: true,
      cast: (value, { quoting }) => (value === '' && !quoting ? null : value),
    }),
  )
  source.once('error', (error) => parser.destroy(error))
  try {
    let number = 0
    let line = 1
    for await (const { record, info } of parser as AsyncIterable<{ record: (string | null)[]; info: Info }>) {
      if (visit(record, number++, line) === 'stop') break
      line = info.lines + 1
    }
  } catch (cause) {
    const { code, lines } = cause as { code?: string; lines?: number }
    if (!code?.startsWith('CSV_')) throw cause
    throw wrong(
      file,
      lines ?? 1,
      'the line is not valid CSV',
      'put values with quotes, commas or line breaks in double quotes, and double the quotes in them',
    )
  } finally {
    source.destroy()
    await finished(source, { error: false }).catch(() => {})
  }
}

const wrong = (file: string, line: number, problem: string, hint: string) =>
  new AppError('seed', `${file}, line ${line}: ${problem}`, { file, line, hint })
