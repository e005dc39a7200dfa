import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import type { Access, PasswordsSet } from './access.ts'

/** Reads who may log in where, from the catalogs that all databases share. @param roles users and owners that are declared */
export async function readAccess(db: Db, roles: string[]): Promise<Access> {
  const named = `(${['', ...roles].map(quoteLiteral).join(', ')})`
  const [row] = await db.unsafe<{ found: Omit<Access, 'withoutPassword'> & { mayRead: boolean } }[]>(`
    with who as (select oid, rolname::text as role, rolcanlogin, rolsuper, rolvaliduntil from pg_catalog.pg_roles where rolname::text in ${named})
    select pg_catalog.json_build_object(
      'sessionUser', session_user::text,
      'mayRead', pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select'),
      'reachable', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', role, 'database', d.datname, 'byPublic',
            exists (select from pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
                     where a.grantee = 0 and a.privilege_type = 'CONNECT')) order by role, d.datname), '[]')
          from who, pg_catalog.pg_database d
         where rolcanlogin and not rolsuper and d.datallowconn and not d.datistemplate
           and pg_catalog.has_database_privilege(who.oid, d.oid, 'connect')),
      'owned', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', role, 'database', datname, 'count', count) order by role, datname), '[]')
          from (select role, d.datname, pg_catalog.count(*) as count
                  from who join pg_catalog.pg_shdepend s on s.refobjid = who.oid and s.refclassid = 'pg_catalog.pg_authid'::regclass and s.deptype = 'o'
                  join pg_catalog.pg_database d on d.oid = s.dbid
                 where not rolsuper group by role, d.datname) o),
      'mayBecome', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', role, 'superusers', superusers) order by role), '[]')
          from (select role, pg_catalog.json_agg(s.rolname order by s.rolname) as superusers
                  from who join pg_catalog.pg_roles s on s.rolsuper and pg_catalog.pg_has_role(who.oid, s.oid,
                    case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)
                 where not who.rolsuper group by role) m),
      'expiring', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', role,
            'atMs', pg_catalog.floor(extract(epoch from rolvaliduntil) * 1000)) order by role), '[]')
          from who where rolcanlogin and rolvaliduntil < 'infinity' and rolvaliduntil > '-infinity')) as found`)
  if (!row) throw new Error('the server did not answer')
  const { mayRead, ...found } = row.found
  return { ...found, withoutPassword: mayRead ? await loginsWithoutPassword(db) : undefined }
}

async function loginsWithoutPassword(db: Db): Promise<string[]> {
  const rows = await db.unsafe<{ role: string }[]>(
    `select rolname::text as role from pg_catalog.pg_authid
      where rolcanlogin and rolpassword is null and rolname !~ '^pg_'
      order by rolname`,
  )
  return rows.map(({ role }) => role)
}

/** Reads from the audit trail when passwords were set. @param sinceMs the oldest event; undefined if none may be read */
export async function readPasswordsSet(db: Db, sinceMs: number | undefined): Promise<PasswordsSet> {
  if (sinceMs === undefined) return { setAt: new Map(), sinceMs }
  const prefix = 'password of role '
  const rows = await db.unsafe<{ object: string; ms: string }[]>(
    `select c ->> 'object' as object, pg_catalog.floor(extract(epoch from pg_catalog.max(e.at)) * 1000)::text as ms
       from pgbosun.events e, pg_catalog.jsonb_array_elements(
              case when pg_catalog.jsonb_typeof(e.detail -> 'changes') = 'array' then e.detail -> 'changes' else '[]' end) c
      where e.phase = 'finished' and c ->> 'action' = 'set' and pg_catalog.starts_with(c ->> 'object', ${quoteLiteral(prefix)})
      group by 1`,
  )
  return { setAt: new Map(rows.map(({ object, ms }) => [object.slice(prefix.length), Number(ms)])), sinceMs }
}
