import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { quoteIdent } from '../../sql/quote.ts'
import { type Conversion, convertValue, escaped, isInteger } from '../convert.ts'
import { addDecimal, type Decimals, noDecimals, renderDecimals } from '../decimals.ts'
import type { ColumnFacts, TableFacts } from '../findings.ts'
import type { ColumnPlan, TablePlan } from '../mapping.ts'
import type { ImportPlan } from '../plan.ts'
import { countShapes, mayBeMore, noShapes, type Shapes } from '../propose.ts'
import { decimalText, type Value } from '../values.ts'
import { type ColumnSql, columnSql, textFunction } from './column-sql.ts'
import { withSqlite } from './scratch.ts'

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

/** After so many rows, signals are looked at; and only then Node frees what the functions of ours were given. */
const rowsAtOnce = 20_000

/**
 * Reads a table once: how many values there are, which do not fit, and what is compared after loading.
 * @param onPart called in between; throws when the run must not go on
 */
export async function readFacts(
  db: DatabaseSync,
  name: string,
  table: TablePlan,
  sql: ColumnSql[],
  onPart: () => void,
): Promise<TableFacts> {
  const columns: ColumnFacts[] = []
  let rows = 0n
  for (let at = 0; at === 0 || at < sql.length; at += columnsAtOnce) {
    const some = table.columns.slice(at, at + columnsAtOnce)
    const totals = some.map(noTotals)
    rows = await addUp(db, name, table, some, sql.slice(at, at + columnsAtOnce), totals, onPart)
    for (const [i, total] of totals.entries()) {
      const first = total.unfit > 0n ? withSqlite(name, () => firstUnfit(db, table, sql[at + i]!)) : undefined
      columns.push({ ...factsOf(total), first })
    }
  }
  return { rows, columns }
}

/** What the sum of all parts says. */
export const factsOf = ({ values, unfit, sum, least, most }: Totals): ColumnFacts => ({
  ...{ values, unfit, first: undefined, sum: text(sum), least: text(least), most: text(most) },
})

const text = (value: unknown) => (value === undefined || value === null ? undefined : String(value))

/** @returns the number of rows */
async function addUp(
  db: DatabaseSync,
  name: string,
  { source }: TablePlan,
  columns: ColumnPlan[],
  sql: ColumnSql[],
  totals: Totals[],
  onPart: () => void,
): Promise<bigint> {
  const wanted = columns.flatMap((column, i) => [...factsSql(column, sql[i]!.column, i), unfitSql(sql[i]!, i)])
  const from = quoteIdent(source.name)
  const { rowid } = source
  const query = withSqlite(name, () =>
    db.prepare(
      rowid === undefined
        ? `select ${['count(*) as n, null as last', ...wanted].join(', ')} from ${from}`
        : `select ${['count(*) as n, max(pgbosun_number) as last', ...wanted].join(', ')}
             from (select *, ${rowid} as pgbosun_number from ${from} where ${rowid} >= ? order by ${rowid} limit ${rowsAtOnce})`,
    ),
  )
  query.setReadBigInts(true)
  let rows = 0n
  let next = -(2n ** 63n)
  while (next < 2n ** 63n) {
    const row = withSqlite(name, () => (rowid === undefined ? query.get() : query.get(next))) as Record<string, Value>
    rows += row.n as bigint
    for (const [i, total] of totals.entries()) addFacts(total, columns[i]!, row, i)
    onPart()
    if (typeof row.last !== 'bigint') break
    next = row.last + 1n
    await setImmediate()
  }
  return rows
}

/** The facts of a column, while it is read. */
export type Totals = {
  values: bigint
  unfit: bigint
  sum: bigint | string | undefined
  least: Value | undefined
  most: Value | undefined
}

export const noTotals = (): Totals => ({
  ...{ values: 0n, unfit: 0n, sum: undefined, least: undefined, most: undefined },
})

/** Adds what a query with {@link factsSql} returned. */
export function addFacts(
  total: Totals,
  { conversion: { type } }: ColumnPlan,
  row: Record<string, Value>,
  i: number,
): void {
  const values = row[`v${i}`] as bigint
  total.values += values
  total.unfit += (row[`u${i}`] ?? 0n) as bigint
  if (values === 0n) return
  if (type.kind === 'numeric') {
    const found = JSON.parse(String(row[`d${i}`])) as Partial<Record<'sum' | 'least' | 'most', string>>
    const of = (...texts: unknown[]) =>
      texts.flatMap((one) => (typeof one === 'string' ? [one] : [])).reduce(addDecimal, noDecimals())
    const rendered = (...texts: unknown[]) => JSON.parse(renderDecimals(of(...texts))) as typeof found
    total.sum = rendered(total.sum, found.sum).sum
    total.least = rendered(total.least, found.least).least
    total.most = rendered(total.most, found.most).most
    return
  }
  const high = row[`h${i}`]
  if (typeof high === 'bigint')
    total.sum = ((total.sum as bigint | undefined) ?? 0n) + (high << 32n) + (row[`s${i}`] as bigint)
  const [least, most] = [row[`a${i}`], row[`z${i}`]]
  if (least != null && (total.least == null || least < total.least)) total.least = least
  if (most != null && (total.most == null || most > total.most)) total.most = most
}

/**
 * What is added up of a column. @param column as SQL
 * @param i number of the column, in the names of the results
 */
export function factsSql({ conversion: { type, byLine } }: ColumnPlan, column: string, i: number): string[] {
  const { kind } = type
  const number = byLine ? `cast(${column} as integer)` : column
  return [
    `count(${column}) as v${i}`,
    // In two halves: the sum of large integers is too large for SQLite.
    ...(isInteger(kind) ? [`sum(${number} >> 32) as h${i}`, `sum(${number} & 4294967295) as s${i}`] : []),
    ...(isInteger(kind) || kind === 'float8' ? [`min(${number}) as a${i}`, `max(${number}) as z${i}`] : []),
    ...(kind === 'numeric' ? [`${decimalFunction}(${column}) as d${i}`] : []),
  ]
}

const unfitSql = ({ column, fits }: ColumnSql, i: number) =>
  `count(case when ${column} is null or ${fits} then null else 1 end) as u${i}`

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
  for (const { source, columns } of plan.tables) {
    const some = columns.filter(mayBeMore)
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

/** How many rows a table has. */
export function countRows({ db, name }: { db: DatabaseSync; name: string }, { source }: TablePlan): bigint {
  const query = `select count(*) as n from ${quoteIdent(source.name)}`
  return BigInt(withSqlite(name, () => db.prepare(query).get() as { n: number }).n)
}
