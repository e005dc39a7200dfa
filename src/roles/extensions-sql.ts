import { quoteLiteral } from '../sql/quote.ts'

const values = (names: string[]) => names.map((name) => `(${quoteLiteral(name)})`).join(', ')

/**
 * SQL: of these extensions, those whose control file names their schema. Only reads the server's folder of extensions, which is slow, if
 * one of them is not installed.
 */
export const withSchema = (names: string[]) =>
  names.length === 0
    ? `'[]'::json`
    : `case when exists (select from (values ${values(names)}) w (name)
        where not exists (select from pg_catalog.pg_extension e where e.extname = w.name)) then (
        select coalesce(pg_catalog.json_agg(distinct v.name::text), '[]'::json) from pg_catalog.pg_available_extension_versions v
         where v.schema is not null and v.name::text in (values ${values(names)})) else '[]'::json end`

/**
 * SQL: of these extensions, those that are installed, with what DROP EXTENSION without CASCADE would refuse to drop: everything with a
 * normal dependency on the extension, its members or their parts. Members of another extension, and their parts, count
 * as that extension.
 */
export const unwantedExtensions = (names: string[]) =>
  names.length === 0
    ? `'[]'::json`
    : `(select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', e.extname, 'neededBy', needing.first, 'needs', needing.number,
          'tables', needing.tables) order by e.extname), '[]'::json)
     from pg_catalog.pg_extension e cross join lateral (
       with recursive parts (class, id) as (
         select 'pg_catalog.pg_extension'::regclass::oid, e.oid
         union
         select d.classid, d.objid from parts join pg_catalog.pg_depend d on d.refclassid = parts.class and d.refobjid = parts.id
          where d.deptype <> 'n'),
       needing (name) as (
         select distinct pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
           from parts join pg_catalog.pg_depend d on d.refclassid = parts.class and d.refobjid = parts.id
          where d.deptype = 'n' and (d.classid, d.objid) not in (select class, id from parts)
            and not exists (select from pg_catalog.pg_depend m where m.classid = d.classid and m.objid = d.objid and m.deptype = 'e')
            and not exists (select from pg_catalog.pg_depend p join pg_catalog.pg_depend m on m.classid = p.refclassid and m.objid = p.refobjid
              where p.classid = d.classid and p.objid = d.objid and p.deptype in ('a', 'i') and m.deptype = 'e'))
       select (select coalesce(pg_catalog.json_agg(name), '[]'::json) from (select name from needing order by name collate "C" limit 3) few) as first,
              (select pg_catalog.count(*) from needing) as number,
              (select pg_catalog.count(*) from parts join pg_catalog.pg_class c on c.oid = parts.id
                where parts.class = 'pg_catalog.pg_class'::regclass and c.relkind in ('r', 'p')) as tables) needing
    where e.extname::text in (values ${values(names)}))`
