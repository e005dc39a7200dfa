// pure
import { quoteIdent } from '../sql/quote.ts'
import { bytesOf } from './bytes.ts'
import { leastColumn, planningRunsCode } from './dumped.ts'

/** How many rows a table has, and the sum of their hashes, in whatever order they are. `hash` is null where only the number is known. */
export type RowsHash = { rows: number; hash: string | null }

/** A table whose rows are compared. `unplanned`: it must be counted without a query, see `planningRunsCode`. */
export type HashedTable = {
  schema: string
  name: string
  unplanned: boolean
  columns: string[]
  /** The column with the least data to read. */
  column: string | null
  /** About how many rows, by the statistics of the server: -1 if there are none. */
  tuples: number
  sizeBytes: number
}

/** The tables whose rows pg_dump writes, by name: not those of extensions, and only the partitions of partitioned tables. The row `tables` is JSON, as `parseBytes` reads it. */
export const hashedTablesQuery = `
  select ${bytesOf(`coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', schema, 'name', name, 'unplanned', unplanned, 'columns', columns,
           'column', "column", 'tuples', tuples, 'sizeBytes', size) order by schema, name), '[]')`)} as tables
    from (select n.nspname as schema, c.relname as name, c.oid in (${planningRunsCode}) as unplanned, ${leastColumn} as "column",
                 c.reltuples::bigint as tuples, coalesce(pg_catalog.pg_table_size(c.oid), 0) as size,
                 array(select a.attname from pg_catalog.pg_attribute a
                        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attname) as columns
            from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             and not exists (select from pg_catalog.pg_depend e
                  where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')) x`

/**
 * Reads the {@link RowsHash} of a table. It runs no code of the application: rows become text by the functions of their types, never by a
 * cast, and generated columns are left out. Needs `sampleSettings`.
 *
 * @param table quoted
 */
export const rowsHashQuery = (table: string, columns: readonly string[]) =>
  `select pg_catalog.count(*) as rows, coalesce(pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.textin(pg_catalog.record_out(row(${columns
    .map((name) => `t.${quoteIdent(name)}`)
    .join(', ')}))) collate pg_catalog."C", 0)), 0)::text as hash from only ${table} t`

/** Two servers whose answers differ hash texts differently: processors of another byte order do. */
export const hashProbe = `select pg_catalog.hashtextextended('pgbosun, a text of some length' collate pg_catalog."C", 0)::text as probe`

/** The last value of every sequence that pg_dump writes, null before its first. The row `sequences` is JSON, as `parseBytes` reads it. */
export const sequencesQuery = `
  select ${bytesOf(`coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname, 'cycles', s.seqcycle,
           'last', pg_catalog.pg_sequence_last_value(c.oid)::text) order by n.nspname, c.relname), '[]')`)} as sequences
    from pg_catalog.pg_sequence s join pg_catalog.pg_class c on c.oid = s.seqrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not exists (select from pg_catalog.pg_depend e
          where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')`

export type SequenceValue = { schema: string; name: string; cycles: boolean; last: string | null }
