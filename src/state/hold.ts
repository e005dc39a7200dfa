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
  /** The name of the database that was replaced. */
  replaced: string
}

/** The row of a state that has a place for a hold. One text for all who ask, so that a run asks once. */
export const stateRow = 'select version, hold from only pgbosun.state'

/** The hold on the database of the session; undefined if there is none, or no state with a place for one. */
export async function readHold(db: Db): Promise<Hold | undefined> {
  const [found] = await db.unsafe(
    `select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
      where c.relnamespace = pg_catalog.to_regnamespace('pgbosun') and c.relname = 'state' and c.relkind = 'r' and a.attname = 'hold'
        and pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')`,
  )
  if (!found) return undefined
  const [row] = await db.unsafe<{ hold: Hold | null }[]>(stateRow)
  return row?.hold ?? undefined
}

/** Writes it. @param hold undefined: none any more */
export const holdStatement = (hold: Hold | undefined) =>
  `update pgbosun.state set hold = ${hold ? `${quoteLiteral(JSON.stringify(hold))}::pg_catalog.jsonb` : 'null'}`

/** Ends a hold. */
export const endHold = (db: Db) => db.unsafe(holdStatement(undefined))
