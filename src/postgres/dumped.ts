// pure
import { quoteIdent } from '../sql/quote.ts'

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

/** The column that is the least to read of the table `c`; null where there is none that is stored. */
export const leastColumn = `(select a.attname from pg_catalog.pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     order by a.atttypid >= 16384, a.attlen < 0, a.attlen, a.attnum limit 1)`

/** Writes a line for each row of a table. COPY of a table is not planned. */
export const copyRows = (table: string, column: string | null) =>
  `copy ${table}${column === null ? '' : ` (${quoteIdent(column)})`} to stdout`

const lineFeed = 0x0a

/** How many rows a chunk of {@link copyRows} ends. */
export function linesIn(chunk: Uint8Array): number {
  let count = 0
  for (let at = chunk.indexOf(lineFeed); at >= 0; at = chunk.indexOf(lineFeed, at + 1)) count++
  return count
}
