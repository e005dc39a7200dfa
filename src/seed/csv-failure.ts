import { AppError, type ErrorOptions, type Kind } from '../errors.ts'
import type { Log } from '../log.ts'
import { copyLineOf } from '../postgres/copy.ts'
import type { Sql } from '../postgres/db.ts'
import type { RunsAs } from '../postgres/search-path.ts'
import type { ServerError } from '../postgres/server-error.ts'
import { hintFor, serverNotes } from '../postgres/sqlstate.ts'
import { indented } from '../text.ts'
import { counted } from '../units.ts'
import { findRecord, readHeader } from './csv.ts'
import { type Culprit, findCulprit } from './culprit.ts'
import type { CsvRecord } from './records.ts'
import { repeatedKey } from './rows.ts'
import type { CsvSeed } from './types.ts'

/** Another session held the table for too long, or the seed is wrong. */
export const kindOf = ({ code }: ServerError): Kind => (['55P03', '40P01'].includes(code) ? 'locked' : 'seed')

/** A server's error about a CSV file, with the line and the column of the file if they can be found. */
export async function csvFailed(
  db: Sql,
  seed: CsvSeed,
  cause: ServerError,
  { log, place }: { log: Log; place: RunsAs },
): Promise<AppError> {
  const { name: file, path } = seed
  const header = await readHeader(path, file)
  const malformed = cause.code === '22P04' && (await findMalformed(path, header.length))
  if (malformed) return wrongRecord(file, header.length, malformed, cause)
  const culprit = await culpritOf(db, seed, cause, { log, place })
  if (culprit?.repeated) {
    const error = await repeatedKey(seed, culprit.repeated.columns, culprit.repeated)
    return error.with({ sqlstate: cause.code, cause })
  }
  const line = copyLineOf(cause)
  const record =
    culprit || line !== undefined
      ? await findRecord(path, (one) =>
          culprit ? one.number === culprit.number : one.line <= line! && line! <= one.lastLine,
        )
      : undefined
  const column = columnOf(cause, header)
  const field = column === undefined ? undefined : record?.fields[header.indexOf(column)]
  const notes = serverNotes(cause)
  const where = [record && `line ${field?.line ?? record.line}`, field && `column ${column}`].filter(Boolean)
  return new AppError(kindOf(cause), `${[file, ...where].join(', ')}: ${indented(cause.message)}`, {
    sqlstate: cause.code,
    file,
    ...(record && { line: record.line }),
    ...(field && { line: field.line, column: field.column }),
    ...(notes.length > 0 && { excerpt: notes.join('\n') }),
    hint: nullHint(cause, header) ?? (await hintFor(db, cause, { log, path: place.path })),
    cause,
  })
}

/** The server names no line where it writes all rows at once, and only one of the two where a key is repeated. */
async function culpritOf(
  db: Sql,
  seed: CsvSeed,
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

const quotesHint =
  'put a value with quotes, commas or line breaks in double quotes, and double the quotes in it: "5"" disk"'

function wrongRecord(file: string, columns: number, record: CsvRecord, cause: ServerError): AppError {
  const { line, lastLine, fieldCount, fields, quote, stray } = record
  const fail = (problem: string, options: ErrorOptions) =>
    new AppError('seed', `${file}, line ${options.line}: ${problem}`, { file, sqlstate: cause.code, cause, ...options })
  const opening = stray ?? quote
  const place = opening && { line: opening.line, column: opening.column }
  if (place && quote?.open)
    return fail(`the quote at column ${place.column} is never closed`, { ...place, hint: quotesHint })
  if (place && lastLine > line)
    return fail(`the quote at column ${place.column} makes one value of everything up to a quote in line ${lastLine}`, {
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

function nullHint({ code, column_name: column = '' }: ServerError, header: string[]): string | undefined {
  if (code !== '23502' || column === '') return undefined
  return header.includes(column)
    ? `an empty field is NULL: write a value, or "" for the empty text`
    : `the file has no column ${column}: add it, or give it a default`
}
