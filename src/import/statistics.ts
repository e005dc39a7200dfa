import type { DatabaseSync } from 'node:sqlite'
import { quoteIdent } from '../sql/quote.ts'
import {
  type ColumnSql,
  type Conversion,
  columnSql,
  convertValue,
  escaped,
  isInteger,
  textFunction,
} from './convert.ts'
import { addDecimal, type Decimals, noDecimals, renderDecimals } from './decimals.ts'
import type { ColumnFacts, TableFacts } from './findings.ts'
import type { ColumnPlan, ImportPlan, TablePlan } from './plan.ts'
import { countShapes, mayBeMore, noShapes, type Shapes } from './propose.ts'
import { withSqlite } from './scratch.ts'
import { decimalText, type Value } from './values.ts'

/** Gives SQL of SQLite the functions that the statements of {@link columnSql} call. */
export function prepareSql(db: DatabaseSync, { tables }: ImportPlan): ColumnSql[][] {
  const conversions: Conversion[] = []
  const sql = tables.map(({ columns }) =>
    columns.map(({ conversion, from }) => columnSql(conversion, from.name, conversions.push(conversion) - 1)),
  )
  db.function(textFunction, { deterministic: true, useBigIntArguments: true }, (value, id) => {
    const text = convertValue(conversions[Number(id)]!, value as Value)
    return text === undefined ? null : escaped(text)
  })
  db.aggregate(decimalFunction, {
    start: noDecimals,
    useBigIntArguments: true,
    step(sums: Decimals, value: Value) {
      const text = decimalText(value)
      return text === undefined ? sums : addDecimal(sums, text)
    },
    result: renderDecimals,
  } as unknown as Parameters<DatabaseSync['aggregate']>[1])
  return sql
}

const decimalFunction = 'pgbosun_decimals'

/** A result has at most 2000 columns. */
const columnsAtOnce = 60

/** Reads a table once: how many values there are, which do not fit, and what is compared after loading. */
export function readFacts(db: DatabaseSync, name: string, table: TablePlan, sql: ColumnSql[]): TableFacts {
  return withSqlite(name, () => {
    const columns: ColumnFacts[] = []
    let rows: bigint | undefined
    for (let at = 0; at === 0 || at < sql.length; at += columnsAtOnce) {
      const some = table.columns.slice(at, at + columnsAtOnce)
      const wanted = some.map((column, i) => factsSql(column, sql[at + i]!, i))
      const query = db.prepare(
        `select ${['count(*) as n', ...wanted].join(', ')} from ${quoteIdent(table.source.name)}`,
      )
      query.setReadBigInts(true)
      const row = query.get() as Record<string, Value>
      rows = row.n as bigint
      columns.push(...some.map((column, i) => factsOf(db, table, column, sql[at + i]!, row, i)))
    }
    return { rows: rows!, columns }
  })
}

function factsSql({ conversion: { type } }: ColumnPlan, { column, fits }: ColumnSql, i: number): string {
  const whole = `cast(${column} as integer)`
  return [
    `count(${column}) as v${i}`,
    `count(case when ${column} is null or ${fits} then null else 1 end) as u${i}`,
    `max(octet_length(${column})) as l${i}`,
    // In two halves: the sum of large integers is too large for SQLite.
    ...(isInteger(type.kind) ? [`sum(${whole} >> 32) as h${i}, sum(${whole} & 4294967295) as s${i}`] : []),
    ...(isInteger(type.kind) ? [`min(${whole}) as a${i}, max(${whole}) as z${i}`] : []),
    ...(type.kind === 'float8' ? [`min(${column}) as a${i}, max(${column}) as z${i}`] : []),
    ...(type.kind === 'numeric' ? [`${decimalFunction}(${column}) as d${i}`] : []),
  ].join(', ')
}

function factsOf(
  db: DatabaseSync,
  table: TablePlan,
  { conversion: { type } }: ColumnPlan,
  sql: ColumnSql,
  row: Record<string, Value>,
  i: number,
): ColumnFacts {
  const values = row[`v${i}`] as bigint
  const unfit = row[`u${i}`] as bigint
  const text = (value: Value | undefined) => (value === null || value === undefined ? undefined : String(value))
  const decimals = type.kind === 'numeric' ? (JSON.parse(String(row[`d${i}`])) as Record<string, string>) : undefined
  const high = row[`h${i}`] as bigint | null | undefined
  const sum = typeof high === 'bigint' ? String((high << 32n) + (row[`s${i}`] as bigint)) : decimals?.sum
  return {
    values,
    unfit,
    first: unfit > 0n ? firstUnfit(db, table, sql) : undefined,
    largest: Number(row[`l${i}`] ?? 0n),
    sum,
    least: decimals?.least ?? text(row[`a${i}`]),
    most: decimals?.most ?? text(row[`z${i}`]),
  }
}

function firstUnfit(db: DatabaseSync, { source }: TablePlan, { column, fits }: ColumnSql): ColumnFacts['first'] {
  const row = source.rowid === undefined ? 'null' : `cast(${source.rowid} as text)`
  const [found] = db
    .prepare(
      `select typeof(${column}) as storage, ${row} as row from ${quoteIdent(source.name)} where ${column} is not null and not (${fits}) limit 1`,
    )
    .all() as { storage: string; row: string | null }[]
  return found && { storage: found.storage, row: found.row ?? undefined }
}

/** The shapes of the values in columns that might have a better type. */
export function readShapes(db: DatabaseSync, name: string, plan: ImportPlan): Map<ColumnPlan, Shapes> {
  const found = new Map<ColumnPlan, Shapes>()
  for (const table of plan.tables) {
    const { source, columns } = table
    const some = columns.filter((column) => mayBeMore(table, column))
    if (some.length === 0) continue
    withSqlite(name, () => {
      const query = db.prepare(
        `select ${some.map(({ from }) => quoteIdent(from.name)).join(', ')} from ${quoteIdent(source.name)}`,
      )
      query.setReadBigInts(true)
      query.setReturnArrays(true)
      const shapes = some.map(noShapes)
      for (const row of query.iterate() as unknown as Iterable<Value[]>)
        for (const [i, value] of row.entries()) countShapes(shapes[i]!, value)
      for (const [i, column] of some.entries()) found.set(column, shapes[i]!)
    })
  }
  return found
}
