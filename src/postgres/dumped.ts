// pure
import { quoteIdent } from '../sql/quote.ts'

/** Rows `u` of pg_depend that refer to code that did not come with the server: functions, operators, and types other than enums. */
const onCode = `u.refobjid >= 16384 and (
  u.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
  or u.refclassid = 'pg_catalog.pg_type'::regclass and u.refobjid not in (
       select y.oid from pg_catalog.pg_type y left join pg_catalog.pg_type e on e.oid = y.typelem
        where y.typtype = 'e' or e.typtype = 'e'))`

/**
 * Oids of tables for which merely planning a query may run the application's code. The planner evaluates constant parts of the
 * expressions of indexes and extended statistics. For that it calls functions and domain checks, with the rights of whoever runs the
 * query. (Measured: after `create index on t ((f(1)))`, `select count(*) from t` runs f.) Inlining a function can add constants, so
 * every such expression counts.
 */
export const planningRunsCode = `
  select i.indrelid from pg_catalog.pg_depend u join pg_catalog.pg_index i on i.indexrelid = u.objid
   where u.classid = 'pg_catalog.pg_class'::regclass and ${onCode}
   union all
  select s.stxrelid from pg_catalog.pg_depend u join pg_catalog.pg_statistic_ext s on s.oid = u.objid
   where u.classid = 'pg_catalog.pg_statistic_ext'::regclass and ${onCode}`

/** The column of the table `c` with the least data to read; null if it has no stored column. */
export const leastColumn = `(select a.attname from pg_catalog.pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.atttypid >= 16384, a.attlen < 0, a.attlen, a.attnum limit 1)`

/** Writes a line for each row of a table. A COPY of a table is not planned. */
export const copyRows = (table: string, column: string | null) =>
  `copy ${table}${column === null ? '' : ` (${quoteIdent(column)})`} to stdout`

const lineFeed = 0x0a

/** How many rows end in a chunk of {@link copyRows}. */
export function linesIn(chunk: Uint8Array): number {
  let count = 0
  for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, at + 1)) count++
  return count
}
