import { bytesOf, isBroken, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { visible, visibleSql } from '../text.ts'
import { inSavepoint } from './savepoint.ts'
import { type Mention, mentionsIn } from './unqualified.ts'

/** A function that a restore runs: `usedBy` describes an object that needs it. */
type Used = { function: string; usedBy: string; body: string }

/**
 * Warnings about functions that a restore runs and that name something without its schema, which a restore does not search: the backup
 * then verifies, and cannot be loaded. Runs no code of the application. What is wrong is guessed from the text of the functions.
 */
export async function unqualifiedFunctions(db: Db): Promise<string[]> {
  const used = await ask<Used[]>(db, usedQuery)
  if (typeof used === 'string') return [`it was not looked at whether functions can be restored: ${used}`]
  const mentions = new Map(used.map((one) => [one.function, mentionsIn(one.body)]))
  const all = [...mentions.values()].flat().filter(({ name }) => !isBroken(name))
  if (all.length === 0) return []
  const own = await ask<Mention[]>(db, ownQuery(all))
  if (typeof own === 'string') return [`it was not looked at whether functions can be restored: ${own}`]
  const isOwn = (mention: Mention) => own.some(({ kind, name }) => kind === mention.kind && name === mention.name)
  return used.flatMap((one) => {
    const named = mentions.get(one.function)?.find(isOwn)
    return named === undefined ? [] : [warningOf(one, named)]
  })
}

const warningOf = ({ function: name, usedBy }: Used, { name: named }: Mention) =>
  visible(
    `${shown(usedBy)} needs ${visibleSql(shown(name))}, whose body names ${named} without its schema, which a restore does not search: a restore may fail until \`alter function ${visibleSql(shown(name))} set search_path = …\``,
  )

async function ask<T>(db: Db, json: string): Promise<T | string> {
  const found = await inSavepoint<{ found: string }>(db, `select ${bytesOf(json)} as found`)
  return found instanceof Error ? found.message : parseBytes<T>(found[0]!.found)
}

/** Objects whose functions run when they are made or filled. A function with a body that was parsed when it was made, or with a path of its own, finds everything. */
const usedQuery = `(select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('function', f, 'usedBy', used_by, 'body', body) order by f), '[]')
  from (
    select p.oid::pg_catalog.regprocedure::text as f, p.prosrc as body, pg_catalog.min(case
             when r.oid is null then pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
             else pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, r.ev_class, 0) end) as used_by
      from pg_catalog.pg_depend d
      join pg_catalog.pg_proc p on p.oid = d.refobjid
      join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
      left join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
     where d.refclassid = 'pg_catalog.pg_proc'::regclass and p.oid >= 16384
       and pg_catalog.to_jsonb(p)->>'prosqlbody' is null
       and not exists (select from pg_catalog.unnest(p.proconfig) c where pg_catalog.starts_with(c, 'search_path='))
       and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e')
       and (d.classid = 'pg_catalog.pg_class'::regclass and exists (
              select from pg_catalog.pg_class c where c.oid = d.objid and c.relkind in ('i', 'p') and c.relpersistence <> 't')
         or d.classid = 'pg_catalog.pg_constraint'::regclass and exists (
              select from pg_catalog.pg_constraint c where c.oid = d.objid and c.contype = 'c')
         or d.classid = 'pg_catalog.pg_attrdef'::regclass and exists (
              select from pg_catalog.pg_attrdef x join pg_catalog.pg_attribute a on a.attrelid = x.adrelid and a.attnum = x.adnum
               where x.oid = d.objid and a.attgenerated = 's')
         or d.classid = 'pg_catalog.pg_rewrite'::regclass and exists (
              select from pg_catalog.pg_class c where c.oid = r.ev_class and c.relkind = 'm' and c.relispopulated))
     group by 1, 2) x)`

/** Which of the names are those of the application or an extension, and of nothing that comes with the server. */
const ownQuery = (mentions: Mention[]) => `(select coalesce(pg_catalog.json_agg(m), '[]')
  from pg_catalog.json_array_elements(${quoteLiteral(JSON.stringify(mentions))}::json) m, lateral (
    select pg_catalog.bool_or(n.nspname = 'pg_catalog') as builtin, pg_catalog.bool_or(n.nspname !~ '^pg_' and n.nspname <> 'information_schema') as own from (
      select proname as name, pronamespace as namespace from pg_catalog.pg_proc where m->>'kind' = 'function'
      union all
      select relname, relnamespace from pg_catalog.pg_class where m->>'kind' = 'relation' and relkind in ('r', 'p', 'v', 'm', 'f')
      union all
      select typname, typnamespace from pg_catalog.pg_type where m->>'kind' = 'type') o
      join pg_catalog.pg_namespace n on n.oid = o.namespace
     where o.name = m->>'name') found
 where found.own and not found.builtin)`
