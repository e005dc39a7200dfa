import type { Db } from '../../postgres/db.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { type Replaced, readReplaced, replacedPattern } from './story.ts'

/** A database that was replaced, and waits until a person discards it. */
export type ReplacedDatabase = { name: string; story: Replaced; sizeBytes: number; sessions: number }

/** The databases that were replaced, newest first. @param of only those that had this name */
export async function readReplacedDatabases(db: Db, of?: string): Promise<ReplacedDatabase[]> {
  const rows = await db.unsafe<{ name: string; comment: string | null; size: string; sessions: number }[]>(
    `select d.datname as name, pg_catalog.shobj_description(d.oid, 'pg_database') as comment,
            case when pg_catalog.has_database_privilege(d.oid, 'connect') or pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'usage')
                 then pg_catalog.pg_database_size(d.oid) else 0 end as size,
            (select pg_catalog.count(*)::int from pg_catalog.pg_stat_activity a where a.datid = d.oid) as sessions
       from pg_catalog.pg_database d where d.datname ~ ${quoteLiteral(replacedPattern)}`,
  )
  return rows
    .flatMap(({ name, comment, size, sessions }) => {
      const story = readReplaced(name, comment)
      return story && (of === undefined || story.of === of) ? [{ name, story, sizeBytes: Number(size), sessions }] : []
    })
    .sort((a, b) => (a.story.replaced_at < b.story.replaced_at ? 1 : -1))
}
