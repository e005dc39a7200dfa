import type { Db } from '../../postgres/db.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { type Replaced, readReplaced, replacedPattern } from './story.ts'

/** A database that was replaced, and waits until a person discards it. */
export type ReplacedDatabase = { name: string; story: Replaced; sizeBytes: number; sessions: number }

/**
 * The databases that were replaced, newest first. The owner of a database can give it any name and comment, so it only counts if it belongs
 * to whom the database in its place belongs, to the session user, or to a superuser.
 *
 * @param of only those that had this name
 */
export async function readReplacedDatabases(db: Db, of?: string): Promise<ReplacedDatabase[]> {
  const rows = await db.unsafe<Row[]>(
    `select d.datname as name, r.rolname as owner, r.rolsuper or r.rolname = session_user as trusted, pg_catalog.shobj_description(d.oid, 'pg_database') as comment,
            case when pg_catalog.has_database_privilege(d.oid, 'connect') or pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'usage')
                 then pg_catalog.pg_database_size(d.oid) else 0 end as size,
            (select pg_catalog.count(*)::int from pg_catalog.pg_stat_activity a where a.datid = d.oid) as sessions
       from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba where d.datname ~ ${quoteLiteral(replacedPattern)}`,
  )
  const owners = await readOwners(db)
  return rows
    .flatMap(({ name, owner, trusted, comment, size, sessions }) => {
      const story = readReplaced(name, comment)
      if (!story || (of !== undefined && story.of !== of) || !(trusted || owners.get(story.of) === owner)) return []
      return [{ name, story, sizeBytes: Number(size), sessions }]
    })
    .sort((a, b) => (a.story.replaced_at < b.story.replaced_at ? 1 : -1))
}

type Row = { name: string; owner: string; trusted: boolean; comment: string | null; size: string; sessions: number }

/** The owner of each database, by its name. */
async function readOwners(db: Db): Promise<Map<string, string>> {
  const rows = await db.unsafe<{ name: string; owner: string }[]>(
    'select datname as name, pg_catalog.pg_get_userbyid(datdba) as owner from pg_catalog.pg_database',
  )
  return new Map(rows.map(({ name, owner }) => [name, owner]))
}
