import { AppError } from '../errors.ts'
import { bytesOf, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import { jsonList } from '../postgres/properties.ts'
import { visible } from '../text.ts'
import { someLines } from '../units.ts'
import { type Exclude, excludesSomething, type LeftOut, planLeftOut, type Relation, type Schema } from './left-out.ts'

/**
 * What `backup.exclude` leaves out of the database that `db` is connected to; undefined without such entries. Runs no code of the
 * application.
 * @throws {AppError} `backup` if what remains could not be restored
 */
export async function readLeftOut(
  db: Db,
  exclude: Exclude | undefined,
  ofImport = false,
): Promise<LeftOut | undefined> {
  if (!exclude || !excludesSomething(exclude)) return undefined
  const [row] = await db.unsafe<{ found: string }[]>(objectsQuery)
  const leftOut = planLeftOut(exclude, parseBytes<{ schemas: Schema[]; relations: Relation[] }>(row!.found))
  const { objects, rows } = await readNeeded(db, leftOut)
  const needed = [...objects, ...rows]
  if (needed.length === 0) return leftOut
  if (ofImport)
    throw new AppError(
      'backup',
      `what import.exclude leaves out is needed by what remains:\n${someLines(needed, 10).join('\n')}`,
      {
        hint: 'leave out what needs it too',
      },
    )
  throw new AppError(
    'backup',
    `what backup.exclude leaves out is needed by what remains, so the backup could not be restored:\n${someLines(needed, 10).join('\n')}`,
    {
      hint:
        objects.length > 0
          ? 'leave out what needs it too; or, where only the rows are too many, name the table in backup.exclude.tableData, which keeps the table itself'
          : 'name the tables whose rows need them in backup.exclude.tableData too',
    },
  )
}

const ours = `nspname !~ '^pg_' and nspname <> 'information_schema'`

const isMember = (catalog: string, oid: string) => `exists (select from pg_catalog.pg_depend e
  where e.classid = 'pg_catalog.${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e')`

const objectsQuery = `select ${bytesOf(`pg_catalog.json_build_object(
  'schemas', ${jsonList(`select n.oid::bigint as oid, n.nspname as name, pg_catalog.format('%I', n.nspname) as quoted
     from pg_catalog.pg_namespace n where ${ours} order by n.nspname`)},
  'relations', ${jsonList(`select c.oid::bigint as oid, n.nspname as schema, c.relname as name, pg_catalog.format('%I.%I', n.nspname, c.relname) as quoted, c.relkind as kind,
       array(select i.inhparent::bigint from pg_catalog.pg_inherits i where i.inhrelid = c.oid) as parents,
       (select d.refobjid::bigint from pg_catalog.pg_depend d where c.relkind = 'S' and d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
           and d.refclassid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0 limit 1) as owner,
       ${isMember('pg_class', 'c.oid')} as member,
       exists (select from pg_catalog.pg_extension x where c.oid = any (x.extconfig)) as configuration
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and ${ours} order by n.nspname, c.relname`)}
)`)} as found`

/** Lines about what remains and could not be restored, because it needs what is left out: objects, and rows that refer to rows. */
async function readNeeded(
  db: Db,
  { schemas, gone, tableData }: LeftOut,
): Promise<Record<'objects' | 'rows', string[]>> {
  const list = (some: Iterable<{ oid: number }>) => `'{${[...some].map(({ oid }) => oid).join(',')}}'::oid[]`
  const ask = async (query: string) => {
    const [row] = await db.unsafe<{ lines: string }[]>(query)
    return parseBytes<string[]>(row!.lines).map((line) => `  ${visible(shown(line))}`)
  }
  const relations = list(gone)
  return {
    objects: schemas.length + gone.size > 0 ? await ask(neededQuery(relations, list(schemas))) : [],
    rows: tableData.length > 0 ? await ask(referringQuery(list(tableData), relations)) : [],
  }
}

const isPartition = `d.deptype = 'a' and d.classid = 'pg_catalog.pg_class'::regclass and exists (
  select from pg_catalog.pg_class c where c.oid = d.objid and c.relispartition)`

/**
 * `gone`: what is not in the backup, with what belongs to it. The schema `public` is there in every new database, and an extension makes
 * its own again. A partition also depends on its table as if it belonged to it, but pg_dump
 * writes it all the same.
 */
const neededQuery = (relations: string, schemas: string) => `
  with recursive gone(classid, objid) as (
    (select 'pg_catalog.pg_class'::regclass::oid as classid, r as objid from pg_catalog.unnest(${relations}) r
     union
     select 'pg_catalog.pg_namespace'::regclass::oid, n.oid from pg_catalog.pg_namespace n where n.oid = any (${schemas}) and n.nspname <> 'public' and not ${isMember('pg_namespace', 'n.oid')}
     union
     select d.classid, d.objid from pg_catalog.pg_depend d
      where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = any (${schemas}) and d.deptype = 'n'
        and d.classid <> 'pg_catalog.pg_extension'::regclass
        and not exists (select from pg_catalog.pg_depend e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e'))
    union
    select d.classid, d.objid from gone g join pg_catalog.pg_depend d on d.refclassid = g.classid and d.refobjid = g.objid
     where d.deptype in ('a', 'i', 'S') and not (${isPartition})
       and not exists (select from pg_catalog.pg_depend e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e')),
  needing as (
    select d.classid, d.objid, d.refclassid, d.refobjid,
           case when d.classid = 'pg_catalog.pg_rewrite'::regclass then (select w.ev_class from pg_catalog.pg_rewrite w where w.oid = d.objid)
                when d.classid = 'pg_catalog.pg_constraint'::regclass then (select k.conrelid from pg_catalog.pg_constraint k where k.oid = d.objid)
                when d.classid = 'pg_catalog.pg_attrdef'::regclass then (select f.adrelid from pg_catalog.pg_attrdef f where f.oid = d.objid)
                when d.classid = 'pg_catalog.pg_trigger'::regclass then (select t.tgrelid from pg_catalog.pg_trigger t where t.oid = d.objid)
                when d.classid = 'pg_catalog.pg_class'::regclass then d.objid end as relation
      from gone g join pg_catalog.pg_depend d on d.refclassid = g.classid and d.refobjid = g.objid
     where (d.deptype = 'n' or ${isPartition})
       and not exists (select from gone x where x.classid = d.classid and x.objid = d.objid)
       and not exists (select from pg_catalog.pg_depend e where e.classid = d.classid and e.objid = d.objid and e.deptype = 'e'))
  select ${bytesOf(`select coalesce(pg_catalog.json_agg(line order by line), '[]') from (
    select distinct on (who) who || ' needs ' || what as line from (
      select case when classid = 'pg_catalog.pg_rewrite'::regclass and exists (select from pg_catalog.pg_class c where c.oid = relation and c.relkind in ('v', 'm'))
                    then pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, relation, 0)
                  else pg_catalog.pg_describe_object(classid, objid, 0) end as who,
             pg_catalog.pg_describe_object(refclassid, refobjid, 0) as what,
             case when refclassid = 'pg_catalog.pg_class'::regclass and refobjid = any (${relations}) then 0 else 1 end as rank
        from needing
       where not exists (select from pg_catalog.pg_class c where c.oid = relation and c.relpersistence = 't')) described
     order by who, rank, what) distinctly`)} as lines`

/** Foreign keys that would be checked in a restore, and that point at rows that are left out. */
const referringQuery = (tableData: string, gone: string) => `
  select ${bytesOf(`select coalesce(pg_catalog.json_agg(line order by line), '[]') from (
    select distinct 'the rows of ' || pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, k.conrelid, 0) || ' need those of '
           || pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, k.confrelid, 0) || ': ' || pg_catalog.quote_ident(k.conname) as line
      from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid
     where k.contype = 'f' and k.convalidated and k.confrelid = any (${tableData})
       and k.conrelid <> all (${tableData}) and k.conrelid <> all (${gone})) referring`)} as lines`
