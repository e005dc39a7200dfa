// pure
import { catalog, firing, options } from './sql.ts'

/** SQL: facts about sequences, tables and views as a whole. */
export const relationFacts = `
  select o.class, o.id, f.what, f.value, null::int as nth, null::oid as part_class, null::oid as part_id, 0 as part_sub
    from objects o join pg_catalog.pg_class c on o.class = ${catalog('pg_class')} and c.oid = o.id
    left join pg_catalog.pg_foreign_table ft on ft.ftrelid = c.oid left join pg_catalog.pg_foreign_server s on s.oid = ft.ftserver
    left join pg_catalog.pg_class toast on toast.oid = c.reltoastrelid
    left join pg_catalog.pg_am am on am.oid = c.relam
   cross join lateral (values
     ('kind', case c.relkind when 'p' then 'partitioned by ' || pg_catalog.pg_get_partkeydef(c.oid)
                             when 'f' then 'foreign table of server ' || pg_catalog.quote_ident(s.srvname) when 'r' then 'table' end),
     ('persistence', case when c.relkind in ('r', 'p', 'S') then case c.relpersistence when 'u' then 'unlogged' else 'permanent' end end),
     ('access method', case when c.relkind in ('r', 'm') then nullif(am.amname, 'heap')::text end),
     ('partition of', case when c.relispartition then (
        select pg_catalog.format('%I.%I %s', n.nspname, p.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid))
          from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent join pg_catalog.pg_namespace n on n.oid = p.relnamespace
         where i.inhrelid = c.oid) end),
     ('inherits', case when not c.relispartition then (
        select pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, p.relname), ', ' order by i.inhseqno)
          from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent join pg_catalog.pg_namespace n on n.oid = p.relnamespace
         where i.inhrelid = c.oid) end),
     ('type', case when c.reloftype <> 0 then pg_catalog.format_type(c.reloftype, null) end),
     ('options', nullif(pg_catalog.concat_ws(', ', ${options('c.reloptions')}, ${options('toast.reloptions', 'toast.')}, ${options('ft.ftoptions')}), '')),
     ('row security', case when c.relkind in ('r', 'p', 'f') then case when c.relrowsecurity then 'enabled' else 'disabled' end
        || case when c.relforcerowsecurity then ', forced' else '' end end),
     ('replica identity', case c.relreplident when 'f' then 'full' when 'n' then case when c.relkind in ('r', 'p') then 'nothing' end when 'i' then 'index ' || (
        select pg_catalog.quote_ident(ic.relname) from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
         where i.indrelid = c.oid and i.indisreplident) end),
     ('clustered on', (select pg_catalog.quote_ident(ic.relname) from pg_catalog.pg_index i join pg_catalog.pg_class ic on ic.oid = i.indexrelid
         where i.indrelid = c.oid and i.indisclustered)),
     ('tablespace', (select pg_catalog.quote_ident(t.spcname) from pg_catalog.pg_tablespace t where t.oid = c.reltablespace)),
     ('definition', case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end)
   ) f(what, value)
  union all
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_sequence s on o.class = ${catalog('pg_class')} and s.seqrelid = o.id
   cross join lateral (values
     ('type', pg_catalog.format_type(s.seqtypid, null)), ('start', s.seqstart::text), ('increment', s.seqincrement::text),
     ('minimum', s.seqmin::text), ('maximum', s.seqmax::text), ('cache', s.seqcache::text), ('cycle', case when s.seqcycle then 'yes' else 'no' end),
     ('owned by', (select pg_catalog.format('%I.%I.%I', n.nspname, t.relname, a.attname)
        from pg_catalog.pg_depend d join pg_catalog.pg_class t on t.oid = d.refobjid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
       where d.classid = o.class and d.objid = o.id and d.deptype = 'a' and d.refclassid = o.class))
   ) f(what, value)`

/** How the sequence of an identity column differs from the default of `generated … as identity`; a text like ` (start 50 increment 5)`. */
const identityOptions = `(
  select coalesce(' (' || nullif(pg_catalog.concat_ws(' ',
           case when sc.relname <> c.relname || '_' || a.attname || '_seq' then pg_catalog.format('sequence name %I.%I', sn.nspname, sc.relname) end,
           case when s.seqstart <> case when s.seqincrement > 0 then s.seqmin else s.seqmax end then 'start ' || s.seqstart end,
           case when s.seqincrement <> 1 then 'increment ' || s.seqincrement end,
           case when s.seqmin <> case when s.seqincrement > 0 then 1 else -b.top - 1 end then 'minimum ' || s.seqmin end,
           case when s.seqmax <> case when s.seqincrement > 0 then b.top else -1 end then 'maximum ' || s.seqmax end,
           case when s.seqcache <> 1 then 'cache ' || s.seqcache end, case when s.seqcycle then 'cycle' end), '') || ')', '')
    from pg_catalog.pg_depend d join pg_catalog.pg_sequence s on s.seqrelid = d.objid join pg_catalog.pg_class sc on sc.oid = s.seqrelid
    join pg_catalog.pg_namespace sn on sn.oid = sc.relnamespace
   cross join lateral (select case s.seqtypid when 21 then 32767 when 23 then 2147483647 else 9223372036854775807 end as top) b
   where d.classid = ${catalog('pg_class')} and d.deptype = 'i' and d.refclassid = ${catalog('pg_class')}
     and d.refobjid = a.attrelid and d.refobjsubid = a.attnum)`

