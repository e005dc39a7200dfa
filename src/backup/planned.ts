/** Rows `u` of pg_depend about what did not come with the server and can be code: functions, operators, and types but enums. */
const onCode = `u.refobjid >= 16384 and (
  u.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
  or u.refclassid = 'pg_catalog.pg_type'::regclass and u.refobjid not in (
       select y.oid from pg_catalog.pg_type y left join pg_catalog.pg_type e on e.oid = y.typelem
        where y.typtype = 'e' or e.typtype = 'e'))`

/**
 * Tables where planning any query may run the application's code, as oids: the planner evaluates what is constant in expressions
 * of indexes and extended statistics, and calls functions and checks of domains for that, as whoever asks. (Measured: after
 * `create index on t ((f(1)))`, `select count(*) from t` runs f.) An inlined function can bring constants along, so all count.
 */
export const planningRunsCode = `
  select i.indrelid from pg_catalog.pg_depend u join pg_catalog.pg_index i on i.indexrelid = u.objid
   where u.classid = 'pg_catalog.pg_class'::regclass and ${onCode}
   union all
  select s.stxrelid from pg_catalog.pg_depend u join pg_catalog.pg_statistic_ext s on s.oid = u.objid
   where u.classid = 'pg_catalog.pg_statistic_ext'::regclass and ${onCode}`
