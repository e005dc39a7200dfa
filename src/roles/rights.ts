import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** What the user that we connect as may do with a role. */
export type RoleRights = {
  name: string
  superuser: boolean
  replication: boolean
  /** Whether we may grant it to others: ADMIN. */
  admin: boolean
  /** Whether we have its rights and may SET ROLE to it. */
  acts: boolean
  /** Whether it is a member of us: then we cannot become a member of it. */
  above: boolean
  /** Whether we have granted it to ourselves before. */
  own: boolean
}

/** What the user that we connect as may do on the server. */
export type Rights = {
  major: number
  user: {
    name: string
    superuser: boolean
    createRole: boolean
    createDatabase: boolean
    bypassRls: boolean
    inherits: boolean
  }
  roles: RoleRights[]
  /** `mayCreate`: schemas and trusted extensions in it. `mayCopy`: use it as a template. */
  databases: { name: string; owner: string; mayCreate: boolean; mayCopy: boolean }[]
  /** Settings that we may store, in lower case. */
  settings: string[]
  /** Extensions that the server has, and whether we may create them. */
  extensions: { name: string; allowed: boolean }[]
}

/** What it may do in one database. */
export type DatabaseRights = {
  /** Schemas whose objects it may name. */
  usable: string[]
  extensions: { name: string; owner: string }[]
}

export type RightsQuestion = {
  major: number
  /** Roles and databases, in any order: names of others do no harm. */
  names: string[]
  settings: string[]
  /** Finding out about these reads the server's folder of extensions, which is slow. */
  extensions: string[]
}

/** Reads what we may do with these roles, databases, settings and extensions. One round trip. */
export async function readRights(db: Db, { major, names, settings, extensions }: RightsQuestion): Promise<Rights> {
  const [row] = await db.unsafe<{ rights: Omit<Rights, 'major'> }[]>(`with
  us as (select * from pg_catalog.pg_roles where rolname = current_user),
  named as materialized (select pg_catalog.json_array_elements_text(${json(names)}) as name),
  bases as materialized (select * from pg_catalog.pg_database where datname::text in (select name from named))
select pg_catalog.json_build_object(
  'user', (select pg_catalog.json_build_object('name', rolname, 'superuser', rolsuper, 'createRole', rolcreaterole,
      'createDatabase', rolcreatedb, 'bypassRls', rolbypassrls, 'inherits', rolinherit) from us),
  'roles', ${list(`
    select r.rolname as name, r.rolsuper as superuser, r.rolreplication as replication,
           pg_catalog.pg_has_role(us.oid, r.oid, 'MEMBER WITH ADMIN OPTION') as admin,
           pg_catalog.pg_has_role(us.oid, r.oid, 'USAGE') and pg_catalog.pg_has_role(us.oid, r.oid, '${major >= 16 ? 'SET' : 'MEMBER'}') as acts,
           pg_catalog.pg_has_role(r.oid, us.oid, 'MEMBER') as above,
           exists (select from pg_catalog.pg_auth_members m where m.roleid = r.oid and m.member = us.oid and m.grantor = us.oid) as own
      from pg_catalog.pg_roles r, us
     where r.rolname::text in (select name from named) or r.oid in (select datdba from bases) order by r.rolname`)},
  'databases', ${list(`
    select datname as name, pg_catalog.pg_get_userbyid(datdba) as owner,
           pg_catalog.has_database_privilege(us.oid, d.oid, 'CREATE') as "mayCreate",
           d.datistemplate or pg_catalog.pg_has_role(us.oid, datdba, 'USAGE') as "mayCopy"
      from bases d, us order by datname`)},
  'settings', (select coalesce(pg_catalog.json_agg(w.name order by w.name), '[]') from (
    select pg_catalog.lower(x) as name from pg_catalog.json_array_elements_text(${json(settings)}) x) w
      left join pg_catalog.pg_settings s on pg_catalog.lower(s.name) = w.name
     where w.name = 'role' /* pg_settings hides it */ or (s.name is not null and s.context not in ('superuser', 'superuser-backend'))${
       major >= 15 ? ` or pg_catalog.has_parameter_privilege(w.name, 'SET')` : ''
}),
  'extensions', ${
    extensions.length === 0
      ? `'[]'::json`
      : list(`
    select v.name, pg_catalog.bool_or(v.trusted or not v.superuser or ${fromProvider}) as allowed
      from pg_catalog.pg_available_extension_versions v, us where v.name::text in (select pg_catalog.json_array_elements_text(${json(extensions)})) group by v.name order by v.name`)
  }
) as rights`)
  return { major, ...row!.rights }
}

/** The same for the database that `db` is connected to. One round trip. */
export async function readDatabaseRights(db: Db): Promise<DatabaseRights> {
  const [row] = await db.unsafe<{ rights: DatabaseRights }[]>(`select pg_catalog.json_build_object(
  'usable', (select coalesce(pg_catalog.json_agg(nspname order by nspname), '[]') from pg_catalog.pg_namespace
     where pg_catalog.has_schema_privilege(current_user, oid, 'USAGE')),
  'extensions', ${list('select extname as name, pg_catalog.pg_get_userbyid(extowner) as owner from pg_catalog.pg_extension order by extname')}
) as rights`)
  return row!.rights
}

const json = (names: string[]) => `${quoteLiteral(JSON.stringify([...new Set(names)]))}::json`

const list = (query: string) => `coalesce((select pg_catalog.json_agg(x) from (${query}) x), '[]')`

/**
 * Hosted servers let the members of one role create more extensions than PostgreSQL does, and no function tells which. RDS, Azure and
 * Supabase have a setting with their names; Cloud SQL, AlloyDB and Neon only offer extensions that these members may create.
 */
const fromProvider = `coalesce(v.name::text = any (pg_catalog.regexp_split_to_array(pg_catalog.lower(nullif(pg_catalog.concat_ws(',',
        pg_catalog.current_setting('rds.extensions', true), pg_catalog.current_setting('rds.allowed_extensions', true),
        pg_catalog.current_setting('azure.extensions', true)), '')), '[ ,]+')), true)
      and exists (select from pg_catalog.pg_roles p where p.rolname in ('rds_superuser', 'azure_pg_admin', 'cloudsqlsuperuser', 'alloydbsuperuser', 'neon_superuser')
        and pg_catalog.pg_has_role(us.oid, p.oid, 'USAGE'))
      or coalesce(pg_catalog.current_setting('supautils.privileged_role', true) = us.rolname
        and v.name::text = any (pg_catalog.regexp_split_to_array(pg_catalog.current_setting('supautils.privileged_extensions', true), '[ ,]+')), false)`
