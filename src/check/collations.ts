import type { Db } from '../postgres/db.ts'
import { describeCollation, type StaleCollation } from './stale-collation.ts'

/**
 * Warnings about collations that the server's library sorts by other rules than when the indexes were built, as far as their versions
 * tell. A collation that no index and no partition depends on does no harm.
 * @param serverVersion databases have a version of their own from 15 on
 */
export async function adviceOnCollations(db: Db, serverVersion: number): Promise<string[]> {
  const [row] = await db.unsafe<{ stale: StaleCollation[] }[]>(query(serverVersion >= 150_000))
  return row!.stale.map(describeCollation)
}

/** Indexes `i` with text columns in the order of a collation. Hashing, and comparing byte by byte, do not depend on its version. */
const sorted = `select i.indexrelid, i.indrelid, k.coll
    from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am m on m.oid = c.relam,
         rows from (pg_catalog.unnest(i.indcollation::oid[]), pg_catalog.unnest(i.indclass::oid[])) k (coll, opclass) join pg_catalog.pg_opclass o on o.oid = k.opclass
   where k.coll <> 0 and c.relkind = 'i' and c.relpersistence <> 't' and m.amname <> 'hash' and o.opcname !~ '_pattern_ops$'
  union
  select i.indexrelid, i.indrelid, d.refobjid
    from pg_catalog.pg_depend d join pg_catalog.pg_index i on i.indexrelid = d.objid
    join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relkind = 'i' and c.relpersistence <> 't'
   where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_collation'::regclass
     and not d.refobjid = any (i.indcollation::oid[])`

const names = (rows: string) => `coalesce((select pg_catalog.json_agg(x.name order by x.name) from (${rows}) x), '[]')`

const named = (oid: string) => `(select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = ${oid} and n.nspname !~ '^pg_')`

const uses = (collation: string) => `
  'indexes', ${names(`select ${named('s.indexrelid')} as name from sorted s where s.coll = ${collation} and s.indrelid >= 16384`)},
  'partitioned', ${names(`select ${named('p.partrelid')} as name from pg_catalog.pg_partitioned_table p
    where p.partstrat <> 'h' and ${collation} = any (p.partcollation::oid[])`)}`

/** 100 is the collation `default`, which stands for that of the database. */
const ofDatabase = `select pg_catalog.json_build_object('kind', 'database', 'name', pg_catalog.quote_ident(d.datname), 'version', d.datcollversion,
    'actual', pg_catalog.pg_database_collation_actual_version(d.oid), ${uses('100')}) as stale
  from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()
   and d.datcollversion <> pg_catalog.pg_database_collation_actual_version(d.oid)`

const query = (withDatabase: boolean) => `
  with sorted as materialized (${sorted}),
  found as (
    ${withDatabase ? `${ofDatabase} union all` : ''}
    select pg_catalog.json_build_object('kind', 'collation', 'name', pg_catalog.format('%I.%I', n.nspname, l.collname), 'version', l.collversion,
        'actual', pg_catalog.pg_collation_actual_version(l.oid), ${uses('l.oid')}) as stale
      from pg_catalog.pg_collation l join pg_catalog.pg_namespace n on n.oid = l.collnamespace
     where (l.oid in (select coll from sorted) or exists (
             select from pg_catalog.pg_partitioned_table p where p.partstrat <> 'h' and l.oid = any (p.partcollation::oid[])))
       and l.collversion is not null and l.collversion <> pg_catalog.pg_collation_actual_version(l.oid))
  select coalesce(pg_catalog.json_agg(stale order by stale->>'name'), '[]') as stale from found`
