import type { Db } from '../db/sql.ts'
import { inSavepoint } from './savepoint.ts'

/** Rows per table, and the tables that could not be counted with the reason. */
export type Counted = { rows: Record<string, number>; notCounted: { table: string; reason: string }[] }

/** The tables whose rows pg_dump writes: not those of extensions, and of a partitioned table only the partitions. */
const tablesQuery = `
  select coalesce(pg_catalog.json_agg(t order by t), '[]') as tables
    from (select pg_catalog.format('%I.%I', n.nspname, c.relname) as t
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             and not exists (select from pg_catalog.pg_depend e
                  where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')) x`

/** Tables that were truncated or rewritten after the snapshot was taken: what is counted then need not be what was dumped. */
const rewrittenQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.format('%I.%I', n.nspname, c.relname)), '[]') as tables
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)`

/**
 * Counts the rows of every table in the snapshot of the transaction that `db` is in. Each table is locked only while it is
 * counted, so that nobody can come into a deadlock with us.
 */
export async function countRows(db: Db, signal: AbortSignal): Promise<Counted> {
  const [found] = await db.unsafe<{ tables: string[] }[]>(tablesQuery)
  const counted: Counted = { rows: {}, notCounted: [] }
  for (const table of found!.tables) {
    signal.throwIfAborted()
    const result = await countTable(db, table)
    if (typeof result === 'number') counted.rows[table] = result
    else counted.notCounted.push({ table, reason: result })
  }
  const [rewritten] = await db.unsafe<{ tables: string[] }[]>(rewrittenQuery)
  for (const table of rewritten!.tables) {
    if (!(table in counted.rows)) continue
    delete counted.rows[table]
    counted.notCounted.push({ table, reason: 'it was truncated or rewritten meanwhile' })
  }
  return counted
}

/** The number, or why there is none. @param table quoted */
async function countTable(db: Db, table: string): Promise<number | string> {
  const counted = await inSavepoint<{ count: string }>(db, `select pg_catalog.count(*) as count from only ${table}`)
  return counted instanceof Error ? counted.message : Number(counted[0]!.count)
}
