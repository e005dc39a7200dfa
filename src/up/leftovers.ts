import { type Found, type Leftover, leftoversIn, type ReadStory } from '../check/leftovers.ts'
import { isScratch, type ScratchStory } from '../check/scratch/name.ts'
import type { Db } from '../postgres/db.ts'
import { runKey } from '../postgres/lock-keys.ts'
import { readLabel } from '../restore/name.ts'
import { readReplaced } from '../restore/swap/story.ts'

/** The databases that restores and comparisons left behind, and those that restores replaced, by name. @param db any session on the server */
export async function readLeftovers(db: Db): Promise<Leftover[]> {
  const [row] = await db.unsafe<{ found: Found[]; held: number[] }[]>(`
    select (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('database', d.datname, 'comment', s.description,
              'sizeBytes', case when pg_catalog.has_database_privilege(d.oid, 'connect') or pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'usage')
                then pg_catalog.pg_database_size(d.oid) end) order by d.datname), '[]')
              from pg_catalog.pg_database d join pg_catalog.pg_shdescription s on s.classoid = 'pg_catalog.pg_database'::regclass and s.objoid = d.oid
             where s.description like '{%"pgbosun"%') as found,
           (select coalesce(pg_catalog.json_agg(l.objid::int8::bit(32)::int4), '[]')
              from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.classid = ${runKey} and l.objsubid = 2 and l.granted) as held`)
  return leftoversIn(row?.found ?? [], row?.held ?? [], readStory)
}

const readStory: ReadStory = (database, comment) => {
  const restore = readLabel(database, comment)
  if (restore) return { kind: 'restore', of: restore.into, lock: restore.into }
  const replaced = readReplaced(database, comment ?? null)
  if (replaced) return { kind: 'replaced', of: replaced.of }
  if (isScratch(database, comment)) {
    const { of } = JSON.parse(comment ?? '') as ScratchStory
    return { kind: 'shadow', of, lock: database }
  }
  return undefined
}
