import type { Db } from '../postgres/db.ts'
import { sequencesQuery } from '../postgres/sequences.ts'
import { quoteLiteral } from '../sql/quote.ts'
import type { Target } from './types.ts'

/** The tables of a schema that rows can be imported into. */
export async function readTarget(db: Db, schema: string): Promise<Target> {
  const [row] = await db.unsafe<{ target: Target }[]>(`
    select pg_catalog.json_build_object('schema', n.oid is not null, 'tables', coalesce(
      (select pg_catalog.json_agg(pg_catalog.json_build_object('name', c.relname, 'columns', (${columnsQuery}), 'foreignKeys', (${keysQuery}))
              order by c.relname)
         from pg_catalog.pg_class c
        where c.relnamespace = n.oid and c.relkind in ('r', 'p') and not c.relispartition), '[]'::json)) as target
      from (select pg_catalog.to_regnamespace(${quoteLiteral(quoted(schema))})::oid) n (oid)`)
  return row!.target
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/** Of the table `c`. A domain is described by its base type. */
const columnsQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
           'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
           'base', b.typname, 'enum', b.typtype = 'e',
           'typmod', case when t.typtype = 'd' then t.typtypmod else a.atttypmod end,
           'notNull', a.attnotnull or t.typnotnull, 'hasDefault', a.atthasdef or a.attidentity <> '' or t.typdefault is not null,
           'generated', a.attgenerated <> '', 'text', t.typcategory = 'S',
           'sequences', case when t.typcategory in ('N', 'S') and t.typname <> 'money' then (${sequencesQuery}) else '[]'::json end)
           order by a.attnum), '[]'::json)
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`

/** Foreign keys of the table `c`. */
const keysQuery = `
  select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
           'name', k.conname, 'parent', case when p.relnamespace = c.relnamespace then p.relname end,
           'deferrable', k.condeferrable, 'deferred', k.condeferred) order by k.conname), '[]'::json)
    from pg_catalog.pg_constraint k join pg_catalog.pg_class p on p.oid = k.confrelid
   where k.conrelid = c.oid and k.contype = 'f' and k.conparentid = 0`
