import type { Sql } from './postgres.ts'

/**
 * What a schema is made of, one line each: columns with type, default and not null, constraints, indexes, sequences.
 * Two tables that `pg_dump -s` would write alike give the same lines.
 */
export async function shapeOf(sql: Sql, schema: string): Promise<string[]> {
  const rows = await sql.unsafe<{ line: string }[]>(
    `select format('column %s.%s %s%s%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then ' not null' else '' end,
        coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''), a.attidentity) as line
      from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where c.relnamespace = $1::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
    union all select format('constraint %s %s', conname, pg_get_constraintdef(oid)) from pg_constraint where connamespace = $1::regnamespace
    union all select format('index %s', pg_get_indexdef(indexrelid)) from pg_index join pg_class on oid = indrelid where relnamespace = $1::regnamespace
    union all select format('sequence %s %s', relname, format_type(seqtypid, null)) from pg_sequence join pg_class on oid = seqrelid where relnamespace = $1::regnamespace
    order by 1`,
    [schema],
  )
  return rows.map(({ line }) => line)
}
