import { isUtf8 } from 'node:buffer'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { isInteger } from '../convert.ts'
import type { TableFacts } from '../findings.ts'
import type { TablePlan } from '../mapping.ts'
import type { Value } from '../values.ts'
import type { ColumnSql } from './column-sql.ts'
import { withSqlite } from './scratch.ts'
import { addFacts, factsOf, factsSql, noTotals, readFacts } from './statistics.ts'

/** What a table is read with. */
export type Reading = {
  db: DatabaseSync
  /** Of the file. */
  name: string
  sizeBytes: number
  table: TablePlan
  sql: ColumnSql[]
  /** Whether the file stores text as UTF-8. */
  utf8: boolean
  /** Called after each part, with how many rows were read; throws when the run must not go on. */
  onRows(rows: number): void
}

const [partBytes, mostBytes, mostRows] = [32 * 1024, 8 * 1024 * 1024, 1000]

/** Thrown for a value that its type cannot hold: only then is it worth the time to find out which. */
export const misfit = new Error('a value cannot be converted')

/**
 * The rows of a table in COPY's text format, in the order of their numbers. SQLite itself writes a thousand rows into one text, which
 * goes to the server as it is: that is several times faster than making objects of them here. What is compared afterwards is added up in
 * the same reading.
 *
 * @param onFacts called once, at the end
 * @throws {AppError} `seed` for text that is not valid UTF-8 or contains NUL, with the place; {@link misfit}
 */
export async function* readRows(
  reading: Reading,
  onFacts: (facts: TableFacts) => void,
): AsyncGenerator<Uint8Array | string> {
  const { db, name, table, sql, onRows } = reading
  const { rowid } = table.source
  if (rowid !== undefined && sql.length <= mostColumns) yield* byNumber(reading, rowid, onFacts)
  else {
    onFacts(await readFacts(db, name, table, sql, () => onRows(0)))
    yield* oneByOne(reading)
  }
}

/** A result has at most 2000 columns, and each needs several. */
const mostColumns = 300

/** SQL for a row: a line with its line break; NULL where a field is. As a tree, because SQL may only be so deep. */
export const lineSql = (fields: readonly string[]): string =>
  fields.length === 0 ? 'char(10)' : `${joined(fields)} || char(10)`

function joined(fields: readonly string[]): string {
  if (fields.length < 8) return fields.map((field) => `(${field})`).join(' || char(1) || ')
  const half = fields.length >> 1
  return `(${joined(fields.slice(0, half))}) || char(1) || (${joined(fields.slice(half))})`
}

/** So many rows at once that a part has about 32 KiB, and never more than a few megabytes above its largest row. */
function rowsAtOnce({ db, name, sizeBytes, table, sql }: Reading): number {
  const long = sql.filter((_, i) => !isInteger(table.columns[i]!.conversion.type.kind))
  if (sizeBytes < mostBytes || long.length === 0) return mostRows
  const lengths = long.map(({ column }) => `coalesce(octet_length(${column}), 0)`)
  const query = `select max(${lengths.join(' + ')}) as largest from ${quoteIdent(table.source.name)}`
  const { largest } = withSqlite(name, () => db.prepare(query).get()) as { largest: number | null }
  return Math.max(1, Math.min(mostRows, Math.floor(mostBytes / Math.max(1, 2 * (largest ?? 0)))))
}

async function* byNumber(
  reading: Reading,
  rowid: string,
  onFacts: (facts: TableFacts) => void,
): AsyncGenerator<Uint8Array | string> {
  const { name, table, onRows } = reading
  const query = partQuery(reading, rowid, false)
  let plain = reading.utf8 && mayBePlain(reading) ? partQuery(reading, rowid, true) : undefined
  let misses = 0
  const totals = table.columns.map(noTotals)
  let rows = 0n
  let next = -(2n ** 63n)
  const most = rowsAtOnce(reading)
  let limit = Math.min(100, most)
  while (next < 2n ** 63n) {
    const quick = plain && (withSqlite(name, () => plain!.get(next, limit)) as Part)
    const part = quick && isPlain(quick) ? quick : (withSqlite(name, () => query.get(next, limit)) as Part)
    // Where most parts need escapes, reading them twice takes longer.
    misses += quick && part !== quick ? 1 : -1
    if (misses > 10) plain = undefined
    if (part.rows === 0n) break
    if (part.lines !== part.rows) throw misfit
    if (!isSendable(part.part!)) throw unsendable(reading, rowid, next, part.last!)
    for (const [i, column] of table.columns.entries()) addFacts(totals[i]!, column, part as Record<string, Value>, i)
    rows += part.rows
    yield part.part!
    onRows(Number(part.rows))
    next = part.last! + 1n
    limit = Math.max(1, Math.min(most, Math.ceil((limit * partBytes) / Math.max(1, part.part!.length))))
    // Signals and the session that holds the locks are looked at in between.
    await setImmediate()
  }
  onFacts({ rows, columns: totals.map(factsOf) })
}

/** Bytes always have a backslash in them. */
const mayBePlain = ({ table, sql }: Reading) =>
  sql.some(({ special }) => special !== undefined) &&
  table.columns.every(({ conversion }) => conversion.type.kind !== 'bytea')

