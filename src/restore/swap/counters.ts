import type { Db } from '../../postgres/db.ts'
import { quoteLiteral } from '../../sql/quote.ts'

/** What the server has counted in a database since its statistics were reset. Numbers as text: they have no limit. */
export type Counters = {
  /** Sessions of clients; null before PostgreSQL 14, which does not count them. */
  sessions: string | null
  /** Rows inserted, updated and deleted, in catalogs too. */
  rows: string
  /** When the counting began, as the server writes it; null: never reset. */
  reset: string | null
}

/** The counters of a database; undefined where the server has none. Up to PostgreSQL 14 they come late. */
export async function readCounters(db: Db, database: string): Promise<Counters | undefined> {
  const [row] = await db.unsafe<{ sessions: string | null; rows: string; reset: string | null }[]>(
    `select pg_catalog.to_jsonb(s) ->> 'sessions' as sessions, (s.tup_inserted + s.tup_updated + s.tup_deleted)::text as rows,
            s.stats_reset::text as reset
       from pg_catalog.pg_stat_database s where s.datname = ${quoteLiteral(database)}`,
  )
  return row && { sessions: row.sessions, rows: row.rows, reset: row.reset }
}
