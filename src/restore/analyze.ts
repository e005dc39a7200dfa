import type { Db } from '../postgres/db.ts'
import { quoteName } from '../sql/quote.ts'

/**
 * Gathers statistics of the plain tables and materialised views that the session user owns, or whose owner it may act as: code in index
 * expressions runs as the owner. Skips tables with foreign tables below them, which would query another server.
 */
export async function analyze(sql: Db): Promise<void> {
  const rows = await sql.unsafe<{ namespace: string; name: string }[]>(`
    select n.nspname as namespace, c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and pg_catalog.pg_has_role(c.relowner, 'USAGE')
       and not exists (
         with recursive below (oid) as (select c.oid union select i.inhrelid from pg_catalog.pg_inherits i join below on below.oid = i.inhparent)
         select from below join pg_catalog.pg_class f on f.oid = below.oid where f.relkind = 'f')
     order by 1, 2`)
  for (let i = 0; i < rows.length; i += 100)
    await sql.unsafe(
      `analyze ${rows
        .slice(i, i + 100)
        .map(({ namespace, name }) => quoteName(namespace, name))
        .join(', ')}`,
    )
}
