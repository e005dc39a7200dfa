import { bytesOf, parseBytes, shown } from '../postgres/bytes.ts'
import type { Db } from '../postgres/db.ts'
import type { Access } from './preflight.ts'

/** Finds what the session's role may not read in the database, and what pg_dump would leave out. Every role may run this. */
export async function readAccess(db: Db): Promise<Access> {
  const [row] = await db.unsafe<{ access: string }[]>(query)
  const access = parseBytes<Access>(row!.access)
  return Object.fromEntries(
    Object.entries(access).map(([key, value]) => [key, Array.isArray(value) ? value.map(shown) : value]),
  ) as Access
}

const names = (rows: string) => `coalesce((select pg_catalog.json_agg(x.name order by x.name) from (${rows}) x), '[]')`

/** Everything except what comes with the server or with an extension. */
const relations = `rel as materialized (
  select c.oid, c.relkind, c.relnamespace, pg_catalog.format('%I.%I', n.nspname, c.relname) as name, c.relrowsecurity
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'S') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     and not exists (select from pg_catalog.pg_depend e
          where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'))`

/** From 19 on, pg_read_all_data covers large objects too. */
const readsAllObjects = `exists (select from pg_catalog.pg_roles r where r.rolname = 'pg_read_all_data'
  and pg_catalog.current_setting('server_version_num')::int >= 190000 and pg_catalog.pg_has_role(r.oid, 'USAGE'))`

const readableObject = `(pg_catalog.current_setting('lo_compat_privileges')::boolean or ${readsAllObjects} or pg_catalog.pg_has_role(l.lomowner, 'USAGE') or exists (
  select from pg_catalog.aclexplode(l.lomacl) a
   where a.privilege_type = 'SELECT' and (a.grantee = 0 or pg_catalog.pg_has_role(a.grantee, 'USAGE'))))`

const query = `with me as materialized (
  select rolname, rolsuper from pg_catalog.pg_roles where rolname = current_user), ${relations}
select ${bytesOf(`pg_catalog.json_build_object(
  'role', me.rolname, 'superuser', me.rolsuper, 'major', pg_catalog.current_setting('server_version_num')::int / 10000,
  'schemas', ${names(`select distinct pg_catalog.quote_ident(n.nspname) as name from rel join pg_catalog.pg_namespace n on n.oid = rel.relnamespace
     where not pg_catalog.has_schema_privilege(n.oid, 'USAGE')`)},
  'tables', ${names(`select name from rel where relkind <> 'S' and not pg_catalog.has_table_privilege(oid, 'SELECT')`)},
  'sequences', ${names(`select name from rel where relkind = 'S' and not pg_catalog.has_table_privilege(oid, 'SELECT')`)},
  'rowSecurity', ${names('select name from rel where relrowsecurity and pg_catalog.row_security_active(oid)')},
  'largeObjects', (select pg_catalog.count(*) from pg_catalog.pg_largeobject_metadata l where not me.rolsuper and not ${readableObject}),
  'userMappings', ${names(`select pg_catalog.format('%s on %s', usename, srvname) as name from pg_catalog.pg_user_mappings where umoptions is null`)},
  'subscriptions', ${names(`select subname as name from pg_catalog.pg_subscription
     where subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())`)}
)`)} as access from me`
