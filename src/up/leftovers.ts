import { type Found, type Leftover, leftoversIn, type ReadStory } from '../check/leftovers.ts'
import { isScratch, type ScratchStory } from '../check/scratch/name.ts'
import type { Db } from '../postgres/db.ts'
import { runKey } from '../postgres/lock-keys.ts'
import { disabledIn, loginName, readLabel } from '../restore/name.ts'
import { readReplaced } from '../restore/swap/story.ts'

/** The databases that restores and comparisons left behind, and those that restores replaced, by name. @param db any session on the server */
export async function readLeftovers(db: Db): Promise<Leftover[]> {
  const [row] = await db.unsafe<{ found: Owned[]; owners: Record<string, string>; held: number[] }[]>(`
    select (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('database', d.datname, 'comment', s.description, 'owner', o.rolname, 'trusted', o.rolsuper or o.rolname = session_user,
              'sizeBytes', case when pg_catalog.has_database_privilege(d.oid, 'connect') or pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'usage')
                then pg_catalog.pg_database_size(d.oid) end) order by d.datname), '[]')
              from pg_catalog.pg_database d join pg_catalog.pg_shdescription s on s.classoid = 'pg_catalog.pg_database'::regclass and s.objoid = d.oid
              join pg_catalog.pg_roles o on o.oid = d.datdba
             where s.description like '{%"pgbosun"%') as found,
           (select pg_catalog.json_object_agg(datname, pg_catalog.pg_get_userbyid(datdba)) from pg_catalog.pg_database) as owners,
           (select coalesce(pg_catalog.json_agg(l.objid::int8::bit(32)::int4), '[]')
              from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.classid = ${runKey} and l.objsubid = 2 and l.granted) as held`)
  const { found = [], owners = {}, held = [] } = row ?? {}
  const believed = found.filter((one) => isBelieved(one, owners))
  return leftoversIn(
    believed.map(({ owner: _owner, trusted: _trusted, ...rest }) => rest),
    held,
    readStory,
  )
}

type Owned = Found & { owner: string; trusted: boolean }

/**
 * The owner of a database can give it any name and comment: its story counts only if it belongs to whom the database it tells of belongs,
 * to the session user, to a superuser, or to the login of that restore.
 */
function isBelieved({ database, comment, owner, trusted }: Owned, owners: Record<string, string>): boolean {
  const of = readStory(database, comment)?.of
  const restore = readLabel(database, comment)
  return (
    trusted || (of !== undefined && owners[of] === owner) || (restore !== undefined && loginName(restore) === owner)
  )
}

const readStory: ReadStory = (database, comment) => {
  const restore = readLabel(database, comment)
  if (restore) return { kind: restore.pgbosun, of: restore.into, lock: restore.into, disabled: disabledIn(restore) }
  const replaced = readReplaced(database, comment ?? null)
  if (replaced) return { kind: 'replaced', of: replaced.of, disabled: disabledIn(replaced) }
  if (isScratch(database, comment)) {
    const { of } = JSON.parse(comment ?? '') as ScratchStory
    return { kind: 'shadow', of, lock: database }
  }
  return undefined
}
