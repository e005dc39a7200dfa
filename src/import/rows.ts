import { isUtf8 } from 'node:buffer'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import type { ColumnSql } from './convert.ts'
import type { TableFacts } from './findings.ts'
import type { TablePlan } from './plan.ts'
import { withSqlite } from './scratch.ts'

/** What a table is read with. */
export type Reading = {
  db: DatabaseSync
  /** Of the file. */
  name: string
  table: TablePlan
  sql: ColumnSql[]
  facts: TableFacts
  /** Whether the file stores text as UTF-8. */
  utf8: boolean
  /** Called after each part, with how many rows were read; throws when the run must not go on. */
  onRows(rows: number): void
}

const [partBytes, mostBytes, mostRows] = [256 * 1024, 8 * 1024 * 1024, 4000]

/**
 * The rows of a table in COPY's text format, in the order of their numbers. SQLite itself writes a few thousand rows into one text, which
 * goes to the server as it is: that is several times faster than making objects of them here.
 *
 * @throws {AppError} `seed` for text that is not valid UTF-8, with the place
 */
export async function* readRows(reading: Reading): AsyncGenerator<Uint8Array | string> {
  const { table, facts } = reading
  if (facts.rows === 0n) return
  yield* table.source.rowid === undefined ? oneByOne(reading) : byNumber(reading, table.source.rowid)
}

/** SQL for a row: a line with its line break. At most 100 arguments, because a function may have few. */
export function lineSql(fields: readonly string[]): string {
  if (fields.length === 0) return 'char(10)'
  const groups: string[] = []
  for (let at = 0; at < fields.length; at += 100)
    groups.push(`concat_ws(char(9), ${fields.slice(at, at + 100).join(', ')})`)
  const line = groups.length === 1 ? groups[0] : `concat_ws(char(9), ${groups.join(', ')})`
  return `${line} || char(10)`
}

/** So many rows at once that a part has about 256 KiB, and never more than a few megabytes above its largest row. */
function rowsAtOnce({ facts }: Reading): number {
  const largest = facts.columns.reduce((sum, { largest: bytes }) => sum + bytes * 2, 1)
  const few = Math.floor(mostBytes / largest)
  return Math.max(1, Math.min(mostRows, few))
}

async function* byNumber(reading: Reading, rowid: string): AsyncGenerator<Uint8Array | string> {
  const { db, name, table, sql, utf8, onRows } = reading
  const lines = `group_concat(line, '')`
  const from = quoteIdent(table.source.name)
  const query = withSqlite(name, () => {
    const prepared = db.prepare(
      `select ${utf8 ? `cast(${lines} as blob)` : lines} as part, max(number) as last, count(*) as rows
         from (select ${rowid} as number, ${lineSql(sql.map(({ field }) => field))} as line from ${from}
                where ${rowid} >= ? order by ${rowid} limit ?)`,
    )
    prepared.setReadBigInts(true)
    return prepared
  })
  let next = -(2n ** 63n)
  const most = rowsAtOnce(reading)
  let limit = Math.min(100, most)
  while (next < 2n ** 63n) {
    const part = withSqlite(name, () => query.get(next, limit)) as Part
    if (part.rows === 0n) return
    if (part.part instanceof Uint8Array && !isUtf8(part.part)) throw notUtf8(reading, rowid, next, part.last!)
    yield part.part!
    onRows(Number(part.rows))
    next = part.last! + 1n
    limit = Math.max(1, Math.min(most, Math.ceil((limit * partBytes) / Math.max(1, part.part!.length))))
    // Signals and the session that holds the locks are looked at in between.
    await setImmediate()
  }
}

type Part = { part: Uint8Array | string | null; last: bigint | null; rows: bigint }

/** WITHOUT ROWID: there is no number to go on from. */
async function* oneByOne(reading: Reading): AsyncGenerator<Uint8Array | string> {
  const { db, name, table, sql, utf8, onRows } = reading
  const line = lineSql(sql.map(({ field }) => field))
  const query = withSqlite(name, () =>
    db.prepare(`select ${utf8 ? `cast(${line} as blob)` : line} as line from ${quoteIdent(table.source.name)}`),
  )
  let held: Uint8Array[] = []
  let bytes = 0
  for (const { line: row } of query.iterate() as unknown as Iterable<{ line: Uint8Array | string }>) {
    const chunk = typeof row === 'string' ? Buffer.from(row) : row
    if (!isUtf8(chunk))
      throw new AppError('seed', `${name}: a text in the table ${table.source.name} is not valid UTF-8`, {
        hint: utf8Hint,
      })
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

const utf8Hint = 'correct it in the file: update … set … = cast(replace(…) as text); or exclude the table'

/** Looks for the row and the column among those of a part. */
function notUtf8({ db, name, table, sql }: Reading, rowid: string, first: bigint, last: bigint): AppError {
  const fields = sql.map(({ field }, i) => `cast(${field} as blob) as f${i}`)
  const query: StatementSync = db.prepare(
    `select cast(${rowid} as text) as number, ${fields.join(', ')} from ${quoteIdent(table.source.name)}
      where ${rowid} >= ? and ${rowid} <= ? order by ${rowid}`,
  )
  for (const row of query.iterate(first, last) as unknown as Iterable<Record<string, Uint8Array>>) {
    const at = sql.findIndex((_, i) => !isUtf8(row[`f${i}`]!))
    if (at < 0) continue
    const column = `${table.source.name}.${table.columns[at]!.from.name}`
    return new AppError('seed', `${name}: ${column} is not valid UTF-8 in the row with rowid ${row.number}`, {
      hint: utf8Hint,
    })
  }
  return new AppError('seed', `${name}: a text in the table ${table.source.name} is not valid UTF-8`, {
    hint: utf8Hint,
  })
}
