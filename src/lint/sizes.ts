import type { Db } from '../postgres/db.ts'
import { sizeKey, type TableSize } from './estimate.ts'
import type { Finding } from './types.ts'

/** Keys (`schema.name`) of all tables in a database, materialized views and foreign tables included. */
export async function readTables(db: Db): Promise<Set<string>> {
  const [row] = await db.unsafe<{ names: string[] }[]>(
    `select coalesce(pg_catalog.json_agg(n.nspname || '.' || c.relname order by 1), '[]') as names
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')`,
  )
  return new Set(row?.names)
}

/** The major version of the server. */
export async function readMajor(db: Db): Promise<number> {
  const [row] = await db.unsafe<{ major: number }[]>(
    "select pg_catalog.current_setting('server_version_num')::int / 10000 as major",
  )
  if (!row) throw new Error('the server did not answer')
  return row.major
}

/**
 * Sizes of the tables that findings are about; tables that do not exist are left out.
 * @param schemasOf the search path for names without a schema
 */
export async function readSizes(
  db: Db,
  findings: Finding[],
  schemasOf: () => Promise<readonly string[]>,
): Promise<Map<string, TableSize>> {
  const names = new Map(findings.flatMap(({ table }) => (table ? [[sizeKey(table), table] as const] : [])))
  if (names.size === 0) return new Map()
  const schemas = [...names.values()].some(({ schema }) => schema == null) ? await schemasOf() : []
  const wanted = JSON.stringify([...names].map(([key, { schema, name }]) => ({ key, schema: schema ?? null, name })))
  const [row] = await db.unsafe<{ sizes: ({ key: string; rows: number } & Omit<TableSize, 'rows'>)[] }[]>(sizesQuery, [
    wanted,
    JSON.stringify(schemas),
  ])
  return new Map(
    (row?.sizes ?? []).map(({ key, rows, ...bytes }) => [key, { ...bytes, rows: rows < 0 ? undefined : rows }]),
  )
}

/** reltuples is -1 (0 before PostgreSQL 14) for a table that was never analysed. */
const sizesQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('key', key, 'totalBytes', total, 'heapBytes', heap, 'rows', rows) order by key), '[]') as sizes
    from (
      select w.key, pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)) as total, pg_catalog.sum(pg_catalog.pg_table_size(c.oid)) as heap,
             case when pg_catalog.min(c.reltuples) < 0 then -1 else pg_catalog.sum(c.reltuples)::bigint end as rows
        from pg_catalog.json_to_recordset($1::text::json) w (key text, schema text, name text)
        cross join lateral (
          select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
            left join pg_catalog.json_array_elements_text($2::text::json) with ordinality s (name, nth) on s.name = n.nspname
           where c.relname = w.name and c.relkind in ('r', 'p', 'm', 'f')
             and case when w.schema is null then s.nth is not null else n.nspname = w.schema end
           order by s.nth limit 1
        ) t
        cross join lateral (
          select t.oid as relid where not exists (select from pg_catalog.pg_partitioned_table p where p.partrelid = t.oid)
          union all select relid from pg_catalog.pg_partition_tree(t.oid) where isleaf
        ) part
        join pg_catalog.pg_class c on c.oid = part.relid
       group by w.key
    ) s`
