import { type Counts, mostCounted } from '../archive/manifest.ts'
import { bytesOf, isBroken, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { copyRows, leastColumn, linesIn, planningRunsCode } from '../postgres/dumped.ts'
import { type Sample, type Sampling, sampleQuery, sampleSettings, samplingField } from '../postgres/sample.ts'
import { copyInSavepoint, inSavepoint } from './savepoint.ts'

/** Rows per table, and the tables that could not be counted, with the reason. */
export type Counted = {
  rows: Record<string, number>
  samples: Record<string, Sample>
  /** About how many rows of those that were too large to count. */
  estimated: Record<string, number>
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
  /** Whether a sample in another order than that of the primary key's index takes little. By statistics: asking for the size takes a lock. */
  small: boolean
  /** About how many rows, by the statistics of the server: -1 if there are none. */
  tuples: number
}

/** The tables whose rows pg_dump writes: not those of extensions, and only the partitions of partitioned tables. */
const tablesQuery = `
  select ${bytesOf(`coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', t, 'unplanned', unplanned, 'column', "column",
           'tuples', tuples, 'sampling', sampling, 'small', small) order by t), '[]')`)} as tables
    from (select pg_catalog.format('%I.%I', n.nspname, c.relname) as t, c.oid in (${planningRunsCode}) as unplanned,
                 ${leastColumn} as "column", c.reltuples::bigint as tuples, ${samplingField} as sampling,
                 c.relpages < 2048 as small
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             and not exists (select from pg_catalog.pg_depend e
                  where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')) x`

/** Tables that were truncated or rewritten after the snapshot was taken: their counts may differ from what was dumped. */
const rewrittenQuery = `
  select ${bytesOf("coalesce(pg_catalog.json_agg(pg_catalog.format('%I.%I', n.nspname, c.relname)), '[]')")} as tables
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relfilenode <> pg_catalog.pg_relation_filenode(c.oid)`

/**
 * Counts the rows of every table in the snapshot of the transaction that `db` is in. Each table is locked only while it is counted, so
 * that no deadlock is possible. No failure ends the transaction, whose snapshot pg_dump may not have taken yet.
 * @param leftOut tables whose rows are not in the backup, quoted
 */
export async function countRows(
  db: Db,
  counts: Counts,
  signal: AbortSignal,
  leftOut: ReadonlySet<string> = new Set(),
): Promise<Counted> {
  const counted: Counted = { rows: {}, samples: {}, estimated: {}, notCounted: [] }
  if (counts === 'none') return counted
  const tables = (await readList<Table>(db, tablesQuery)).filter(({ name }) => !leftOut.has(name))
  for (const table of tables) {
    signal.throwIfAborted()
    if (isBroken(table.name)) {
      counted.notCounted.push({ table: shown(table.name), reason: 'its name is not valid UTF-8' })
      continue
    }
    const result = await countTable(db, table, counts)
    if (typeof result !== 'number') counted.notCounted.push({ table: table.name, reason: result })
    else if (counts === 'sampled' && result > mostCounted)
      counted.estimated[table.name] = Math.max(result, table.tuples)
    else counted.rows[table.name] = result
  }
  counted.samples = await sampleTables(db, tables, signal)
  for (const table of await readList<string>(db, rewrittenQuery)) {
    delete counted.samples[table]
    if (!(table in counted.rows)) continue
    delete counted.rows[table]
    counted.notCounted.push({ table, reason: 'it was truncated or rewritten during the backup' })
  }
  return counted
}

async function readList<T>(db: Db, query: string): Promise<T[]> {
  const found = await inSavepoint<{ tables: string }>(db, query)
  if (found instanceof Error) throw found
  return parseBytes<T[]>(found[0]!.tables)
}

/** The number of rows, or why it could not be counted. With `sampled`, only whether there are more than {@link mostCounted}. */
async function countTable(
  db: Db,
  { name, unplanned, column, tuples }: Table,
  counts: Counts,
): Promise<number | string> {
  if (unplanned && counts === 'sampled' && tuples > mostCounted) return tuples
  if (unplanned) return countLines(db, copyRows(name, column))
  const rows = counts === 'sampled' ? `(select from only ${name} limit ${mostCounted + 1}) t` : `only ${name}`
  const counted = await inSavepoint<{ count: string }>(db, `select pg_catalog.count(*) as count from ${rows}`)
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
    if (!sampling || unplanned || isBroken(name) || (!small && sampling.key.some(({ text }) => text))) continue
    const found = await inSavepoint<Sample>(db, sampleQuery(name, sampling))
    if (!(found instanceof Error)) samples[name] = { rows: found[0]!.rows, md5: found[0]!.md5 }
  }
  await db.unsafe('set statement_timeout to 0')
  return samples
}
