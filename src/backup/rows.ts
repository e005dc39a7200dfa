import type { Db } from '../postgres/db.ts'
import { copyRows, leastColumn, linesIn, planningRunsCode } from '../postgres/dumped.ts'
import { copyInSavepoint, inSavepoint } from './savepoint.ts'

/** Rows per table, and the tables that could not be counted, with the reason. */
export type Counted = { rows: Record<string, number>; notCounted: { table: string; reason: string }[] }

type Table = {
  /** Quoted. */
  name: string
  /** Whether it must be counted without running a query on it. */
  unplanned: boolean
  /** The column with the least data to read; null if the table has no stored column. */
  column: string | null
}

/** The tables whose rows pg_dump writes: not those of extensions, and only the partitions of partitioned tables. */
const tablesQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', t, 'unplanned', unplanned, 'column', "column") order by t), '[]') as tables
    from (select pg_catalog.format('%I.%I', n.nspname, c.relname) as t, c.oid in (${planningRunsCode}) as unplanned,
                 ${leastColumn} as "column"
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             and not exists (select from pg_catalog.pg_depend e
                  where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')) x`

/** Tables that were truncated or rewritten after the snapshot was taken: their counts may differ from what was dumped. */
const rewrittenQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.format('%I.%I', n.nspname, c.relname)), '[]') as tables
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)`

/**
 * Counts the rows of every table in the snapshot of the transaction that `db` is in. Each table is locked only while it is counted, so
 * that no deadlock is possible.
 */
export async function countRows(db: Db, signal: AbortSignal): Promise<Counted> {
  const [found] = await db.unsafe<{ tables: Table[] }[]>(tablesQuery)
  const counted: Counted = { rows: {}, notCounted: [] }
  for (const table of found!.tables) {
    signal.throwIfAborted()
    const result = await countTable(db, table)
    if (typeof result === 'number') counted.rows[table.name] = result
    else counted.notCounted.push({ table: table.name, reason: result })
  }
  const [rewritten] = await db.unsafe<{ tables: string[] }[]>(rewrittenQuery)
  for (const table of rewritten!.tables) {
    if (!(table in counted.rows)) continue
    delete counted.rows[table]
    counted.notCounted.push({ table, reason: 'it was truncated or rewritten during the backup' })
  }
  return counted
}

/** The number of rows, or why it could not be counted. */
async function countTable(db: Db, { name, unplanned, column }: Table): Promise<number | string> {
  if (unplanned) return countLines(db, copyRows(name, column))
  const counted = await inSavepoint<{ count: string }>(db, `select pg_catalog.count(*) as count from only ${name}`)
  return counted instanceof Error ? counted.message : Number(counted[0]!.count)
}

/** Counts the lines of a COPY of one column. Like the one of pg_dump, it is not planned, and writes a line for each row. */
async function countLines(db: Db, copy: string): Promise<number | string> {
  let count = 0
  const failure = await copyInSavepoint(db, copy, (chunk) => {
    count += linesIn(chunk)
  })
  return failure?.message ?? count
}