/**
 * SQL: the columns of tables and views, each as one text as CREATE TABLE would write it.
 * NOT NULL is a property of the column for every major version, although 18 stores it as a constraint with a name.
 */
export const columnFacts = (serverVersion: number) => `
  select o.class, o.id, 'column ' || pg_catalog.quote_ident(a.attname), pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
         case when a.attcollation <> t.typcollation then 'collate ' || (select pg_catalog.format('%I.%I', n.nspname, k.collname)
           from pg_catalog.pg_collation k join pg_catalog.pg_namespace n on n.oid = k.collnamespace where k.oid = a.attcollation) end,
         case when a.attstorage <> t.typstorage then
           'storage ' || case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end,
         ${serverVersion >= 140_000 ? `case a.attcompression when 'p' then 'compression pglz' when 'l' then 'compression lz4' end,` : ''}
         case when a.attnotnull then 'not null' || coalesce((
           select case when k.connoinherit then ' no inherit' else '' end || case when k.convalidated then '' else ' not valid' end
             from pg_catalog.pg_constraint k where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum]), '') end,
         case when a.attgenerated <> '' then
           'generated always as (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') ' || case a.attgenerated when 'v' then 'virtual' else 'stored' end
         else 'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
         case when a.attidentity <> '' then 'generated ' || case a.attidentity when 'a' then 'always' else 'by default' end || ' as identity'
           || coalesce(${identityOptions}, '') end,
         case when a.attstattarget >= 0 then 'statistics ' || a.attstattarget end,
         'options (' || ${options('coalesce(a.attoptions, a.attfdwoptions)')} || ')'),
         a.attnum, ${catalog('pg_class')}, a.attrelid, a.attnum
    from objects o join pg_catalog.pg_class c on o.class = ${catalog('pg_class')} and c.oid = o.id and c.relkind <> 'S'
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum`

/**
 * SQL: constraints, indexes, extended statistics, triggers, rules and policies.
 * What a partition or a child table has inherited is left out: it exists as long as that of the parent does, under a generated name.
 */
export const partFacts = `
  select o.class, o.id, 'constraint ' || pg_catalog.quote_ident(k.conname), pg_catalog.pg_get_constraintdef(k.oid)
         || case when k.contype in ('p', 'u', 'x') and not i.indisvalid then ' (invalid)' else '' end
         || case when exists (select from pg_catalog.pg_trigger t where k.contype = 'f' and t.tgconstraint = k.oid and t.tgenabled <> 'O')
              then ' (not enforced: its triggers are disabled)' else '' end,
         null, ${catalog('pg_constraint')}, k.oid, 0
    from objects o join pg_catalog.pg_constraint k on o.class = ${catalog('pg_class')} and k.conrelid = o.id
    left join pg_catalog.pg_index i on i.indexrelid = k.conindid and i.indrelid = k.conrelid
   where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0 and k.coninhcount = 0
  union all
  select o.class, o.id, 'index ' || pg_catalog.quote_ident(c.relname),
         pg_catalog.pg_get_indexdef(c.oid) || case when i.indisvalid then '' else ' (invalid)' end, null, ${catalog('pg_class')}, c.oid, 0
    from objects o join pg_catalog.pg_index i on o.class = ${catalog('pg_class')} and i.indrelid = o.id
    join pg_catalog.pg_class c on c.oid = i.indexrelid and not c.relispartition
   where not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  union all
  select o.class, o.id, 'statistics ' || pg_catalog.format('%I.%I', n.nspname, s.stxname), pg_catalog.pg_get_statisticsobjdef(s.oid), null,
         ${catalog('pg_statistic_ext')}, s.oid, 0
    from objects o join pg_catalog.pg_statistic_ext s on o.class = ${catalog('pg_class')} and s.stxrelid = o.id
    join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  union all
  select o.class, o.id, 'trigger ' || pg_catalog.quote_ident(t.tgname), pg_catalog.pg_get_triggerdef(t.oid) || ${firing('t.tgenabled')}, null,
         ${catalog('pg_trigger')}, t.oid, 0
    from objects o join pg_catalog.pg_trigger t on o.class = ${catalog('pg_class')} and t.tgrelid = o.id
    left join pg_catalog.pg_trigger parent on parent.oid = t.tgparentid
   where not exists (select from pg_catalog.pg_constraint k where k.oid = t.tgconstraint and k.contype <> 't')
     and case when t.tgparentid = 0 then not t.tgisinternal else t.tgenabled <> parent.tgenabled end
  union all
  select o.class, o.id, 'rule ' || pg_catalog.quote_ident(r.rulename), pg_catalog.pg_get_ruledef(r.oid) || ${firing('r.ev_enabled')}, null,
         ${catalog('pg_rewrite')}, r.oid, 0
    from objects o join pg_catalog.pg_rewrite r on o.class = ${catalog('pg_class')} and r.ev_class = o.id and r.rulename <> '_RETURN'
  union all
  select o.class, o.id, 'policy ' || pg_catalog.quote_ident(p.polname), pg_catalog.concat_ws(' ',
         case when p.polpermissive then 'permissive' else 'restrictive' end,
         'for ' || case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
         'to ' || (select pg_catalog.string_agg(r.name, ', ' order by r.name collate pg_catalog."C") from (
           select case when m.oid = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.oid)) end as name
             from pg_catalog.unnest(p.polroles) m(oid)) r),
         'using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
         'with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'), null, ${catalog('pg_policy')}, p.oid, 0
    from objects o join pg_catalog.pg_policy p on o.class = ${catalog('pg_class')} and p.polrelid = o.id`
