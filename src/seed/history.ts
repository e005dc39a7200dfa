import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { callRecorder } from '../state/recorder.ts'
import type { LoadedSeed } from './types.ts'

/** The seeds that were loaded before, by name; none while the state does not exist. */
export async function seedHistory(db: Db): Promise<LoadedSeed[]> {
  const [found] = await db.unsafe<{ exists: boolean }[]>(
    `select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'seeds') as "exists"`,
  )
  if (!found?.exists) return []
  return [...(await db.unsafe<LoadedSeed[]>('select name, checksum from pgbosun.seeds order by name'))]
}

/**
 * Records that a seed was loaded. Call it in the transaction that loads the seed.
 * @param by `recorder`: the procedure that does it, for a session that may not write the state itself
 */
export const recordSeed = (
  db: Db,
  { name, checksum }: LoadedSeed,
  rows: number,
  { toolVersion, recorder }: { toolVersion: string; recorder?: string | undefined },
) =>
  db.unsafe(
    recorder !== undefined
      ? callRecorder(recorder, 'insert', 'seeds', { name, checksum, rows, tool_version: toolVersion })
      : `insert into pgbosun.seeds as s (name, checksum, rows, applied_at, tool_version)
     values (${quoteLiteral(name)}, ${quoteLiteral(checksum)}, ${rows}, pg_catalog.clock_timestamp(), ${quoteLiteral(toolVersion)})
     on conflict (name) do update set checksum = excluded.checksum, rows = excluded.rows,
       applied_at = excluded.applied_at, tool_version = excluded.tool_version`,
  )
