import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { quoteIdent } from '../sql/quote.ts'
import { findRow } from './file.ts'
import type { SeedTable } from './match.ts'
import { list, sameKey, stage } from './row-sql.ts'
import { renderCondition } from './scope.ts'
import type { RowsSeed } from './types.ts'

/** @param table as SQL: the temporary table, or the table itself */
export async function refuseNullKey(tx: Db, seed: RowsSeed, target: SeedTable, table: string): Promise<void> {
  const { key, keyNotNull, header } = target
  if (key.length === 0 || (keyNotNull && table === target.table)) return
  const isNull = key.map((column) => `${quoteIdent(column)} is null`).join(' or ')
  const [found] = await tx.unsafe(`select from ${table} where ${isNull} limit 1`)
  if (!found) return
  const row = await findRow(seed, header, ({ field }) => key.some((column) => field(column)?.value === undefined))
  throw nullKey(seed, key, row?.line)
}

/** Refuses rows of the temporary table without a key, or with that of another one, in one reading. */
export async function refuseKeys(tx: Db, seed: RowsSeed, target: SeedTable): Promise<void> {
  const { key } = target
  if (key.length === 0) return
  const isNull = key.map((column) => `${quoteIdent(column)} is null`).join(' or ')
  // Sorting is several times faster than grouping here.
  const [sum] = await tx.unsafe<{ empty: boolean; repeated: boolean }[]>(
    `select pg_catalog.count(*) filter (where ${isNull}) > 0 as empty,
            pg_catalog.count(*) <> pg_catalog.count(distinct ${key.length === 1 ? list(key) : `(${list(key)})`}) as repeated from ${stage}`,
  )
  if (sum?.empty) await refuseNullKey(tx, seed, target, stage)
  if (!sum?.repeated) return
  const repeated = await findRepeated(tx, key.map(quoteIdent))
  throw await repeatedKey(seed, key.join(', '), repeated)
}

/**
 * Refuses rows of the file whose row in the table is not in the scope: before they are written, it belongs to somebody else, who would
 * lose it; afterwards, it would never be deleted.
 */
export async function refuseOutOfScope(
  tx: Db,
  seed: RowsSeed,
  { table, key, header, scope }: SeedTable,
  isWritten: boolean,
): Promise<void> {
  if (!scope) return
  const [row] = await tx.unsafe<{ number: number }[]>(`
    select s.number::float8 as number
      from (select pg_catalog.row_number() over (order by ctid) as number, ${list(key)} from ${stage}) s
      join ${table} r on ${sameKey(key)}
     where ${renderCondition(scope, 'r')} is not true order by s.number limit 1`)
  if (!row) return
  const line = (await findRow(seed, header, ({ number }) => number === row.number))?.line
  if (isWritten) throw badRow(seed, line, `the row is not in the scope: ${seed.scope}`, 'correct the row, or `scope`')
  throw badRow(
    seed,
    line,
    `the row with its key is not in the scope: ${seed.scope}`,
    'give the row another key, or widen `scope`',
  )
}

/** A row whose values are those of an earlier one. */
export type Repeated = { number: number; earlier: number; values: string }

/**
 * The first row of the temporary table whose values were in an earlier one; its rows are in the order of the file.
 * @param values as SQL
 */
export async function findRepeated(tx: Db, values: string[], where = 'true'): Promise<Repeated | undefined> {
  const names = values.map((_, i) => `k${i}`).join(', ')
  const [row] = await tx.unsafe<Repeated[]>(`
    select number::float8 as number, earlier::float8 as earlier, pg_catalog.concat_ws(', ', ${names}) as values
      from (select *, pg_catalog.lag(number) over (partition by ${names} order by number) as earlier
              from (select pg_catalog.row_number() over (order by ctid) as number, ${where} as counts, ${values.map((value, i) => `${value} as k${i}`).join(', ')}
                      from ${stage}) numbered
             where counts and (${values.map((_, i) => `k${i} is not null`).join(' and ')})) repeated
     where earlier is not null order by number limit 1`)
  return row
}

/** The error for a key that is in the file twice, with both lines. @param columns for people */
export async function repeatedKey(seed: RowsSeed, columns: string, row: Repeated | undefined): Promise<AppError> {
  const lineOf = async (wanted: number | undefined) =>
    (await findRow(seed, [], ({ number }) => number === wanted))?.line
  return keyTwice(seed, columns, row?.values, await lineOf(row?.number), await lineOf(row?.earlier))
}

export const keyTwice = (
  seed: RowsSeed,
  columns: string,
  values: string | undefined,
  line: number | undefined,
  earlier: number | undefined,
) =>
  badRow(
    seed,
    line,
    `the key (${columns}) = (${values}) appears for the second time, after line ${earlier}`,
    'remove one of the rows',
  )

export const nullKey = (seed: RowsSeed, key: string[], line: number | undefined) =>
  badRow(
    seed,
    line,
    `the key (${key.join(', ')}) is empty`,
    seed.format === 'csv' ? 'give every row a key; write "" for an empty text' : 'give every row a key',
  )

function badRow({ name: file }: RowsSeed, line: number | undefined, problem: string, hint: string) {
  return new AppError('seed', `${file}${line === undefined ? '' : `, line ${line}`}: ${problem}`, {
    file,
    ...(line !== undefined && { line }),
    hint,
  })
}
