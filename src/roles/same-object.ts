// pure
import { quoteLiteral } from '../sql/quote.ts'
import type { OwnedObject } from './types.ts'

/** A fingerprint of what a routine does, or of the rules, indexes and statistics of a relation, which may change while we wait for a lock. */
export const print = (classid: string, oid: string) => `case ${classid}
  when 'pg_catalog.pg_proc'::regclass then (
    select pg_catalog.md5((pg_catalog.to_jsonb(p) - 'proowner' - 'proacl')::text) from pg_catalog.pg_proc p where p.oid = ${oid})
  when 'pg_catalog.pg_class'::regclass then (
    select pg_catalog.concat_ws(' ', c.relkind, c.reloptions,
        (select pg_catalog.string_agg(r.oid || '.' || r.xmin, ' ' order by r.oid) from pg_catalog.pg_rewrite r where r.ev_class = c.oid),
        (select pg_catalog.string_agg(i.indexrelid::text, ' ' order by i.indexrelid) from pg_catalog.pg_index i
          where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)),
        (select pg_catalog.string_agg(s.oid::text, ' ' order by s.oid) from pg_catalog.pg_statistic_ext s where s.stxrelid = c.oid))
      from pg_catalog.pg_class c where c.oid = ${oid}) end`

/** Fails with 22012 (division by zero) unless the name still means the same object, unchanged since it was read. */
export const sameAsRead = ({
  classid,
  oid,
  type,
  identity,
  print: read,
}: Omit<OwnedObject, 'schema' | 'owner' | 'bound' | 'definer'>) =>
  `select 1 / pg_catalog.count(*) from pg_catalog.pg_identify_object(${classid}, ${oid}, 0) i
    where i.type = ${quoteLiteral(type)} and i.identity = ${quoteLiteral(identity)}
      and (${print(`${classid}::oid`, `${oid}::oid`)}) is not distinct from ${read === null ? 'null' : quoteLiteral(read)}`
