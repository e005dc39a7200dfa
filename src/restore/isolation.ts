import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { attributesOf } from '../postgres/login.ts'
import { quoteIdent } from '../sql/quote.ts'
import { counted, plural, someOf } from '../units.ts'
import { asSuperuserFlag } from './load.ts'

/** What the session user may do that code in a backup must not gain. */
export type OwnRights = {
  user: string
  superuser: boolean
  mayCreateRole: boolean
  /** In words: `is a superuser`. Empty if there is nothing to gain except databases of its own. */
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

/** Roles that only read statistics and settings. */
const harmless = `m.rolname in ('pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_database_owner')`

/**
 * Decides whether a backup is loaded by a login created for it, so that code in it does not get the rights of the session user. Pure.
 *
 * @param asSuperuser whether a person chose to load it with those rights
 * @throws {AppError} `refused` if nothing would keep the code from those rights
 */
export function needsLogin({ user, mayCreateRole, more }: OwnRights, asSuperuser: boolean): boolean {
  if (asSuperuser || more.length === 0) return false
  if (mayCreateRole) return true
  throw new AppError(
    'refused',
    `code in this backup would run with the rights of ${user}, which ${more.join(' and ')} and may not create a login for this restore; nothing was changed`,
    { hint: `alter role ${quoteIdent(user)} createrole, restore as a user with only CREATEDB, ${orTrust}` },
  )
}

const orTrust = `or pass ${asSuperuserFlag} if you trust everybody who could write to the database that was backed up`

/** Exit 70, before anything is changed. @param problems what can only be created by running code of the application */
export function refuseProblems(problems: string[], user: string): AppError | undefined {
  const [first] = problems
  if (first === undefined) return undefined
  return new AppError(
    'restore',
    `this backup cannot be restored without running code in it with the rights of ${user}: ${someOf(problems, '; ')}; nothing was changed`,
    {
      report: { objects: problems },
      hint: `pass ${asSuperuserFlag} if you trust everybody who could write to the database that was backed up`,
    },
  )
}

/**
 * Exit 12, before anything is changed: once such a trigger exists, it runs in the next session of ours, with our rights, and may refuse it.
 * @param triggers names of event triggers that run at every login
 */
export function refuseLoginTriggers(triggers: string[], user: string): void {
  if (triggers.length === 0) return
  throw new AppError(
    'refused',
    `the backup has ${counted(triggers.length, 'event trigger')} that ${plural(triggers.length, 'runs', 'run')} at every login (${someOf(triggers)}), and ${user} may not start sessions without ${plural(triggers.length, 'it', 'them')}; nothing was changed`,
    {
      report: { event_triggers: triggers },
      hint: `restore as a superuser; or, where ${user} may create event triggers, grant it the right to go without them: grant set on parameter event_triggers to ${quoteIdent(user)}`,
    },
  )
}

/** Exit 12: the login was created, but the server does not accept it. */
export const loginRefused = (message: string, cause: unknown) =>
  new AppError('refused', `the server refused the login that was created for this restore (${message})`, {
    hint: `pg_hba.conf must allow logins with a password, for example with \`host all all samenet scram-sha-256\`; ${orTrust}`,
    cause,
  })
