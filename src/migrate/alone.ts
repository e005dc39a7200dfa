import type { Sql } from '../db/connect.ts'
import { isConnectionLost } from '../db/sqlstate.ts'
import { type FileSettings, finishAlone, forgetAlone, type NewRow, startAlone } from './message.ts'
import type { Migration } from './types.ts'

/** `create index concurrently` waits for other transactions without standing in anybody's way: no reason to give up. */
const isPatient = ({ text }: Migration) => /\bconcurrently\b/i.test(text)

/**
 * Runs a file outside a transaction: recorded as `started` and committed, run, recorded as `applied`.
 * When the server refuses the statement the record is taken back; when the connection is lost it stays.
 *
 * @returns how long the statement took, in ms
 */
export async function runAlone(
  sql: Sql,
  file: Migration,
  row: NewRow,
  { role, lockTimeoutMs }: FileSettings,
): Promise<number> {
  await sql.unsafe(startAlone(file, row, { role, lockTimeoutMs: isPatient(file) ? 0 : lockTimeoutMs }))
  const startedAt = performance.now()
  try {
    await sql.unsafe(file.text).forEach(() => {})
  } catch (error) {
    if (!isConnectionLost(error)) await sql.unsafe(forgetAlone(row.seq))
    throw error
  }
  const durationMs = performance.now() - startedAt
  await sql.unsafe(finishAlone(row.seq, durationMs))
  return durationMs
}

/** What a failed statement may have left although nothing is recorded: the SQL that removes invalid indexes. */
export async function leftovers(sql: Sql, file: Migration): Promise<string | undefined> {
  if (!isPatient(file)) return undefined
  const [row] = await sql.unsafe<{ drops: string | null }[]>(
    `select string_agg(format('drop index concurrently %I.%I;', n.nspname, c.relname), ' ' order by c.relname) as drops
       from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where not i.indisvalid and c.relkind = 'i'`,
  )
  return row?.drops
    ? `invalid indexes are left; drop those that this file made, then run this again: ${row.drops}`
    : undefined
}
