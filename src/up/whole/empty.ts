import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { planningRunsCode } from '../../postgres/dumped.ts'
import type { Session } from '../../postgres/session.ts'
import { compareRows } from '../../restore/compare.ts'
import { quoteName } from '../../sql/quote.ts'
import { counted, someOf } from '../../units.ts'
import { isEmpty } from '../backup-first.ts'

/** Tables that may have a row: those with a page, and the children and partitions of others each for themselves. */
const tablesWithPages = `
  select n.nspname as schema, c.relname as name, c.oid in (${planningRunsCode}) as unplanned
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgbosun')
     and not exists (select from pg_catalog.pg_depend e
          where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')
     and pg_catalog.pg_relation_size(c.oid) > 0
   order by n.nspname, c.relname`

/**
 * A whole database is only imported in place of one without a row.
 * @throws {AppError} `seed` with the tables that have rows, and how many
 */
export async function refuseFilled({ sql }: Session, database: string): Promise<void> {
  const filled = await filledIn(sql)
  if (filled.length === 0) return
  throw new AppError(
    'seed',
    `a whole database is only imported in place of an empty one, and ${database} has rows: ${someOf(filled)}`,
    {
      hint: 'empty these tables, or set the URL to another database; where its rows are those of the source already, remove `import` from the configuration',
    },
  )
}

/** In words: `public.users (3 rows)`. */
async function filledIn(sql: Session['sql']): Promise<string[]> {
  const tables = await sql.unsafe<{ schema: string; name: string }[]>(tablesWithPages)
  const expected = Object.fromEntries(tables.map(({ schema, name }) => [quoteName(schema, name), 0]))
  const { differences, notCompared } = await compareRows(sql, expected)
  return [
    ...differences.map(({ table, actual }) => `${table} (${counted(actual ?? 0, 'row')})`),
    ...notCompared.map(({ table }) => `${table} (which this user may not read)`),
    ...((await hasLargeObjects(sql)) ? ['large objects'] : []),
  ]
}

async function hasLargeObjects(db: Db): Promise<boolean> {
  const rows = await db.unsafe('select from pg_catalog.pg_largeobject_metadata limit 1')
  return rows.length > 0
}

/** Whether a database that gave way may be dropped: nobody has made anything in it. */
export const mayBeDropped = async ({ sql }: Session): Promise<boolean> =>
  (await isEmpty(sql)) && (await filledIn(sql)).length === 0
