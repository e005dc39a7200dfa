// pure
import { quoteIdent, quoteName } from '../sql/quote.ts'
import { counted } from '../units.ts'
import { type Conversion, convertValue, isInteger } from './convert.ts'
import type { TableFacts } from './findings.ts'
import type { ColumnPlan, TablePlan } from './mapping.ts'
import type { Value } from './values.ts'

/** Of larger tables, about so many rows are compared one by one. */
export const sampleRows = 100_000n

/** Which rows are compared: those whose number in the column is divisible; undefined: all. */
export type Sample = { column: number; divisor: bigint } | undefined

/** A column of numbers without fraction chooses the rows, the primary key if it is one; where there is none, all are compared. */
export function sampleOf({ columns }: TablePlan, { rows }: TableFacts): Sample {
  if (rows <= sampleRows) return undefined
  const whole = columns.flatMap(({ conversion, from }, i) =>
    isInteger(conversion.type.kind) ? [{ i, key: from.key > 0 ? from.key : Number.MAX_SAFE_INTEGER }] : [],
  )
  const [best] = whole.sort((a, b) => a.key - b.key)
  return best && { column: best.i, divisor: (rows + sampleRows - 1n) / sampleRows }
}

const double = Buffer.alloc(8)

/** What NULL is spelled as: Escape. */
const nullMark = '\u001b'

/** A value as both sides spell it for comparing; undefined for types that the server spells its own way, such as jsonb. */
export function spelled(conversion: Conversion, value: Value): string | undefined {
  const { kind } = conversion.type
  if (kind === 'jsonb' || kind === 'other') return undefined
  if (value === null) return nullMark
  const text = convertValue(conversion, value)
  if (text === undefined) return undefined
  if (kind === 'float4' || kind === 'float8') {
    double.writeDoubleBE(Number(text))
    return double.toString('hex')
  }
  if (kind === 'bytea') return text.slice('\\x'.length)
  return kind === 'bpchar' ? text.replace(/ +$/, '') : text
}

/** The same in PostgreSQL's SQL; the session's TimeZone is UTC. */
function spelledSql({ type: { kind } }: Conversion, column: string): string | undefined {
  switch (kind) {
    case 'jsonb':
    case 'other':
      return undefined
    case 'float4':
    case 'float8':
      return `pg_catalog.encode(pg_catalog.float8send(${column}::float8), 'hex')`
    case 'numeric':
      return `pg_catalog.trim_scale(${column})::text`
    case 'bytea':
      return `pg_catalog.encode(${column}, 'hex')`
    case 'date':
      return `pg_catalog.to_char(${column}, 'YYYY-MM-DD')`
    case 'time':
      return `pg_catalog.to_char(${column}::interval, 'HH24:MI:SS.US')`
    case 'timestamp':
    case 'timestamptz':
      return `pg_catalog.to_char(${column}, 'YYYY-MM-DD HH24:MI:SS.US')`
    default:
      return `${column}::text`
  }
}

/** What the server says of a table, by the names of {@link compareSql}. */
export type Loaded = Record<string, string | null>

/** A query has at most 1664 results, and each column needs several. */
const columnsAtOnce = 300

/**
 * Queries for what is compared with {@link TableFacts}, and, in the first, for the hash of the rows in the sample. One reads the table once;
 * more are needed only for very many columns.
 */
export function compareSql(schema: string, table: TablePlan, sample: Sample): string[] {
  const wanted = table.columns.map(factsSql)
  const queries: string[] = []
  for (let at = 0; at === 0 || at < wanted.length; at += columnsAtOnce) {
    const also = at === 0 ? ['pg_catalog.count(*)::text as n', hashSql(table, sample)] : []
    const results = [...also, ...wanted.slice(at, at + columnsAtOnce).flat()]
    queries.push(`select ${results.join(', ')} from ${quoteName(schema, table.to)} t`)
  }
  return queries
}

function factsSql({ to: name, conversion }: ColumnPlan, i: number): string[] {
  const column = `t.${quoteIdent(name)}`
  const { kind } = conversion.type
  const number = isInteger(kind) || kind === 'numeric'
  const extremes = (as: (sql: string) => string) => [
    `${as(`pg_catalog.min(${column})`)} as a${i}`,
    `${as(`pg_catalog.max(${column})`)} as z${i}`,
  ]
  return [
    `pg_catalog.count(${column})::text as v${i}`,
    ...(number ? [`pg_catalog.trim_scale(pg_catalog.sum(${column})::numeric)::text as s${i}`] : []),
    ...(number ? extremes((sql) => `pg_catalog.trim_scale(${sql}::numeric)::text`) : []),
    ...(kind === 'float8' ? extremes((sql) => `${sql}::text`) : []),
  ]
}

function hashSql({ columns }: TablePlan, sample: Sample): string {
  const spelling = columns.flatMap(({ to: name, conversion }) => {
    const sql = spelledSql(conversion, `t.${quoteIdent(name)}`)
    return sql === undefined ? [] : [`coalesce(${sql}, pg_catalog.chr(27))`]
  })
  const row = spelling.length > 0 ? spelling.join(' || pg_catalog.chr(31) || ') : `''`
  const chosen =
    sample === undefined ? '' : ` filter (where t.${quoteIdent(columns[sample.column]!.to)} % ${sample.divisor} = 0)`
  const hash = `pg_catalog.sum(('x' || pg_catalog.substr(pg_catalog.md5(${row}), 1, 15))::bit(60)::bigint)${chosen}`
  return `coalesce(${hash}, 0)::text as hash`
}

/** What differs between what was read and what was loaded; empty where nothing does. */
export function differences({ source, columns }: TablePlan, facts: TableFacts, loaded: Loaded, hash: string): string[] {
  const found: string[] = []
  const compare = (what: string, read: string | undefined, now: string | null | undefined) => {
    if ((read ?? null) !== (now ?? null))
      found.push(`${what} ${read ?? 'NULL'} in the file and ${now ?? 'NULL'} in the database`)
  }
  if (String(facts.rows) !== loaded.n)
    found.push(`${source.name} has ${counted(Number(facts.rows), 'row')} in the file and ${loaded.n} in the database`)
  for (const [i, { from, conversion }] of columns.entries()) {
    const { values, sum, least, most } = facts.columns[i]!
    const name = `${source.name}.${from.name}`
    const { kind } = conversion.type
    const same =
      kind === 'float8'
        ? (text?: string | null) => (text == null ? text : String(Number(text) + 0))
        : (text?: string | null) => text
    compare(`the number of values in ${name} is`, String(values), loaded[`v${i}`])
    if (isInteger(kind) || kind === 'numeric') compare(`the sum of ${name} is`, sum, loaded[`s${i}`])
    if (isInteger(kind) || kind === 'numeric' || kind === 'float8') {
      compare(`the least ${name} is`, same(least) ?? undefined, same(loaded[`a${i}`]))
      compare(`the greatest ${name} is`, same(most) ?? undefined, same(loaded[`z${i}`]))
    }
  }
  if (found.length === 0 && loaded.hash !== hash)
    found.push(`rows of ${source.name} have other values in the database than in the file`)
  return found
}
