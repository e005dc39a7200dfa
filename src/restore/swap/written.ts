import type { Db } from '../../postgres/db.ts'
import { quoteLiteral, quoteName, splitName } from '../../sql/quote.ts'

/** What the server counted of a table since it was restored. Undefined: unknown. */
export type Written = { table: string; inserts: number | undefined; updates: number; deletes: number }

type Counters = { schema: string; name: string; shown: string; ins: string; upd: string; del: string }

/**
 * What was written into the database of the session since it was restored, as the statistics counted it: about, because they come late and
 * count what was rolled back too.
 *
 * @param since when it was restored, by the clock of the server
 * @param rows rows per table that were loaded, which are counted as inserts too; undefined: unknown
 * @returns undefined if the server was started or the statistics were reset since
 */
export async function readWritten(
  db: Db,
  { since, rows }: { since: string; rows: Record<string, number> | undefined },
): Promise<Written[] | undefined> {
  const [known] = await db.unsafe<{ known: boolean }[]>(
    `select pg_catalog.pg_postmaster_start_time() < ${quoteLiteral(since)}::timestamptz
            and coalesce(stats_reset < ${quoteLiteral(since)}::timestamptz, true) as known
       from pg_catalog.pg_stat_database where datname = pg_catalog.current_database()`,
  )
  if (!known?.known) return undefined
  const loaded = new Map(
    Object.entries(rows ?? {}).map(([table, count]) => {
      const { schema, name } = splitName(table)
      return [quoteName(schema, name), count]
    }),
  )
  const counted = await db.unsafe<Counters[]>(
    `select schemaname as schema, relname as name, pg_catalog.format('%I.%I', schemaname, relname) as shown, n_tup_ins as ins, n_tup_upd as upd, n_tup_del as del
       from pg_catalog.pg_stat_user_tables where schemaname <> 'pgbosun' order by schemaname, relname`,
  )
  return counted
    .map(({ schema, name, shown, ins, upd, del }) => {
      const before = rows && (loaded.get(quoteName(schema, name)) ?? 0)
      const inserts = before === undefined ? undefined : Math.max(0, Number(ins) - before)
      return { table: shown, inserts, updates: Number(upd), deletes: Number(del) }
    })
    .filter(({ inserts, updates, deletes }) => inserts !== 0 || updates !== 0 || deletes !== 0)
}
