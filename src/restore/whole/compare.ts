import type { Expected } from '../../archive/live.ts'
import { AppError } from '../../errors.ts'
import { parseBytes } from '../../postgres/bytes.ts'
import type { Db, Sql } from '../../postgres/db.ts'
import {
  type HashedTable,
  hashedTablesQuery,
  hashProbe,
  type RowsHash,
  rowsHashQuery,
  type SequenceValue,
  sequencesQuery,
} from '../../postgres/row-hashes.ts'
import { sampleSettings } from '../../postgres/sample.ts'
import { isServerError } from '../../postgres/server-error.ts'
import { rollback } from '../../postgres/transaction.ts'
import { quoteName } from '../../sql/quote.ts'
import { counted, someLines } from '../../units.ts'
import { compareRows } from '../compare.ts'
import { findDifferences } from './differences.ts'

/** What was compared: `counted`: tables of which only the number of rows was. */
export type WholeComparison = {
  tables: number
  rows: number
  sequences: number
  counted: string[]
  notCompared: { table: string; reason: string }[]
}

/**
 * Compares a loaded database with what it was made of: the number and the hashes of all rows, sequences, large objects.
 * @throws {AppError} `seed` with what differs
 */
export async function compareWhole(db: Sql, expected: Expected): Promise<WholeComparison> {
  const [probed] = await db.unsafe<{ probe: string }[]>(hashProbe)
  const comparable = probed!.probe === expected.probe
  const notCompared = [...expected.notCompared]
  const actual = new Map<string, RowsHash>()
  await db.unsafe(`${sampleSettings}; set row_security to off`)
  const present = new Map((await readTables(db)).map((table) => [quoteName(table.schema, table.name), table]))
  const onlyCounted: Record<string, number> = {}
  for (const [name, { rows, hash }] of expected.tables) {
    const table = present.get(name)
    if (hash === null || !comparable || !table || table.unplanned) {
      onlyCounted[name] = rows
      continue
    }
    const found = await hashAsPossible(db, table)
    if (typeof found === 'string') notCompared.push({ table: name, reason: found })
    else actual.set(name, found)
  }
  const inNumber = await compareRows(db, onlyCounted)
  notCompared.push(...inNumber.notCompared)
  const [large] = await db.unsafe<{ count: string }[]>(
    'select pg_catalog.count(*) as count from pg_catalog.pg_largeobject_metadata',
  )
  const [row] = await db.unsafe<{ sequences: string }[]>(sequencesQuery)
  const sequences = parseBytes<SequenceValue[]>(row!.sequences)
  const differences = findDifferences(expected, {
    ...{ tables: actual, sequences, largeObjects: Number(large!.count), counts: inNumber.differences },
  })
  if (differences.length > 0) throw differs(differences)
  const rows = [...actual.values()].reduce((sum, table) => sum + table.rows, inNumber.rows)
  return {
    ...{ tables: actual.size + inNumber.tables, rows, sequences: sequences.length },
    ...{ counted: Object.keys(onlyCounted), notCompared },
  }
}

async function readTables(db: Db): Promise<HashedTable[]> {
  const [row] = await db.unsafe<{ tables: string }[]>(hashedTablesQuery)
  return parseBytes<HashedTable[]>(row!.tables)
}

/** As the session user, otherwise as the owner of the table; the reason where neither may read it. */
async function hashAsPossible(db: Sql, table: HashedTable): Promise<RowsHash | string> {
  const name = quoteName(table.schema, table.name)
  const ask = async (): Promise<RowsHash> => {
    const [row] = await db.unsafe<{ rows: string; hash: string }[]>(rowsHashQuery(name, table.columns))
    return { rows: Number(row!.rows), hash: row!.hash }
  }
  try {
    return await ask()
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
  }
  const [row] = await db.unsafe<{ owner: string }[]>(
    `select pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) as owner from pg_catalog.pg_class c where c.oid = ${oidOf(name)}`,
  )
  await db.unsafe('begin')
  try {
    await db.unsafe(`set local role ${row!.owner}; alter table only ${name} no force row level security`)
    return await ask()
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
    return error.message
  } finally {
    await rollback(db)
  }
}

const oidOf = (name: string) => `'${name.replaceAll("'", "''")}'::regclass`

const differs = (differences: string[]) =>
  new AppError('seed', `what was loaded is not what the source has: ${counted(differences.length, 'difference')}`, {
    excerpt: someLines(
      differences.map((line) => `  ${line}`),
      20,
    ).join('\n'),
    hint: 'see in the list what differs; a trigger or a function of the database may have changed rows while they were loaded',
  })
