import { type Connection, resolveMigrateConnection } from '../../config/connection.ts'
import type { Session } from '../../db/connect.ts'
import { readRefusal } from '../../db/hba.ts'
import { type Rights, readRights } from '../../db/login.ts'
import { type Db, quoteIdent, quoteLiteral } from '../../db/sql.ts'
import { AppError } from '../../errors.ts'
import type { Context } from '../command.ts'

/**
 * How code of the owner (files, triggers, functions, checks) is kept from rights that only the session user has. SET ROLE alone is no
 * fence: whatever runs can leave the role again.
 *
 * - `none`: there is nothing to keep it from; `role`: somebody accepted that (`migrate.isolation`)
 * - `login`: a login is made for the run; `url`: one is configured
 */
export type Isolation =
  | { mode: 'none'; rights: Rights | undefined }
  | { mode: 'role'; rights: Rights }
  | { mode: 'login'; rights: Rights }
  | { mode: 'url'; rights: Rights; connection: Connection }

/**
 * Decides how files are run as a role in a database.
 * @param db a session of ours in that database
 * @throws {AppError} `refused` when nothing would keep them from the rights of the session user, with the ways out
 */
export async function isolationFor(context: Context, db: Db, role: string | undefined): Promise<Isolation> {
  const rights = role === undefined ? undefined : await readRights(db, role)
  if (role === undefined || !rights || rights.more.length === 0) return { mode: 'none', rights }
  const { config, env, baseDir } = context.loaded
  const connection = resolveMigrateConnection(config, env, baseDir)
  if (connection) return { mode: 'url', rights, connection }
  if (config.migrate.isolation === 'role') return { mode: 'role', rights }
  if (rights.mayCreateRole && rights.mayGrantRole) return { mode: 'login', rights }
  throw cannotIsolate(
    role,
    rights,
    rights.mayCreateRole ? `may not let others act as ${role}` : 'may not make a login for this run',
  )
}

/** What a plan says of it: why it could not be applied, or what somebody accepted. */
export async function isolationNote(context: Context, db: Db, role: string | undefined): Promise<string | undefined> {
  try {
    const { mode, rights } = await isolationFor(context, db, role)
    if (mode === 'login') await refuseByHba(db, role!, rights)
    return mode === 'role' ? acceptedNote(role!, rights) : undefined
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'refused') throw error
    return `${error.message}: \`up\` will refuse to run migrations and seeds; ${error.hint}`
  }
}

/** Before a login is made, the file is all that can be looked at. */
async function refuseByHba(db: Db, role: string, rights: Rights): Promise<void> {
  // Nobody else may see the file.
  const method = rights.superuser ? await readRefusal(db, role, 'pgbosun') : undefined
  if (method === undefined) return
  const how = method === 'none' ? 'has no line for it' : `wants ${method} of it`
  throw cannotIsolate(role, rights, `may make a login for this run, but pg_hba.conf ${how} and not a password`)
}

/** Warns in a plan of what would be run as the role of a database, once. */
export async function warnOfIsolation(context: Context, db: Db, role: string | undefined): Promise<void> {
  const note = await isolationNote(context, db, role)
  if (note !== undefined) context.out.warn(note)
}

export const acceptedNote = (role: string, { sessionUser }: Rights) =>
  `migrate.isolation is role: while migrations and seeds run, code of ${role} may use the rights of ${sessionUser}`

/** Exit 12. @param why what the session user cannot do, or what became of its login */
export function cannotIsolate(role: string, { sessionUser, more }: Rights, why: string, cause?: unknown): AppError {
  const grant = `create role migrator login password '…' in role ${quoteIdent(role)}`
  return new AppError(
    'refused',
    `code of ${role} would run with the rights of ${sessionUser}, which ${more.join(' and ')}, and ${sessionUser} ${why}`,
    {
      hint:
        `set \`migrate.url\` (PGBOSUN_MIGRATE_URL) to a login that is a member of ${role} and of nothing else (${grant}), ` +
        'or accept it with `migrate.isolation: role`',
      cause,
    },
  )
}

/**
 * Refuses a configured login that may do more than the owner, may not act as it, or is on another server.
 * @throws {AppError} `refused`
 */
export async function refuseLogin(session: Session, own: Session, role: string, application: string): Promise<void> {
  const rights = await readRights(session.sql, role)
  const [row] = await session.sql.unsafe<{ may: boolean }[]>(
    `select pg_catalog.pg_has_role(session_user, oid, case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end) as may
       from pg_catalog.pg_roles where rolname = ${quoteLiteral(role)}`,
  )
  const [seen] = await own.sql.unsafe<{ here: boolean }[]>(
    `select exists (select from pg_catalog.pg_stat_activity a where a.pid = ${session.pid} and a.application_name = ${quoteLiteral(application)}
        and a.datname = pg_catalog.current_database()) as here`,
  )
  const user = rights?.sessionUser ?? 'it'
  if (!seen?.here)
    throw new AppError('refused', 'migrate.url leads to another server or database than the one that is migrated', {
      hint: 'set migrate.url to a login of the same server',
    })
  if (!row?.may)
    throw new AppError('refused', `the login of migrate.url, ${user}, may not act as ${role}`, {
      hint: `grant ${quoteIdent(role)} to ${quoteIdent(user)}`,
    })
  if (rights && rights.more.length > 0)
    throw new AppError(
      'refused',
      `the login of migrate.url, ${user}, has more rights than ${role}: it ${rights.more.join(' and ')}`,
      {
        hint: `set migrate.url to a login that is a member of ${role} and of nothing else`,
      },
    )
}
