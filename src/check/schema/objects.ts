// pure
import { catalog } from './sql.ts'

/**
 * SQL: every object, with its address (`class`, `id`), the table it is a part of, and its owner.
 * It uses `ns` (the schemas that are compared) and `left_out`.
 *
 * Not read: what initdb created (OIDs below 16384), user mappings and subscriptions (they contain credentials), languages,
 * conversions, transforms, access methods, text search parsers and templates, security labels, large objects.
 */
export const objectsSql = `
  select ${catalog('pg_namespace')}::oid as class, n.oid as id, 'schema' as kind, pg_catalog.quote_ident(n.nspname) as name,
         null::text as part_of, n.nspowner as owner, n.nspacl as acl, 'n' as acl_kind
    from ns n
  union all
  select ${catalog('pg_extension')}, e.oid, 'extension', pg_catalog.quote_ident(e.extname), null, e.extowner, null, null
    from pg_catalog.pg_extension e
  union all
  select ${catalog('pg_collation')}, c.oid, 'collation', pg_catalog.format('%I.%I', n.nspname, c.collname), null, c.collowner, null, null
    from ns n join pg_catalog.pg_collation c on c.collnamespace = n.oid
  union all
  select ${catalog('pg_type')}, t.oid, 'type', pg_catalog.format('%I.%I', n.nspname, t.typname), null, t.typowner, t.typacl, 'T'
    from ns n join pg_catalog.pg_type t on t.typnamespace = n.oid left join pg_catalog.pg_class c on c.oid = t.typrelid
   where t.typtype in ('d', 'e', 'r') or (t.typtype = 'c' and c.relkind = 'c')
      or (t.typtype = 'b' and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid))
  union all
  select ${catalog('pg_class')}, c.oid,
         case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end,
         pg_catalog.format('%I.%I', n.nspname, c.relname), 'table ' || pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(p.relname),
         c.relowner, c.relacl, case c.relkind when 'S' then 's' else 'r' end
    from ns n join pg_catalog.pg_class c on c.relnamespace = n.oid
    left join pg_catalog.pg_depend d on c.relkind = 'S' and d.classid = ${catalog('pg_class')} and d.objid = c.oid and d.deptype in ('a', 'i')
          and d.refclassid = ${catalog('pg_class')} and d.refobjsubid > 0
    left join pg_catalog.pg_inherits i on c.relispartition and i.inhrelid = c.oid
    left join pg_catalog.pg_class p on p.oid = coalesce(d.refobjid, i.inhparent)
    left join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
   where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and d.deptype is distinct from 'i'
     and not exists (select from left_out l where (l.schema, l.name) in ((n.nspname, c.relname), (pn.nspname, p.relname)))
  union all
  select ${catalog('pg_foreign_data_wrapper')}, w.oid, 'foreign data wrapper', pg_catalog.quote_ident(w.fdwname), null, w.fdwowner, w.fdwacl, 'F'
    from pg_catalog.pg_foreign_data_wrapper w
  union all
  select ${catalog('pg_foreign_server')}, s.oid, 'foreign server', pg_catalog.quote_ident(s.srvname), null, s.srvowner, s.srvacl, 'S'
    from pg_catalog.pg_foreign_server s
  union all
  select ${catalog('pg_proc')}, p.oid, case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
         pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,
           (select pg_catalog.string_agg(pg_catalog.format_type(a.type, null), ', ' order by a.nth)
              from pg_catalog.unnest(p.proargtypes) with ordinality a(type, nth))),
         null, p.proowner, p.proacl, 'f'
    from ns n join pg_catalog.pg_proc p on p.pronamespace = n.oid
   -- The constructors of a range type are created with the type.
   where not exists (select from pg_catalog.pg_depend d where d.classid = ${catalog('pg_proc')} and d.objid = p.oid and d.deptype = 'i'
                        and d.refclassid = ${catalog('pg_type')})
  union all
  select ${catalog('pg_operator')}, o.oid, 'operator',
         pg_catalog.format('%I.%s(%s)', n.nspname, o.oprname,
           pg_catalog.concat_ws(', ', case when o.oprleft <> 0 then pg_catalog.format_type(o.oprleft, null) else 'none' end,
             case when o.oprright <> 0 then pg_catalog.format_type(o.oprright, null) else 'none' end)),
         null, o.oprowner, null, null
    from ns n join pg_catalog.pg_operator o on o.oprnamespace = n.oid
  union all
  select ${catalog('pg_opfamily')}, f.oid, 'operator family',
         pg_catalog.format('%I.%I using %I', n.nspname, f.opfname, m.amname), null, f.opfowner, null, null
    from ns n join pg_catalog.pg_opfamily f on f.opfnamespace = n.oid join pg_catalog.pg_am m on m.oid = f.opfmethod
  union all
  select ${catalog('pg_opclass')}, c.oid, 'operator class',
         pg_catalog.format('%I.%I using %I', n.nspname, c.opcname, m.amname), null, c.opcowner, null, null
    from ns n join pg_catalog.pg_opclass c on c.opcnamespace = n.oid join pg_catalog.pg_am m on m.oid = c.opcmethod
  union all
  select ${catalog('pg_cast')}, c.oid, 'cast',
         pg_catalog.format('(%s as %s)', pg_catalog.format_type(c.castsource, null), pg_catalog.format_type(c.casttarget, null)), null, null, null, null
    from pg_catalog.pg_cast c where c.oid >= 16384
  union all
  select ${catalog('pg_ts_dict')}, d.oid, 'text search dictionary', pg_catalog.format('%I.%I', n.nspname, d.dictname), null, d.dictowner, null, null
    from ns n join pg_catalog.pg_ts_dict d on d.dictnamespace = n.oid
  union all
  select ${catalog('pg_ts_config')}, c.oid, 'text search configuration', pg_catalog.format('%I.%I', n.nspname, c.cfgname), null, c.cfgowner, null, null
    from ns n join pg_catalog.pg_ts_config c on c.cfgnamespace = n.oid
  union all
  select ${catalog('pg_event_trigger')}, t.oid, 'event trigger', pg_catalog.quote_ident(t.evtname), null, t.evtowner, null, null
    from pg_catalog.pg_event_trigger t
  union all
  select ${catalog('pg_publication')}, p.oid, 'publication', pg_catalog.quote_ident(p.pubname), null, p.pubowner, null, null
    from pg_catalog.pg_publication p`
