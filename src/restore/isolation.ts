import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { attributesOf } from '../postgres/login.ts'
import { quoteIdent } from '../sql/quote.ts'
import { asSuperuserFlag } from './load.ts'

/** What the session user may do that code in a backup must not gain. */
export type OwnRights = {
  user: string
  superuser: boolean
  mayCreateRole: boolean
  /** In words: `is a superuser`. Empty when there is nothing to gain beyond databases of its own. */
  more: string[]
}

/** Reads the rights of the session user, in one round trip. */
export async function readOwnRights(db: Db): Promise<OwnRights> {
  const [row] = await db.unsafe<{ rights: OwnRights }[]>(`
    select pg_catalog.json_build_object('user', r.rolname, 'superuser', r.rolsuper, 'mayCreateRole', r.rolsuper or r.rolcreaterole,
      'more', (select coalesce(pg_catalog.json_agg(w.what), '[]'::json) from (
        ${attributesOf('r')}
        union all
        (select 'is a member of ' || m.rolname from pg_catalog.pg_roles m
          where not r.rolsuper and m.oid <> r.oid and pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER') and not (${harmless})
            and (m.rolname ~ '^pg_' or m.rolsuper or m.rolcreaterole or m.rolreplication or m.rolbypassrls)
          order by m.rolname limit 4)) w)) as rights
      from pg_catalog.pg_roles r where r.rolname = session_user`)
  if (!row) throw new Error('the server did not answer')
  return row.rights
}

/** Reading statistics and settings takes nothing from anybody. */
const harmless = `m.rolname in ('pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_database_owner')`

/**
 * Decides whether a backup is loaded by a login made for it, so that code in it gains nothing of what the session user may do. Pure.
 *
 * @param asSuperuser what a person chose
 * @throws {AppError} `refused` when nothing would keep the code from those rights
 */
export function needsLogin({ user, mayCreateRole, more }: OwnRights, asSuperuser: boolean): boolean {
  if (asSuperuser || more.length === 0) return false
  if (mayCreateRole) return true
  throw new AppError(
    'refused',
    `code in this backup would run with the rights of ${user}, which ${more.join(' and ')} and may not make a login for this restore; nothing was changed`,
    { hint: `alter role ${quoteIdent(user)} createrole, restore as a user with CREATEDB alone, ${orTrust}` },
  )
}

const orTrust = `or give ${asSuperuserFlag} if you trust whoever could write the database that was backed up`

/** Exit 70, before anything is touched. @param problems what can only be made by running code of the application */
export function refuseProblems(problems: string[], user: string): AppError | undefined {
  const [first] = problems
  if (first === undefined) return undefined
  const shown = problems.slice(0, 3)
  const more = problems.length > shown.length ? [`and ${problems.length - shown.length} more`] : []
  return new AppError(
    'restore',
    `this backup cannot be restored without running code in it with the rights of ${user}: ${[...shown, ...more].join('; ')}; nothing was changed`,
    { hint: `give ${asSuperuserFlag} if you trust whoever could write the database that was backed up` },
  )
}

/** Exit 12: the login was made, and the server does not let it in. */
export const loginRefused = (message: string, cause: unknown) =>
  new AppError('refused', `the server refused the login that was made for this restore (${message})`, {
    hint: `pg_hba.conf must let logins in with a password, such as \`host all all samenet scram-sha-256\`; ${orTrust}`,
    cause,
  })
