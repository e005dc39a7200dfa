import type { Db } from '../postgres/db.ts'
import { sequencesQuery } from '../postgres/sequences.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { readColumns } from './file.ts'
import { matchTable, type SeedTable, type Table } from './match.ts'
import type { FileColumns, RowsSeed } from './types.ts'

/** A table that a file is loaded into, and the state it is in. */
export type Target = SeedTable & {
  empty: boolean
  /** Whether the current role may create temporary tables. */
  temporary: boolean
}

/**
 * Matches the columns of the file with the table, before anything is loaded.
 * @throws {AppError} `seed` when they do not fit
 */
export async function findTarget(db: Db, seed: RowsSeed, file?: FileColumns): Promise<Target> {
  const columns = file ?? (await readColumns(seed))
  const [found] = await readTables(db, [seed.table])
  const target = matchTable(seed, columns, found)
  const [state] = await db.unsafe<{ empty: boolean; temporary: boolean }[]>(
    `select not exists (select from ${target.table}) as empty,
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'temporary') as temporary`,
  )
  return { ...target, empty: state?.empty ?? false, temporary: state?.temporary ?? false }
}

/** The value of a column `a` with the type `t` in a row that is inserted without it, as SQL. */
const defaultQuery = `
  case when a.attidentity <> '' then (
         select pg_catalog.format('pg_catalog.nextval(%L::pg_catalog.regclass)', pg_catalog.format('%I.%I', sn.nspname, s.relname))
           from pg_catalog.pg_depend d
           join pg_catalog.pg_class s on s.relkind = 'S' and s.oid = d.objid
           join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
          where d.deptype = 'i' and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = d.classid
            and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)
       when a.atthasdef then (select pg_catalog.pg_get_expr(f.adbin, f.adrelid) from pg_catalog.pg_attrdef f
                               where f.adrelid = a.attrelid and f.adnum = a.attnum)
       else pg_catalog.pg_get_expr(t.typdefaultbin, 0) end`

/** The type behind the domains of a type `t`, as `base`, and behind those of its elements, as `element`. */
const baseTypes = `
  lateral (with recursive b as (select t.oid, t.typtype, t.typbasetype
                        union all select n.oid, n.typtype, n.typbasetype from b join pg_catalog.pg_type n on n.oid = b.typbasetype where b.typtype = 'd')
           select y.* from b join pg_catalog.pg_type y on y.oid = b.oid where b.typtype <> 'd') base,
  lateral (with recursive b as (select e.oid, e.typtype, e.typbasetype from pg_catalog.pg_type e where e.oid = case when base.typcategory = 'A' and base.typelem <> 0 then base.typelem else base.oid end
                        union all select n.oid, n.typtype, n.typbasetype from b join pg_catalog.pg_type n on n.oid = b.typbasetype where b.typtype = 'd')
           select b.oid from b where b.typtype <> 'd') element`

/** Types whose values are the same when they are equal: neither `1.0 = 1.00` nor `1 day = 24:00`. */
const exactTypes = ['bool', 'int2', 'int4', 'int8', 'oid', 'date', 'time', 'timestamp', 'timestamptz', 'uuid', 'bytea']
  .map((type) => `'pg_catalog.${type}'::regtype`)
  .join(', ')

/** The tables that exist, from the catalogs alone, so that no right on them is needed. */
export async function readTables(db: Db, wanted: readonly RowsSeed['table'][]): Promise<Table[]> {
  const names = wanted.map(({ schema, name }) => `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`)
  if (names.length === 0) return []
  return db.unsafe<Table[]>(`
    select n.nspname as schema, c.relname as name,
           c.relkind = 'r' and exists (select from pg_catalog.pg_inherits h where h.inhparent = c.oid) as "hasHeirs",
           (select pg_catalog.json_agg(pg_catalog.json_build_object(
                     'name', a.attname, 'notNull', a.attnotnull, 'generated', a.attgenerated <> '', 'alwaysIdentity', a.attidentity = 'a',
                     'text', t.typcategory = 'S',
                     'json', element.oid in ('pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype),
                     'array', base.typcategory = 'A' and base.typelem <> 0,
                     'comparable', base.typnamespace = 'pg_catalog'::regnamespace
                       or base.typtype = 'e' and not exists (select from pg_catalog.pg_cast k where k.castsource = base.oid),
                     'exact', case when base.oid in ('pg_catalog.text'::regtype, 'pg_catalog.varchar'::regtype) then 'collate'
                       when base.oid in (${exactTypes}) or base.oid = 'pg_catalog.numeric'::regtype and a.atttypmod <> -1 then 'yes' else 'no' end,
                     'default', ${defaultQuery},
                     'sequences', case when t.typcategory in ('N', 'S') and t.typname <> 'money' then (${sequencesQuery}) else '[]'::json end)
                     order by a.attnum)
              from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid, ${baseTypes}
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
           coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('primary', i.indisprimary, 'columns',
                                     (select pg_catalog.json_agg(k.attname) from pg_catalog.pg_attribute k
                                       where k.attrelid = c.oid and k.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
                                     order by i.indisprimary desc, i.indexrelid)
                       from pg_catalog.pg_index i
                      where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate
                        and i.indpred is null and i.indexprs is null), '[]'::json) as uniques
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where (n.nspname, c.relname) in (${names.join(', ')}) and c.relkind in ('r', 'p')
     order by n.nspname, c.relname`)
}
