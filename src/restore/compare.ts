import type { Db, Sql } from '../postgres/db.ts'
import { copyRows, leastColumn, linesIn, planningRunsCode } from '../postgres/dumped.ts'
import { type Sample, type Sampling, sampleQuery, sampleSettings, samplingField } from '../postgres/sample.ts'
import { isServerError, type ServerError } from '../postgres/server-error.ts'
import { rollback } from '../postgres/transaction.ts'
import { quoteName, splitName } from '../sql/quote.ts'
import type { Comparison } from './differences.ts'

/**
 * Counts the rows of a restored database and compares them with those of the backup.
 *
 * @param expected number of rows by `schema.table`, quoted where SQL requires it, as counted in the snapshot of the dump
 */
export async function compareRows(db: Sql, expected: Record<string, number>): Promise<Comparison> {
  const present = await readTables(db)
  const comparison: Comparison = { tables: 0, rows: 0, differences: [], notCompared: [] }
  // a policy must not hide rows: an error is better than a wrong count
  await db.unsafe('set row_security to off')
  for (const [table, count] of Object.entries(expected)) {
    // compare the parts, not the text: which words must be quoted depends on the version of the server
    const { schema, name } = splitName(table)
    const found = present.get(quoteName(schema, name))
    const actual = found ? await countAsPossible(db, found) : null
    if (isServerError(actual)) {
      comparison.notCompared.push({ table, reason: actual.message })
      continue
    }
    comparison.tables += 1
    comparison.rows += actual ?? 0
    if (actual !== count) comparison.differences.push({ table, expected: count, actual })
  }
  return comparison
}

/** `unplanned`: count it without a query, because planning one would run code of the application. `name` and `owner` are quoted. */
type Table = { name: string; unplanned: boolean; column: string | null; owner: string }

async function readTables(db: Db): Promise<Map<string, Table>> {
  const rows = await db.unsafe<({ schema: string; table: string } & Omit<Table, 'name'>)[]>(
    `select n.nspname as schema, c.relname as table, c.oid in (${planningRunsCode}) as unplanned, ${leastColumn} as "column",
            pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) as owner
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'`,
  )
  return new Map(
    rows.map(({ schema, table, ...rest }) => [quoteName(schema, table), { name: quoteName(schema, table), ...rest }]),
  )
}

/** The number of rows; the server's error if neither the session user nor the owner of the table may count them. */
async function countAsPossible(db: Sql, table: Table): Promise<number | ServerError> {
  try {
    return await countRows(db, table)
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
    return countAsOwner(db, table)
  }
}

/** Even an owner is subject to forced row-level security, and may lift it: here in a transaction that is rolled back. */
async function countAsOwner(db: Sql, table: Table): Promise<number | ServerError> {
  await db.unsafe('begin')
  try {
    await db.unsafe(`set local role ${table.owner}; alter table only ${table.name} no force row level security`)
    return await countRows(db, table)
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
    return error
  } finally {
    await rollback(db)
  }
}

/** Counts only the table's own rows: child tables are counted separately. */
async function countRows(db: Db, { name, unplanned, column }: Table): Promise<number> {
  if (unplanned) {
    let count = 0
    for await (const chunk of await db.unsafe(copyRows(name, column)).readable()) count += linesIn(chunk as Buffer)
    return count
  }
  const [row] = await db.unsafe<{ count: string }[]>(`select pg_catalog.count(*) as count from only ${name}`)
  return Number(row?.count)
}

/**
 * Compares the contents of the first rows of each table with those of the backup.
 *
 * @param db a session that may run the code of the application: it owns nothing but the restored database
 * @returns how many rows were compared, and the tables whose rows differ
 */
export async function compareSamples(
  db: Db,
  expected: Readonly<Record<string, Sample>>,
): Promise<{ rows: number; differing: string[] }> {
  const rows = await db.unsafe<{ schema: string; table: string; sampling: Sampling | null }[]>(
    `select n.nspname as schema, c.relname as table, ${samplingField} as sampling
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r'`,
  )
  const present = new Map(rows.map(({ schema, table, sampling }) => [quoteName(schema, table), sampling]))
  await db.unsafe(sampleSettings)
  const compared = { rows: 0, differing: [] as string[] }
  for (const [table, sample] of Object.entries(expected)) {
    const { schema, name } = splitName(table)
    const found = quoteName(schema, name)
    const sampling = present.get(found)
    const [actual] = sampling ? await db.unsafe<Sample[]>(sampleQuery(found, sampling)) : []
    if (actual?.md5 === sample.md5) compared.rows += sample.rows
    else compared.differing.push(table)
  }
  return compared
}
