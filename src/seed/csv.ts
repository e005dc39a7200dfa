import { createReadStream } from 'node:fs'
import { AppError } from '../errors.ts'
import { type CsvRecord, createRecordReader } from './records.ts'
import type { FileColumns, FileRow, RowsSeed } from './types.ts'

/**
 * The names of the columns in the first line.
 * @throws {AppError} `seed` when there is none, or two columns have the same name
 */
export async function readCsvColumns({ path, name: file }: Pick<RowsSeed, 'path' | 'name'>): Promise<FileColumns> {
  const columns = (await findRecord(path, () => true))?.names
  const twice = columns?.find((name, i) => columns.indexOf(name) !== i)
  if (columns === undefined)
    throw wrong(file, 1, 'the file is empty', 'write the names of the columns into the first line')
  if (twice !== undefined)
    throw wrong(file, 1, `the column ${JSON.stringify(twice)} appears twice`, 'remove one of them')
  return { columns, sparse: false, rows: undefined }
}

/** The first record that matches. Reads the file from its start, and keeps nothing of it: COPY reads the data. */
export async function findRecord(
  path: string,
  matches: (record: CsvRecord) => boolean,
): Promise<CsvRecord | undefined> {
  for await (const record of csvRecords(path)) if (matches(record)) return record
  return undefined
}

/** Every row, with the values of some columns; those of the first line are the columns. */
export async function* csvRows(path: string, header: string[], kept: readonly string[]): AsyncGenerator<FileRow> {
  const places = kept.map((column) => header.indexOf(column))
  for await (const record of csvRecords(path, (field) => places.includes(field)))
    if (record.number > 0) yield csvRow(record, header)
}

/** A record as the row that it stands for. Its values are only known where they were kept. */
export const csvRow = ({ number, line, lastLine, fields, values }: CsvRecord, header: string[]): FileRow => ({
  number,
  line,
  lastLine,
  field(column) {
    const field = fields[header.indexOf(column)]
    return field && { ...field, value: field.empty ? undefined : (values[header.indexOf(column)] ?? '') }
  },
})

async function* csvRecords(path: string, keeps?: (field: number) => boolean): AsyncGenerator<CsvRecord> {
  const reader = createRecordReader(keeps)
  for await (const text of createReadStream(path, 'utf8')) yield* reader.read(text as string)
  yield* reader.end()
}

const wrong = (file: string, line: number, problem: string, hint: string) =>
  new AppError('seed', `${file}, line ${line}: ${problem}`, { file, line, hint })
