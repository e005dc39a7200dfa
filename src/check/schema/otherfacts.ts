// pure
import { catalog, lines, optionNames, routine } from './sql.ts'

/**
 * SQL: extensions, collations, foreign servers, text search, event triggers and publications.
 * For servers and wrappers only the names of options are read: hosts differ between environments, and some wrappers keep secrets there.
 */
export const otherFacts = (serverVersion: number) => `
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_extension e on o.class = ${catalog('pg_extension')} and e.oid = o.id
    join pg_catalog.pg_namespace n on n.oid = e.extnamespace
   cross join lateral (values ('version', e.extversion), ('schema', pg_catalog.quote_ident(n.nspname))) f(what, value)
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(', ',
         'provider ' || case c.collprovider when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else 'default' end,
         'locale ' || coalesce(${localeOf(serverVersion)}, nullif(pg_catalog.concat_ws(' / ', c.collcollate, nullif(c.collctype, c.collcollate)), '')),
         case when not c.collisdeterministic then 'not deterministic' end), null, null, null, 0
    from objects o join pg_catalog.pg_collation c on o.class = ${catalog('pg_collation')} and c.oid = o.id
  union all
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_foreign_data_wrapper w on o.class = ${catalog('pg_foreign_data_wrapper')} and w.oid = o.id
   cross join lateral (values ('handler', ${routine('w.fdwhandler')}), ('validator', ${routine('w.fdwvalidator')}),
     ('names of options', ${optionNames('w.fdwoptions')})) f(what, value)
  union all
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_foreign_server s on o.class = ${catalog('pg_foreign_server')} and s.oid = o.id
    join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
   cross join lateral (values ('wrapper', pg_catalog.quote_ident(w.fdwname)), ('type', s.srvtype), ('version', s.srvversion),
     ('names of options', ${optionNames('s.srvoptions')})) f(what, value)
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(' ', 'template ' || d.dicttemplate, d.dictinitoption), null, null, null, 0
    from objects o join (select d.oid, d.dictinitoption, pg_catalog.format('%I.%I', n.nspname, t.tmplname) as dicttemplate
      from pg_catalog.pg_ts_dict d join pg_catalog.pg_ts_template t on t.oid = d.dicttemplate join pg_catalog.pg_namespace n on n.oid = t.tmplnamespace) d
      on o.class = ${catalog('pg_ts_dict')} and d.oid = o.id
  union all
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_ts_config c on o.class = ${catalog('pg_ts_config')} and c.oid = o.id
   cross join lateral (values
     ('parser', (select pg_catalog.format('%I.%I', n.nspname, p.prsname)
        from pg_catalog.pg_ts_parser p join pg_catalog.pg_namespace n on n.oid = p.prsnamespace where p.oid = c.cfgparser)),
     ('mappings', ${lines(
       'm.line',
       `from (select t.alias || ': ' || pg_catalog.string_agg(m.mapdict::pg_catalog.regdictionary::text, ', ' order by m.mapseqno) as line
          from pg_catalog.pg_ts_config_map m join pg_catalog.ts_token_type(c.cfgparser) t on t.tokid = m.maptokentype
         where m.mapcfg = c.oid group by t.alias) m`,
     )})) f(what, value)
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(' ', 'on ' || t.evtevent,
         'when tag in (' || (select pg_catalog.string_agg(pg_catalog.quote_literal(g), ', ' order by g collate pg_catalog."C")
           from pg_catalog.unnest(t.evttags) g) || ')',
         'execute ' || ${routine('t.evtfoid')},
         case t.evtenabled when 'D' then '(disabled)' when 'R' then '(enabled replica)' when 'A' then '(enabled always)' end), null, null, null, 0
    from objects o join pg_catalog.pg_event_trigger t on o.class = ${catalog('pg_event_trigger')} and t.oid = o.id
  union all
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_publication p on o.class = ${catalog('pg_publication')} and p.oid = o.id
   cross join lateral (values
     ('publishes', pg_catalog.concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
        case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end)),
     ('all tables', case when p.puballtables then 'yes' else 'no' end),
     ('via partition root', case when p.pubviaroot then 'yes' else 'no' end)) f(what, value)
  union all
  select o.class, o.id, 'table ' || pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.concat_ws(' ', 'published'${
    serverVersion >= 150_000
      ? `,
         'columns (' || (select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
            from pg_catalog.pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)) || ')',
         'where ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid)`
      : ''
  }), null, null, null, 0
    from objects o join pg_catalog.pg_publication_rel r on o.class = ${catalog('pg_publication')} and r.prpubid = o.id
    join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace${
      serverVersion >= 150_000
        ? `
  union all
  select o.class, o.id, 'schema ' || pg_catalog.quote_ident(n.nspname), 'published', null, null, null, 0
    from objects o join pg_catalog.pg_publication_namespace r on o.class = ${catalog('pg_publication')} and r.pnpubid = o.id
    join pg_catalog.pg_namespace n on n.oid = r.pnnspid`
        : ''
    }`

/** The column with the locale of ICU and the builtin provider has changed its name. */
const localeOf = (serverVersion: number) =>
  serverVersion >= 170_000 ? 'c.colllocale' : serverVersion >= 150_000 ? 'c.colliculocale' : 'null'
