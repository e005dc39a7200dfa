import type { Db } from '../postgres/db.ts'
import { setRolePrivilege } from '../postgres/rights.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { type Guarded, neededRoles, type TargetServer } from './guard.ts'

/** Reads what {@link findRefusals} needs to know about the server, in one round trip. */
export async function readTarget(db: Db, manifest: Guarded, into: string): Promise<TargetServer> {
  const [row] = await db.unsafe<{ target: TargetServer }[]>(`
    select pg_catalog.json_build_object(
      'serverVersion', pg_catalog.current_setting('server_version_num')::int,
      'user', session_user,
      'superuser', r.rolsuper,
      'mayCreateDatabases', r.rolcreatedb,
      'exists', exists (select from pg_catalog.pg_database where datname = ${quoteLiteral(into)}),
      'roles', (select coalesce(pg_catalog.json_agg(rolname order by rolname), '[]') from pg_catalog.pg_roles
                 where rolname in (${literals(neededRoles(manifest))})),
      'superusers', (select coalesce(pg_catalog.json_agg(rolname order by rolname), '[]') from pg_catalog.pg_roles
                      where rolsuper and rolname in (${literals(manifest.superusers ?? [])})),
      'tablespaces', (select coalesce(pg_catalog.json_agg(spcname order by spcname), '[]') from pg_catalog.pg_tablespace
                       where spcname in (${literals(manifest.tablespaces ?? [])})),
      'usableTablespaces', (select coalesce(pg_catalog.json_agg(spcname order by spcname), '[]') from pg_catalog.pg_tablespace
                             where spcname in (${literals(manifest.tablespaces ?? [])}) and pg_catalog.has_tablespace_privilege(session_user, oid, 'CREATE')),
      'extensions', (select coalesce(pg_catalog.json_agg(name order by name), '[]') from pg_catalog.pg_available_extensions
                      where name in (${literals(manifest.extensions.map(({ name }) => name))})),
      'mayActAsOwner', coalesce((select pg_catalog.pg_has_role(session_user, oid, ${setRolePrivilege}) from pg_catalog.pg_roles
                                  where rolname = ${quoteLiteral(manifest.database.owner)}), false)) as target
      from pg_catalog.pg_roles r where r.rolname = session_user`)
  if (!row) throw new Error('the server did not answer')
  return row.target
}

const literals = (names: string[]) => (names.length > 0 ? names.map(quoteLiteral).join(', ') : 'null')