/** Whether nothing in the part needed an escape: the line breaks are those between the rows. */
function isPlain({ part, rows, special }: Part): boolean {
  if (special === 1n) return false
  if (!(part instanceof Uint8Array) || rows === 0n) return true
  if (part.includes(backslash) || part.includes(carriageReturn)) return false
  let lines = 0n
  for (let at = part.indexOf(lineFeed); at >= 0; at = part.indexOf(lineFeed, at + 1)) lines++
  return lines === rows
}

const [backslash, carriageReturn, lineFeed] = [0x5c, 0x0d, 0x0a]

/** @param plain without escapes, which saves a third of the time */
function partQuery({ db, name, table, sql, utf8 }: Reading, rowid: string, plain: boolean): StatementSync {
  const lines = `group_concat(pgbosun_line, '')`
  const facts = table.columns.flatMap((column, i) => factsSql(column, sql[i]!.column, i))
  const special = plain ? sql.flatMap((one) => one.special ?? []) : []
  const wanted = [
    `${utf8 ? `cast(${lines} as blob)` : lines} as part`,
    'max(pgbosun_number) as last',
    'count(*) as rows',
    'count(pgbosun_line) as lines',
    ...(special.length > 0 ? [`max(${special.join(' or ')}) as special`] : []),
    ...facts,
  ]
  const row = [
    `${rowid} as pgbosun_number`,
    `${lineSql(sql.map((one) => (plain ? one.plain : one.field)))} as pgbosun_line`,
  ]
  return withSqlite(name, () => {
    const query = db.prepare(
      `select ${wanted.join(', ')}
         from (select ${[...row, ...sql.map(({ column }) => column)].join(', ')} from ${quoteIdent(table.source.name)}
                where ${rowid} >= ? order by ${rowid} limit ?)`,
    )
    query.setReadBigInts(true)
    return query
  })
}

type Part = {
  part: Uint8Array | string | null
  last: bigint | null
  rows: bigint
  lines: bigint
  special?: bigint | null
}

/** WITHOUT ROWID: there is no number to go on from. */
async function* oneByOne(reading: Reading): AsyncGenerator<Uint8Array | string> {
  const { db, name, table, sql, utf8, onRows } = reading
  const line = lineSql(sql.map(({ field }) => field))
  const query = withSqlite(name, () =>
    db.prepare(`select ${utf8 ? `cast(${line} as blob)` : line} as line from ${quoteIdent(table.source.name)}`),
  )
  let held: Uint8Array[] = []
  let bytes = 0
  for (const { line: row } of query.iterate() as unknown as Iterable<{ line: Uint8Array | string | null }>) {
    if (row === null) throw misfit
    const chunk = typeof row === 'string' ? Buffer.from(row) : row
    if (!isSendable(chunk))
      throw new AppError(
        'seed',
        `${name}: a text in the table ${table.source.name} contains a NUL, or is not valid UTF-8`,
        {
          hint: textHint,
        },
      )
    held.push(chunk)
    bytes += chunk.length
    if (bytes < partBytes && held.length < mostRows) continue
    yield Buffer.concat(held)
    onRows(held.length)
    held = []
    bytes = 0
    await setImmediate()
  }
  if (held.length > 0) yield Buffer.concat(held)
  onRows(held.length)
}

/** PostgreSQL stores no NUL in text, and nothing but valid characters. */
const isSendable = (text: Uint8Array | string) =>
  typeof text === 'string' ? !text.includes('\0') : !text.includes(0) && isUtf8(text)

const isValid = (text: Uint8Array | string) => typeof text === 'string' || isUtf8(text)

const textHint = "correct it in the file, such as with `update T set C = replace(C, char(0), '')`; or exclude the table"

/** Looks for the row and the column among those of a part. */
function unsendable({ db, name, table, sql, utf8 }: Reading, rowid: string, first: bigint, last: bigint): AppError {
  const fields = sql.map(({ field }, i) => `${utf8 ? `cast(${field} as blob)` : field} as f${i}`)
  const query: StatementSync = db.prepare(
    `select cast(${rowid} as text) as number, ${fields.join(', ')} from ${quoteIdent(table.source.name)}
      where ${rowid} >= ? and ${rowid} <= ? order by ${rowid}`,
  )
  for (const row of query.iterate(first, last) as unknown as Iterable<Record<string, Uint8Array | string>>) {
    const at = sql.findIndex((_, i) => !isSendable(row[`f${i}`]!))
    if (at < 0) continue
    const column = `${table.source.name}.${table.columns[at]!.from.name}`
    return new AppError(
      'seed',
      `${name}: ${column} ${isValid(row[`f${at}`]!) ? 'contains a NUL' : 'is not valid UTF-8'} in the row with rowid ${row.number}`,
      {
        hint: textHint,
      },
    )
  }
  return new AppError(
    'seed',
    `${name}: a text in the table ${table.source.name} contains a NUL, or is not valid UTF-8`,
    {
      hint: textHint,
    },
  )
}
