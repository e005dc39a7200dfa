import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import type { Db } from './db.ts'
import type { SequenceUse } from './sequence-use.ts'

/**
 * The sequences of a column `a` with the type `t`: those of a serial or an identity, which belong to the column, and those that the default
 * of the column, or of its domain, depends on, however it is written and whoever owns them.
 */
export const sequencesQuery = `
  select coalesce(pg_catalog.json_agg(distinct pg_catalog.format('%I.%I', sn.nspname, s.relname)), '[]'::json)
    from pg_catalog.pg_depend d
    join pg_catalog.pg_class s on s.relkind = 'S' and s.oid = case when d.deptype in ('a', 'i') then d.objid else d.refobjid end
    join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
   where d.deptype in ('a', 'i') and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = d.classid
         and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
      or d.deptype = 'n' and d.refclassid = 'pg_catalog.pg_class'::regclass and (
         d.classid = 'pg_catalog.pg_attrdef'::regclass
           and d.objid = (select f.oid from pg_catalog.pg_attrdef f where f.adrelid = a.attrelid and f.adnum = a.attnum)
      or d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid and t.typtype = 'd' and not a.atthasdef)`

/**
 * Inserting explicit values does not advance a sequence: the application's next row would get a number that exists already. If a default
 * computes its value from the number, the sequence may be advanced further than needed, which only skips numbers.
 * @param table as SQL
 */
export async function advanceSequences(
  tx: Db,
  { table, sequences }: { table: string; sequences: readonly SequenceUse[] },
): Promise<void> {
  for (const { sequence, columns } of sequences) {
    const furthest = (aggregate: 'max' | 'min') =>
      columns.map((column) => furthestIn(table, column, aggregate)).join(', ')
    await tx.unsafe(`
      select pg_catalog.setval(${quoteLiteral(sequence)}, newest)
        from (select case when q.seqincrement > 0 then greatest(${furthest('max')}) else least(${furthest('min')}) end as newest, q.seqincrement
                from pg_catalog.pg_sequence q where q.seqrelid = pg_catalog.to_regclass(${quoteLiteral(sequence)})) t, ${sequence} s
       where case when seqincrement > 0 then (newest, true) > (s.last_value, s.is_called)
                  else newest < s.last_value or newest = s.last_value and not s.is_called end`)
  }
}

/**
 * The furthest number in a column that the sequence `q` can reach, as SQL. With an index on the column it is fast however many rows there
 * are. In a text such as `INV-0042` the last number counts.
 */
function furthestIn(table: string, { name, text }: { name: string; text: boolean }, aggregate: 'max' | 'min'): string {
  const column = `r.${quoteIdent(name)}`
  const [number, rows] = text
    ? ['n', `, lateral (select (pg_catalog.regexp_match(${column}::text, '(\\d{1,18})\\D*$'))[1]::numeric) x (n)`]
    : [column, '']
  const found = `select pg_catalog.${aggregate}(${number}) from ${table} r${rows} where ${number} between q.seqmin and q.seqmax`
  return `pg_catalog.ceil((${found})::numeric)::bigint`
}
