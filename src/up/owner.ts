import type { Db } from '../postgres/db.ts'
import { setRolePrivilege } from '../postgres/rights.ts'
import { desiredRoles } from '../roles/desired.ts'
import type { Context } from '../run/context.ts'
import { quoteLiteral } from '../sql/quote.ts'

/**
 * The role that owns what is created in a database: the configured one, else the declared owner of the database, else the role that
 * sessions of this user start as (ALTER ROLE … SET role, which our own sessions switch off). The latter two only if we may SET ROLE to them.
 *
 * @param name of the database; default: the target
 */
export async function defaultRole(
  context: Context,
  db: Db,
  {
    database: name = context.connection().database,
    role,
  }: { database?: string | undefined; role?: string | undefined } = {},
): Promise<string | undefined> {
  if (role !== undefined) return role
  const database = desiredRoles(context.loaded.config).databases.find((one) => one.name === name)
  const declared = database && quoteLiteral(database.owner)
  const wanted = database?.ownerFixed
    ? declared
    : declared
      ? `coalesce((${ownerIf(declared)}), (${ownRoleSetting}))`
      : ownRoleSetting
  return roleIfOurs(db, wanted ?? 'null')
}

/** Whether the session user may SET ROLE to a role. */
export const mayBecome = async (db: Db, role: string) => (await roleIfOurs(db, quoteLiteral(role))) !== undefined

/** @param wanted an SQL expression for the name of a role, or null */
async function roleIfOurs(db: Db, wanted: string): Promise<string | undefined> {
  const [row] = await db.unsafe<{ role: string }[]>(
    `select rolname as role from pg_catalog.pg_roles where rolname = (${wanted}) and pg_catalog.pg_has_role(session_user, oid, ${setRolePrivilege})`,
  )
  return row?.role
}

/** The default owner, if the database was created with it; a database that existed before keeps its owner. */
const ownerIf = (owner: string) =>
  `select pg_catalog.pg_get_userbyid(datdba) from pg_catalog.pg_database where datname = pg_catalog.current_database() and pg_catalog.pg_get_userbyid(datdba) = ${owner}`

/** The setting for this database takes precedence over the one for all databases. */
const ownRoleSetting = `
  select pg_catalog.substr(entry, 6) from pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) entry
   where setrole = (select oid from pg_catalog.pg_roles where rolname = session_user) and entry like 'role=%'
     and setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
   order by setdatabase desc limit 1`
