import { ofOneKind, type Warning } from '../plan.ts'
import { bytesOf, isBroken, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import { isServerError } from '../postgres/server-error.ts'
import { quoteName } from '../sql/quote.ts'
import { visible } from '../text.ts'

export type AnalyzeOptions = {
  /** How long one table may take. It is a sample, so even a huge table takes seconds. */
  timeoutMs?: number
  warn(warning: Warning): void
}

/**
 * Gathers statistics of the plain tables and materialised views that the session user owns, or whose owner it may act as: code in index
 * expressions runs as the owner. Skips tables with foreign tables below them, which would query another server. A table that fails, or
 * takes too long, is only warned of: its data are complete.
 *
 * @param sql a session outside a transaction, without a `statement_timeout`
 */
export async function analyze(sql: Db, { timeoutMs = 600_000, warn }: AnalyzeOptions): Promise<void> {
  const tables = await readTables(sql)
  const failures: string[] = []
  await sql.unsafe(`set statement_timeout to ${timeoutMs}`)
  for (const table of tables)
    if (isBroken(table))
      failures.push(`no statistics were gathered of ${shown(table)}, whose name is not valid UTF-8; ${hint}`)
    else
      try {
        await sql.unsafe(`analyze ${table}`)
      } catch (error) {
        if (!isServerError(error) || isConnectionLost(error)) throw error
        failures.push(`no statistics were gathered of ${visible(`${table}: ${error.message}`)}; ${hint}`)
      }
  await sql.unsafe('set statement_timeout to 0')
  for (const warning of ofOneKind(failures)) warn(warning)
}

const hint = 'until `analyze` succeeds there, its queries may be slow'

async function readTables(sql: Db): Promise<string[]> {
  const [row] = await sql.unsafe<{ tables: string }[]>(`
    select ${bytesOf("coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.relname) order by n.nspname, c.relname), '[]')")} as tables
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and pg_catalog.pg_has_role(c.relowner, 'USAGE')
       and not exists (
         with recursive below (oid) as (select c.oid union select i.inhrelid from pg_catalog.pg_inherits i join below on below.oid = i.inhparent)
         select from below join pg_catalog.pg_class f on f.oid = below.oid where f.relkind = 'f')`)
  return parseBytes<[string, string][]>(row!.tables).map(([namespace, name]) => quoteName(namespace, name))
}
