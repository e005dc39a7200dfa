import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import type { DeclaredObjects, Snapshot } from './types.ts'

/**
 * Reads what a comparison needs from the catalog, in one query: the declared tables, columns, indexes and foreign keys,
 * and every invalid index and unvalidated constraint outside the system's schemas and ours.
 */
export async function readSnapshot(db: Db, wanted: DeclaredObjects): Promise<Snapshot> {
  const names = (items: { schema: string; name: string }[]) =>
    quoteLiteral(JSON.stringify(items.map(({ schema, name }) => [schema, name])))
  const columnTables = wanted.columns.map(({ schema, table }) => ({ schema, name: table }))
  const keyTables = wanted.foreignKeys.map(({ from: { schema, table } }) => ({ schema, name: table }))
  const isIn = (schema: string, name: string, items: { schema: string; name: string }[]) =>
    `(${schema}::text, ${name}::text) in (select w ->> 0, w ->> 1 from pg_catalog.json_array_elements(${names(items)}::json) w)`

  const [row] = await db.unsafe<{ snapshot: Snapshot }[]>(`
    with ns as materialized (
      select oid, nspname from pg_catalog.pg_namespace
       where nspname !~ '^pg_' and nspname not in ('information_schema', 'pgbosun')),
    tables as (
      select n.nspname as schema, c.relname as name from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
       where c.relkind in ('r', 'p', 'f') and ${isIn('n.nspname', 'c.relname', wanted.tables)}),
    columns as (
      select n.nspname as schema, c.relname as "table", a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type
        from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       where c.relkind in ('r', 'p', 'f', 'v', 'm') and ${isIn('n.nspname', 'c.relname', columnTables)}),
    indexes as (
      select n.nspname as schema, t.relname as "table", c.relname as name, i.indisvalid as valid
        from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
        join pg_catalog.pg_index i on i.indexrelid = c.oid join pg_catalog.pg_class t on t.oid = i.indrelid
       where not i.indisvalid or ${isIn('n.nspname', 'c.relname', wanted.indexes)}),
    keys as (
      select pg_catalog.json_build_object('schema', n.nspname, 'table', c.relname, 'columns',
               (select pg_catalog.json_agg(a.attname order by k.nth) from pg_catalog.unnest(f.conkey) with ordinality k(attnum, nth)
                  join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum)) as "from",
             pg_catalog.json_build_object('schema', n2.nspname, 'table', c2.relname, 'columns',
               (select pg_catalog.json_agg(a.attname order by k.nth) from pg_catalog.unnest(f.confkey) with ordinality k(attnum, nth)
                  join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)) as "to",
             f.conname as name, f.convalidated as valid
        from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
        join pg_catalog.pg_constraint f on f.conrelid = c.oid and f.contype = 'f'
        join pg_catalog.pg_class c2 on c2.oid = f.confrelid join pg_catalog.pg_namespace n2 on n2.oid = c2.relnamespace
       where ${isIn('n.nspname', 'c.relname', keyTables)}),
    not_validated as (
      select n.nspname as schema, c.relname as "table", f.conname as name
        from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid join pg_catalog.pg_constraint f on f.conrelid = c.oid
       where not f.convalidated)
    select pg_catalog.json_build_object(
      'someTables', (select coalesce(pg_catalog.json_agg(t), '[]') from (
         select n.nspname as schema, c.relname as name from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
          where c.relkind in ('r', 'p', 'f') and n.nspname <> 'graphile_migrate' and not exists (
            select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
          limit 2) t),
      'tables', (select coalesce(pg_catalog.json_agg(t order by t.schema, t.name), '[]') from tables t),
      'columns', (select coalesce(pg_catalog.json_agg(t order by t.schema, t."table", t.name), '[]') from columns t),
      'indexes', (select coalesce(pg_catalog.json_agg(t order by t.schema, t.name), '[]') from indexes t),
      'foreignKeys', (select coalesce(pg_catalog.json_agg(t), '[]') from keys t),
      'notValidated', (select coalesce(pg_catalog.json_agg(t order by t.schema, t."table", t.name), '[]') from not_validated t)) as snapshot`)
  if (!row) throw new Error('the catalog query returned no row')
  return row.snapshot
}
