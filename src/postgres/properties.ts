// pure
import { localeFields } from './locale.ts'

/** The rows of a query as a JSON list. */
export const jsonList = (rows: string) => `coalesce((select pg_catalog.json_agg(x) from (${rows}) x), '[]')`

/**
 * The properties of a database as JSON, as they stand in a manifest, from a row `d` of pg_database. Columns that only some versions have
 * are read from the row as JSON.
 */
export const databaseProperties = `pg_catalog.json_build_object(
  'name', d.datname, 'owner', pg_catalog.pg_get_userbyid(d.datdba), ${localeFields},
  'collation_version', pg_catalog.to_jsonb(d)->>'datcollversion',
  'tablespace', (select s.spcname from pg_catalog.pg_tablespace s where s.oid = d.dattablespace), 'connection_limit', d.datconnlimit,
  'acl', case when d.datacl is not null then ${jsonList(`
    select case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee)::text end as grantee,
           a.privilege_type as privilege, a.is_grantable as grantable
      from pg_catalog.aclexplode(d.datacl) a order by 1, 2`)} end,
  'settings', ${jsonList(`
    select r.rolname as role, pg_catalog.split_part(c, '=', 1) as name, pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1) as value
      from pg_catalog.pg_db_role_setting s left join pg_catalog.pg_roles r on r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c
     where s.setdatabase = d.oid order by 1 nulls first, 2`)},
  'comment', pg_catalog.shobj_description(d.oid, 'pg_database'), 'size_bytes', pg_catalog.pg_database_size(d.oid))`
