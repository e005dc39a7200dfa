import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

/**
 * Why pending migrations must not be applied by themselves: the database was restored, and one of them may be what destroyed the data.
 * In `pgbosun.state.hold`.
 */
export type Hold = {
  since: string
  /** The backup that was restored. */
  backup: string
  /** When the backup was taken. */
  taken_at: string
  /** The name of the database that was replaced; null if its contents were, in place. */
  replaced: string | null
}

/** What was read together with the version of the state, so that a run asks once. */
const known = new WeakMap<Db, Hold | undefined>()

/** Notes what {@link readHold} answers from now on. @param db a session that only reads */
export const noteHold = (db: Db, hold: Hold | undefined) => known.set(db, hold)

/** The hold on the database of the session; undefined if there is none, or no state with a place for one. */
export async function readHold(db: Db): Promise<Hold | undefined> {
  if (known.has(db)) return known.get(db)
  const [found] = await db.unsafe(
    `select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
      where c.relnamespace = pg_catalog.to_regnamespace('pgbosun') and c.relname = 'state' and c.relkind = 'r' and a.attname = 'hold'
        and pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')`,
  )
  if (!found) return undefined
  const [row] = await db.unsafe<{ hold: Hold | null }[]>(`select hold from only pgbosun.state`)
  return row?.hold ?? undefined
}

/** Writes it. @param hold undefined: none any more */
export const holdStatement = (hold: Hold | undefined) =>
  `update pgbosun.state set hold = ${hold ? `${quoteLiteral(JSON.stringify(hold))}::pg_catalog.jsonb` : 'null'}`

/** Ends a hold. */
export const endHold = (db: Db) => db.unsafe(holdStatement(undefined))
