import { AppError } from '../errors.ts'
import { type ColumnShape, renderRow } from './json-copy.ts'
import {
  createArrayReader,
  createLinesReader,
  inFile,
  JsonFileProblem,
  type JsonReader,
  type JsonRecord,
  placeIn,
} from './json-records.ts'
import { type JsonField, JsonProblem, parseObject } from './json-scan.ts'
import { piecesOf } from './pieces.ts'
import type { FileColumns, FileRow, RowsSeed } from './types.ts'

type JsonSeed = Pick<RowsSeed, 'name' | 'path' | 'format'>

/**
 * Every key of the file, in the order in which they come first. Reads the file once.
 * @throws {AppError} `seed` with the place of what is no row
 */
export async function readJsonColumns(seed: JsonSeed): Promise<FileColumns> {
  const columns = new Map<string, number>()
  let [rows, last, alike] = [0, [] as string[], 0]
  const count = () => {
    for (const name of last) columns.set(name, (columns.get(name) ?? 0) + alike)
    alike = 0
  }
  for await (const batch of records(seed)) {
    for (const record of batch) {
      const fields = fieldsOf(seed, record)
      const isAlike = fields.length === last.length && fields.every(({ name }, i) => name === last[i])
      if (!isAlike) {
        count()
        last = fields.map(({ name }) => name)
      }
      rows++
      alike++
    }
  }
  count()
  return { columns: [...columns.keys()], sparse: [...columns.values()].some((found) => found !== rows), rows }
}

/**
 * The rows as lines of COPY's text format, those of each piece of the file always in the same memory.
 * @param onBytes gets every piece of the file before it is divided
 */
export async function* jsonLines(
  seed: JsonSeed,
  shapes: ColumnShape[],
  sparse: boolean,
  onBytes: (bytes: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  let memory = Buffer.alloc(0)
  for await (const batch of records(seed, onBytes)) {
    let lines = ''
    for (const record of batch)
      lines += translated(seed, record, () => renderRow(fieldsOf(seed, record), shapes, sparse))
    if (lines === '') continue
    if (memory.length < 3 * lines.length) memory = Buffer.allocUnsafeSlow(4 * lines.length)
    yield memory.subarray(0, memory.write(lines))
  }
}

/** The first row that matches, with the places of its values. */
export async function findJsonRow(seed: JsonSeed, matches: (row: FileRow) => boolean): Promise<FileRow | undefined> {
  for await (const batch of records(seed))
    for (const record of batch) {
      const row = rowOf(record, fieldsOf(seed, record))
      if (matches(row)) return row
    }
  return undefined
}

/** Every row, with its values as texts. */
export async function* jsonRows(seed: JsonSeed): AsyncGenerator<FileRow> {
  for await (const batch of records(seed)) for (const record of batch) yield rowOf(record, fieldsOf(seed, record))
}

function rowOf(record: JsonRecord, fields: JsonField[]): FileRow {
  return {
    number: record.number,
    line: record.line,
    lastLine: record.line + record.text.split('\n').length - 1,
    field(column) {
      const field = fields.find(({ name }) => name === column)
      return field === undefined
        ? { line: record.line, column: record.column, value: undefined }
        : { ...placeIn(record, field.at), value: field.kind === 'null' ? undefined : field.raw }
    },
  }
}

const fieldsOf = (seed: JsonSeed, record: JsonRecord) => translated(seed, record, () => parseObject(record.text))

function translated<T>(seed: JsonSeed, record: JsonRecord, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error
    throw refused(seed, inFile(record, error))
  }
}

/** The rows of each piece of the file. */
async function* records(seed: JsonSeed, onBytes?: (bytes: Uint8Array) => void): AsyncGenerator<JsonRecord[]> {
  const reader = seed.format === 'json' ? createArrayReader() : createLinesReader()
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let bytesRead = 0
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode()
    } catch (cause) {
      throw new AppError('seed', `${seed.name} is not UTF-8 text, near byte ${bytesRead}`, {
        file: seed.name,
        hint: 'save the file as UTF-8',
        cause,
      })
    }
  }
  for await (const bytes of piecesOf(seed.path)) {
    onBytes?.(bytes)
    yield divided(seed, () => reader.read(decode(bytes)))
    bytesRead += bytes.length
  }
  yield divided(seed, () => reader.read(decode()))
  yield divided(seed, () => reader.end())
}

function divided(seed: JsonSeed, read: () => ReturnType<JsonReader['read']>): JsonRecord[] {
  try {
    return [...read()]
  } catch (error) {
    if (error instanceof JsonFileProblem) throw refused(seed, error)
    throw error
  }
}

function refused({ name: file, format }: JsonSeed, { message, place }: JsonFileProblem): AppError {
  return new AppError('seed', `${file}, line ${place.line}: ${message}`, {
    file,
    ...place,
    hint:
      format === 'json'
        ? 'the file must be one array of objects; for one object on each line, name it .jsonl'
        : 'each line must be one object, such as {"id": 1, "name": "one"}',
  })
}
