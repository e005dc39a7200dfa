import type { Db } from '../../postgres/db.ts'
import { type DatabaseLocale, localeFields } from '../../postgres/locale.ts'
import { setRolePrivilege } from '../../postgres/rights.ts'

/** A privilege on a database or a schema; `grantee` may be PUBLIC. */
export type Privilege = { grantee: string; privilege: string }

/** The owner and the privileges of a schema. */
export type SchemaAccess = { owner: string; privileges: Privilege[] }

/** What a scratch database must have in common with the live one, so that migrations do the same in both. */
export type Model = DatabaseLocale & {
  name: string
  owner: string
  /** Privileges on the database, without those of its owner. */
  privileges: Privilege[]
  /** Names of the settings that sessions in this database start with; `own`: set for the session user in this database. */
  settings: { name: string; own: boolean }[]
  /** Null when there is no schema `public`. */
  public: SchemaAccess | null
  user: { name: string; superuser: boolean; mayCreate: boolean; mayActAsOwner: boolean }
}

/** Reads the model from the live database. Any role that may connect can do it. */
export async function readModel(db: Db): Promise<Model> {
  const [row] = await db.unsafe<{ model: Model }[]>(query)
  return row!.model
}

/** The owner and the privileges of schema `public`; null when it does not exist. */
export async function readPublic(db: Db): Promise<SchemaAccess | null> {
  const [row] = await db.unsafe<{ access: SchemaAccess | null }[]>(`select ${publicAccess} as access`)
  return row!.access
}

/** A null ACL counts as the default privileges written out. */
const privileges = (acl: string, kind: string, owner: string) => `coalesce((
  select pg_catalog.json_agg(pg_catalog.json_build_object('grantee', grantee, 'privilege', privilege) order by grantee, privilege)
    from (select case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee)::text end as grantee, a.privilege_type as privilege
            from pg_catalog.aclexplode(coalesce(${acl}, pg_catalog.acldefault('${kind}', ${owner}))) a where a.grantee <> ${owner}) p), '[]')`

const publicAccess = `(
  select pg_catalog.json_build_object('owner', pg_catalog.pg_get_userbyid(nspowner), 'privileges', ${privileges('nspacl', 'n', 'nspowner')})
    from pg_catalog.pg_namespace where nspname = 'public')`

/** The role that sessions start as is left out of the settings: our sessions start as themselves. */
const query = `select pg_catalog.json_build_object(
  'name', d.datname, 'owner', pg_catalog.pg_get_userbyid(d.datdba), ${localeFields},
  'privileges', ${privileges('d.datacl', 'd', 'd.datdba')},
  'settings', coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', pg_catalog.split_part(c, '=', 1), 'own', s.setrole <> 0) order by s.setrole, c)
     from pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c
    where s.setdatabase = d.oid and s.setrole in (0, u.oid) and c !~ '^(role|session_authorization)='), '[]'),
  'public', ${publicAccess},
  'user', pg_catalog.json_build_object('name', u.rolname, 'superuser', u.rolsuper, 'mayCreate', u.rolsuper or u.rolcreatedb,
     'mayActAsOwner', pg_catalog.pg_has_role(u.oid, d.datdba, ${setRolePrivilege}))) as model
  from pg_catalog.pg_database d, pg_catalog.pg_roles u where d.datname = pg_catalog.current_database() and u.rolname = session_user`
