import type { Db } from '../postgres/db.ts'
import { copyRows, leastColumn, linesIn, planningRunsCode } from '../postgres/dumped.ts'
import { type Sample, type Sampling, sampleQuery, sampleSettings, samplingField } from '../postgres/sample.ts'
import { copyInSavepoint, inSavepoint } from './savepoint.ts'

/** Rows per table, and the tables that could not be counted, with the reason. */
export type Counted = {
  rows: Record<string, number>
  samples: Record<string, Sample>
  notCounted: { table: string; reason: string }[]
}

type Table = {
  /** Quoted. */
  name: string
  /** Whether it must be counted without running a query on it. */
  unplanned: boolean
  /** The column with the least data to read; null if the table has no stored column. */
  column: string | null
  /** Null: no sample is taken of it. */
  sampling: Sampling | null
  /** Whether a sample in another order than that of the primary key's index takes little. */
  small: boolean
}

/** The tables whose rows pg_dump writes: not those of extensions, and only the partitions of partitioned tables. */
const tablesQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', t, 'unplanned', unplanned, 'column', "column", 'sampling', sampling, 'small', small) order by t), '[]') as tables
    from (select pg_catalog.format('%I.%I', n.nspname, c.relname) as t, c.oid in (${planningRunsCode}) as unplanned,
                 ${leastColumn} as "column", ${samplingField} as sampling, pg_catalog.pg_relation_size(c.oid) < 16777216 as small
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
  const counted: Counted = { rows: {}, samples: {}, notCounted: [] }
  for (const table of found!.tables) {
    signal.throwIfAborted()
    const result = await countTable(db, table)
    if (typeof result === 'number') counted.rows[table.name] = result
    else counted.notCounted.push({ table: table.name, reason: result })
  }
  counted.samples = await sampleTables(db, found!.tables, signal)
  const [rewritten] = await db.unsafe<{ tables: string[] }[]>(rewrittenQuery)
  for (const table of rewritten!.tables) {
    if (!(table in counted.rows)) continue
    delete counted.rows[table]
    delete counted.samples[table]
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

/** Together. The time it takes must not matter beside that of the dump. */
const samplingMs = 60_000

/** A test restore compares these. A table that cannot be sampled, or not fast, is left out: its rows are counted. */
async function sampleTables(db: Db, tables: Table[], signal: AbortSignal): Promise<Record<string, Sample>> {
  const samples: Record<string, Sample> = {}
  const until = performance.now() + samplingMs
  await db.unsafe(`${sampleSettings}; set statement_timeout to '10s'`)
  for (const { name, unplanned, sampling, small } of tables) {
    signal.throwIfAborted()
    if (performance.now() > until) break
    if (!sampling || unplanned || (!small && sampling.key.some(({ text }) => text))) continue
    const found = await inSavepoint<Sample>(db, sampleQuery(name, sampling))
    if (!(found instanceof Error)) samples[name] = { rows: found[0]!.rows, md5: found[0]!.md5 }
  }
  await db.unsafe('set statement_timeout to 0')
  return samples
}
