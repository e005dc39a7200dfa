import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'
import type { MembershipOptions } from './types.ts'

/** What depends on a role in one database, or (`database` null) on the server as a whole. Numbers of objects. */
export type Dependents = {
  database: string | null
  /** Whether the database accepts connections. */
  reachable: boolean
  owned: number
  /** How many of them are extensions or languages. */
  extensions: number
  /** Access lists, default privileges, policies and user mappings that name the role. */
  named: number
}

/** A role that exists and is declared absent. */
export type DoomedRole = {
  name: string
  superuser: boolean
  login: boolean
  sessions: number
  dependents: Dependents[]
  /** Databases and tablespaces of the role, in words. */
  shared: { kind: 'database' | 'tablespace'; name: string }[]
  /** Memberships of others that this role granted, with what they and those of the bootstrap superuser allow. */
  granted: ({ role: string; member: string } & MembershipOptions)[]
}

/** Reads which of these roles exist, and what depends on them in all databases. One round trip. */
export async function readDoomed(db: Db, names: string[]): Promise<DoomedRole[]> {
  const rows = await db.unsafe<{ role: DoomedRole }[]>(doomedQuery(names))
  return rows.map(({ role }) => role)
}

const list = (query: string) => `coalesce((select pg_catalog.json_agg(x) from (${query}) x), '[]')`

/** Default privileges and user mappings count as owned by the role that they are about, but nobody can have them instead. */
const isOwned = `s.deptype = 'o' and s.classid not in ('pg_catalog.pg_default_acl'::regclass, 'pg_catalog.pg_user_mapping'::regclass)`

const doomedQuery = (names: string[]) => `select pg_catalog.json_build_object(
  'name', r.rolname, 'superuser', r.rolsuper, 'login', r.rolcanlogin,
  'sessions', (select pg_catalog.count(*) from pg_catalog.pg_stat_activity a where a.usesysid = r.oid),
  'dependents', ${list(`
    select d.datname as database, coalesce(d.datallowconn, true) as reachable,
           pg_catalog.count(*) filter (where ${isOwned}) as owned,
           pg_catalog.count(*) filter (where ${isOwned} and s.classid in ('pg_catalog.pg_extension'::regclass, 'pg_catalog.pg_language'::regclass)) as extensions,
           pg_catalog.count(*) filter (where not (${isOwned})) as named
      from pg_catalog.pg_shdepend s left join pg_catalog.pg_database d on d.oid = s.dbid
     where s.refclassid = 'pg_catalog.pg_authid'::regclass and s.refobjid = r.oid
       and s.classid <> 'pg_catalog.pg_auth_members'::regclass group by 1, 2 order by d.datname collate "C" nulls last`)},
  'shared', ${list(`
    select 'database' as kind, datname as name from pg_catalog.pg_database where datdba = r.oid
    union all select 'tablespace', spcname from pg_catalog.pg_tablespace where spcowner = r.oid order by 1, 2`)},
  'granted', ${list(`
    select g.rolname as role, m.rolname as member, pg_catalog.bool_or(a.admin_option) as admin,
           pg_catalog.bool_or(coalesce((pg_catalog.to_jsonb(a)->>'inherit_option')::boolean, true)) as inherit,
           pg_catalog.bool_or(coalesce((pg_catalog.to_jsonb(a)->>'set_option')::boolean, true)) as set
      from pg_catalog.pg_auth_members a join pg_catalog.pg_roles g on g.oid = a.roleid join pg_catalog.pg_roles m on m.oid = a.member
     where a.grantor in (r.oid, 10) and r.oid not in (a.roleid, a.member)
     group by 1, 2 having pg_catalog.bool_or(a.grantor = r.oid) order by 1, 2`)}
) as role from pg_catalog.pg_roles r
 where r.rolname::text in (select pg_catalog.json_array_elements_text(${quoteLiteral(JSON.stringify(names))}::json)) order by r.rolname collate "C"`
