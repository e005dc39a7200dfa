import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { callRecorder } from '../state/recorder.ts'

/** A row of pgbosun.imports, before it is written. */
export type ImportRecord = { name: string; source: Record<string, unknown>; rows: number }

/** Whether an import is recorded as done; not while the state does not exist. */
export async function isImported(db: Db, name: string): Promise<boolean> {
  const [found] = await db.unsafe<{ exists: boolean }[]>(
    `select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'pgbosun' and c.relname = 'imports') as "exists"`,
  )
  if (!found?.exists) return false
  const rows = await db.unsafe(`select from pgbosun.imports where name = ${quoteLiteral(name)}`)
  return rows.length > 0
}

/**
 * Records an import. Call it in the transaction that writes the rows.
 * @param by `recorder`: the procedure that does it, for a session that may not write the state itself
 */
export const recordImport = (
  db: Db,
  { name, source, rows }: ImportRecord,
  { toolVersion, recorder }: { toolVersion: string; recorder?: string | undefined },
) =>
  db.unsafe(
    recorder !== undefined
      ? callRecorder(recorder, 'insert', 'imports', { name, source, rows, tool_version: toolVersion })
      : `insert into pgbosun.imports (name, source, rows, imported_at, tool_version)
     values (${quoteLiteral(name)}, ${quoteLiteral(JSON.stringify(source))}::jsonb, ${rows}, pg_catalog.clock_timestamp(), ${quoteLiteral(toolVersion)})`,
  )
