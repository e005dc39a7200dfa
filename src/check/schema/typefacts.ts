// pure
import { catalog, routine } from './sql.ts'

/** SQL: enums, domains, composite types, ranges and base types. Labels and attributes are one text with a line for each, because their order matters. */
export const typeFacts = `
  select o.class, o.id, f.what, f.value, null, null, null, 0
    from objects o join pg_catalog.pg_type t on o.class = ${catalog('pg_type')} and t.oid = o.id
    left join pg_catalog.pg_range r on r.rngtypid = t.oid
   cross join lateral (values
     ('kind', case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite' when 'r' then 'range' else 'base type' end),
     ('labels', (select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), E'\\n' order by e.enumsortorder)
        from pg_catalog.pg_enum e where e.enumtypid = t.oid)),
     ('attributes', (select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
            || coalesce(' collate ' || case when a.attcollation <> at.typcollation then a.attcollation::pg_catalog.regcollation::text end, ''),
            E'\\n' order by a.attnum)
        from pg_catalog.pg_attribute a join pg_catalog.pg_type at on at.oid = a.atttypid
       where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)),
     ('definition', case t.typtype
        when 'd' then pg_catalog.concat_ws(' ', pg_catalog.format_type(t.typbasetype, t.typtypmod),
          'collate ' || case when t.typcollation <> (select b.typcollation from pg_catalog.pg_type b where b.oid = t.typbasetype)
            then t.typcollation::pg_catalog.regcollation::text end,
          case when t.typnotnull then 'not null' end, 'default ' || coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault))
        when 'r' then pg_catalog.concat_ws(E'\\n', 'subtype ' || pg_catalog.format_type(r.rngsubtype, null),
          'subtype_opclass ' || (select pg_catalog.format('%I.%I', n.nspname, c.opcname)
             from pg_catalog.pg_opclass c join pg_catalog.pg_namespace n on n.oid = c.opcnamespace where c.oid = r.rngsubopc),
          'collation ' || case when r.rngcollation <> 0 then r.rngcollation::pg_catalog.regcollation::text end,
          'canonical ' || ${routine('r.rngcanonical')}, 'subtype_diff ' || ${routine('r.rngsubdiff')})
        when 'b' then pg_catalog.concat_ws(E'\\n', 'input ' || ${routine('t.typinput')}, 'output ' || ${routine('t.typoutput')},
          'internallength ' || t.typlen, 'alignment ' || t.typalign::text, 'storage ' || t.typstorage::text) end)
   ) f(what, value)
  union all
  select o.class, o.id, 'constraint ' || pg_catalog.quote_ident(k.conname), pg_catalog.pg_get_constraintdef(k.oid), null, ${catalog('pg_constraint')}, k.oid, 0
    from objects o join pg_catalog.pg_constraint k on o.class = ${catalog('pg_type')} and k.contypid = o.id and k.contype = 'c'
  union all
  select o.class, o.id, 'attribute ' || pg_catalog.quote_ident(a.attname), null, null, ${catalog('pg_class')}, a.attrelid, a.attnum
    from objects o join pg_catalog.pg_type t on o.class = ${catalog('pg_type')} and t.oid = o.id and t.typtype = 'c'
    join pg_catalog.pg_attribute a on a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped`
