// pure
import { catalog, lines, routine } from './sql.ts'

/** SQL: definitions of functions, procedures, aggregates, operators, operator families and classes, and casts. */
export const routineFacts = `
  select o.class, o.id, 'definition', pg_catalog.rtrim(pg_catalog.pg_get_functiondef(p.oid), E'\\n'), null, null, null, 0
    from objects o join pg_catalog.pg_proc p on o.class = ${catalog('pg_proc')} and p.oid = o.id and p.prokind <> 'a'
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(E'\\n',
         'arguments ' || pg_catalog.pg_get_function_arguments(p.oid), 'returns ' || pg_catalog.pg_get_function_result(p.oid),
         'sfunc ' || ${routine('a.aggtransfn')}, 'stype ' || pg_catalog.format_type(a.aggtranstype, null), 'initcond ' || pg_catalog.quote_literal(a.agginitval),
         'finalfunc ' || ${routine('a.aggfinalfn')} || case when a.aggfinalextra then ' extra' else '' end,
         'combinefunc ' || ${routine('a.aggcombinefn')}, 'serialfunc ' || ${routine('a.aggserialfn')}, 'deserialfunc ' || ${routine('a.aggdeserialfn')},
         'msfunc ' || ${routine('a.aggmtransfn')}, 'minvfunc ' || ${routine('a.aggminvtransfn')},
         'mstype ' || case when a.aggmtranstype <> 0 then pg_catalog.format_type(a.aggmtranstype, null) end,
         'minitcond ' || pg_catalog.quote_literal(a.aggminitval), 'mfinalfunc ' || ${routine('a.aggmfinalfn')},
         'sortop ' || case when a.aggsortop <> 0 then a.aggsortop::pg_catalog.regoperator::text end,
         case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
         case a.aggkind when 'o' then 'ordered-set' when 'h' then 'hypothetical' end), null, null, null, 0
    from objects o join pg_catalog.pg_proc p on o.class = ${catalog('pg_proc')} and p.oid = o.id
    join pg_catalog.pg_aggregate a on a.aggfnoid = p.oid
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(E'\\n', 'function ' || ${routine('p.oprcode')},
         'returns ' || pg_catalog.format_type(p.oprresult, null),
         'commutator ' || case when p.oprcom <> 0 then p.oprcom::pg_catalog.regoperator::text end,
         'negator ' || case when p.oprnegate <> 0 then p.oprnegate::pg_catalog.regoperator::text end,
         'restrict ' || ${routine('p.oprrest')}, 'join ' || ${routine('p.oprjoin')},
         case when p.oprcanhash then 'hashes' end, case when p.oprcanmerge then 'merges' end), null, null, null, 0
    from objects o join pg_catalog.pg_operator p on o.class = ${catalog('pg_operator')} and p.oid = o.id
  union all
  select o.class, o.id, 'members', pg_catalog.concat_ws(E'\\n',
         ${lines("'operator ' || m.amopstrategy || ' ' || m.amopopr::pg_catalog.regoperator::text", 'from pg_catalog.pg_amop m where m.amopfamily = o.id')},
         ${lines(
           "'function ' || m.amprocnum || ' ' || m.amproc::pg_catalog.oid::pg_catalog.regprocedure::text",
           'from pg_catalog.pg_amproc m where m.amprocfamily = o.id',
         )}),
         null, null, null, 0
    from objects o where o.class = ${catalog('pg_opfamily')}
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(' ', case when c.opcdefault then 'default' end,
         'for type ' || pg_catalog.format_type(c.opcintype, null), 'family ' || pg_catalog.format('%I.%I', n.nspname, f.opfname),
         'storage ' || case when c.opckeytype <> 0 then pg_catalog.format_type(c.opckeytype, null) end), null, null, null, 0
    from objects o join pg_catalog.pg_opclass c on o.class = ${catalog('pg_opclass')} and c.oid = o.id
    join pg_catalog.pg_opfamily f on f.oid = c.opcfamily join pg_catalog.pg_namespace n on n.oid = f.opfnamespace
  union all
  select o.class, o.id, 'definition', pg_catalog.concat_ws(' ',
         case c.castmethod when 'f' then 'with function ' || ${routine('c.castfunc')} when 'i' then 'with inout' else 'without function' end,
         case c.castcontext when 'a' then 'as assignment' when 'i' then 'as implicit' end), null, null, null, 0
    from objects o join pg_catalog.pg_cast c on o.class = ${catalog('pg_cast')} and c.oid = o.id`
