import { AppError, type ErrorOptions, type Kind } from '../errors.ts'
import type { Log } from '../log.ts'
import { copyLineOf } from '../postgres/copy.ts'
import type { Sql } from '../postgres/db.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import type { ServerError } from '../postgres/server-error.ts'
import { hintFor, serverNotes } from '../postgres/sqlstate.ts'
import { indented } from '../text.ts'
import { counted } from '../units.ts'
import { findRecord } from './csv.ts'
import { quotesHint, swallows } from './csv-pieces.ts'
import { type Culprit, findCulprit } from './culprit.ts'
import { findRow, readColumns } from './file.ts'
import { repeatedKey } from './keys.ts'
import type { CsvRecord } from './records.ts'
import type { RowsSeed } from './types.ts'

/** Another session held the table for too long, or the seed is wrong. */
export const kindOf = ({ code }: ServerError): Kind => (['55P03', '40P01'].includes(code) ? 'locked' : 'seed')

/** A server's error about a file of rows, with the line and the column of the file if they can be found. */
export async function rowsFailed(
  db: Sql,
  seed: RowsSeed,
  cause: ServerError,
  { log, place }: { log: Log; place: RunsAs },
): Promise<AppError> {
  const { name: file, path, format } = seed
  const { columns: header } = await readColumns(seed)
  const malformed = format === 'csv' && cause.code === '22P04' && (await findMalformed(path, header.length))
  if (malformed) return wrongRecord(file, header.length, malformed, cause)
  const culprit = await culpritOf(db, seed, cause, { log, place })
  if (culprit?.repeated) {
    const error = await repeatedKey(seed, culprit.repeated.columns, culprit.repeated)
    return error.with({ sqlstate: cause.code, cause })
  }
  const row = await rowOf(seed, header, culprit?.number, copyLineOf(cause))
  const column = columnOf(cause, header)
  const field = column === undefined ? undefined : row?.field(column)
  const notes = serverNotes(cause)
  const where = [row && `line ${field?.line ?? row.line}`, field && `column ${column}`].filter(Boolean)
  return new AppError(kindOf(cause), `${[file, ...where].join(', ')}: ${indented(cause.message)}`, {
    sqlstate: cause.code,
    file,
    ...(row && { line: row.line }),
    ...(field && { line: field.line, column: field.column }),
    ...(notes.length > 0 && { excerpt: notes.join('\n') }),
    hint: nullHint(cause, seed, header) ?? (await hintFor(db, cause, { log, path: place.path })),
    cause,
  })
}

/** COPY counts the lines of a CSV file, and the rows that we send of a JSON file. */
async function rowOf(seed: RowsSeed, header: string[], number: number | undefined, line: number | undefined) {
  if (number !== undefined) return findRow(seed, header, (row) => row.number === number)
  if (line === undefined) return undefined
  return findRow(seed, header, (row) =>
    seed.format === 'csv' ? row.line <= line && line <= row.lastLine : row.number === line,
  )
}

/** The server names no line where it writes all rows at once, and only one of the two where a key is repeated. */
async function culpritOf(
  db: Sql,
  seed: RowsSeed,
  cause: ServerError,
  { log, place }: { log: Log; place: RunsAs },
): Promise<Culprit | undefined> {
  if (!cause.code.startsWith('23') || (copyLineOf(cause) !== undefined && cause.code !== '23505')) return undefined
  try {
    return await findCulprit(db, seed, cause, place)
  } catch (error) {
    log.debug({ seed: seed.name, problem: (error as Error).message }, 'the row that was refused could not be found')
    return undefined
  }
}

/** The first record with another number of values than the first line, or with a quote that is never closed. */
const findMalformed = (path: string, columns: number) =>
  findRecord(path, ({ fieldCount, quote }) => fieldCount !== columns || quote?.open === true)

function wrongRecord(file: string, columns: number, record: CsvRecord, cause: ServerError): AppError {
  const { line, lastLine, fieldCount, fields, quote, stray } = record
  const fail = (problem: string, options: ErrorOptions) =>
    new AppError('seed', `${file}, line ${options.line}: ${problem}`, { file, sqlstate: cause.code, cause, ...options })
  const opening = stray ?? quote
  const place = opening && { line: opening.line, column: opening.column }
  if (place && quote?.open)
    return fail(`the quote at column ${place.column} is never closed`, { ...place, hint: quotesHint })
  if (place && lastLine > line)
    return fail(`the quote at column ${place.column} ${swallows(lastLine)}`, {
      ...place,
      hint: quotesHint,
    })
  return fail(`${counted(fieldCount, 'value')}, but the first line names ${counted(columns, 'column')}`, {
    line,
    ...(fields[columns] && { column: fields[columns].column, line: fields[columns].line }),
    hint: 'every line needs as many values as the first one; put values with commas or line breaks in double quotes',
  })
}

/** The column that the server names: in a field of its own, or at the end of CONTEXT, `COPY users, line 3, column id: "x"`, in any language. */
function columnOf({ where, column_name: name }: ServerError, header: string[]): string | undefined {
  if (name !== undefined && header.includes(name)) return name
  const [, said = ''] = /^.*?(?:COPY|복사)[^,、\n]*[,、]\D*\d+[^,、\n]*[,、](.*)/m.exec(where ?? '') ?? []
  return header
    .filter((column) => said.includes(` ${column}:`))
    .sort((a, b) => b.length - a.length)
    .at(0)
}

function nullHint(
  { code, column_name: column = '' }: ServerError,
  { format }: RowsSeed,
  header: string[],
): string | undefined {
  if (code !== '23502' || column === '') return undefined
  if (!header.includes(column)) return `the file has no column ${column}: add it, or give it a default`
  return format === 'csv'
    ? `an empty field is NULL: write a value, or "" for the empty text`
    : 'null is NULL, and so is a column without a default that the row lacks: write a value'
}
