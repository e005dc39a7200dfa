// pure
import { quoteIdent } from '../sql/quote.ts'

/** The first rows of a table by its primary key: how many, and the MD5 of their texts. */
export type Sample = { rows: number; md5: string }

/** How a table can be sampled: its stored columns, and its primary key. `text`: the order of the column depends on a collation. */
export type Sampling = { columns: string[]; key: { name: string; text: boolean }[] }

/** So many rows are read of each table. */
const sampleRows = 100

/** Settings with which a row has the same text on every server. */
export const sampleSettings = [
  "set datestyle to 'ISO, YMD'",
  'set intervalstyle to postgres',
  "set timezone to 'UTC'",
  'set extra_float_digits to 1',
  'set bytea_output to hex',
  "set lc_monetary to 'C'",
  'set quote_all_identifiers to off',
].join('; ')

/** Types that are compared by code of the server alone, and in the same way on every server. */
const ordered = ['"char"', 'bool', 'bytea', 'date', 'int2', 'int4', 'int8', 'numeric', 'oid', 'time', 'timetz']
  .concat(['timestamp', 'timestamptz', 'uuid', 'inet', 'cidr', 'macaddr', 'text', 'varchar', 'bpchar', 'name'])
  .map((type) => `'pg_catalog.${type}'::regtype`)
  .join(', ')

/** The {@link Sampling} of the table `c` as JSON; null if it has no primary key, or one in whose order code of others has a say. */
export const samplingField = `(
  select case when pg_catalog.bool_and(coalesce(nullif(y.typbasetype, 0), y.oid) in (${ordered}) and o.opcnamespace = 'pg_catalog'::regnamespace)
    then pg_catalog.json_build_object(
      'key', pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'text', a.attcollation <> 0) order by k.n),
      'columns', (select pg_catalog.json_agg(s.attname order by s.attname) from pg_catalog.pg_attribute s
                   where s.attrelid = c.oid and s.attnum > 0 and not s.attisdropped and s.attgenerated = '')) end
    from pg_catalog.pg_index i
    cross join pg_catalog.unnest(i.indkey::int2[]) with ordinality k (attnum, n)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    join pg_catalog.pg_type y on y.oid = a.atttypid
    join pg_catalog.pg_opclass o on o.oid = i.indclass[k.n - 1]
   where i.indrelid = c.oid and i.indisprimary and i.indisvalid and k.n <= i.indnkeyatts)`

/**
 * Reads the {@link Sample} of a table. It runs no code of the application: rows become text by the functions of their types, never by a
 * cast, which anybody may define for a row of their own table.
 *
 * @param table quoted; planning a query of it must run no code either: see `planningRunsCode`
 */
export function sampleQuery(table: string, { columns, key }: Sampling): string {
  const list = columns.map(quoteIdent)
  const order = key.map(({ name, text }) => `${quoteIdent(name)}${text ? ' collate pg_catalog."C"' : ''}`)
  return `select pg_catalog.count(*)::int as rows, pg_catalog.md5(coalesce(pg_catalog.string_agg(line, '' order by n), '')) as md5
    from (select pg_catalog.row_number() over () as n,
                 pg_catalog.md5(pg_catalog.textin(pg_catalog.record_out(row(${list.map((name) => `t.${name}`).join(', ')})))) as line
            from (select ${list.join(', ')} from only ${table} order by ${order.join(', ')} limit ${sampleRows}) t) r`
}
