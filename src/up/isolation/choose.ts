import { renewed } from '../../config/renewed.ts'
import { remarks, resolveMigrateConnection } from '../../config/resolve.ts'
import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { readRefusal } from '../../postgres/hba.ts'
import { type Rights, readRights } from '../../postgres/login.ts'
import type { Session } from '../../postgres/session.ts'
import type { Context } from '../../run/context.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { mayBecome } from '../owner.ts'
import { type Impossible, type Isolation, planIsolation } from './plan.ts'

export type { Isolation } from './plan.ts'

/** Decides from the configuration and the database. @param db a session of ours in that database */
async function readPlan(context: Context, db: Db, role: string | undefined): Promise<Isolation | Impossible> {
  const rights = role === undefined ? undefined : await readRights(db, role)
  const { config, env, baseDir } = context.loaded
  // The secret is only read when it is needed.
  const needed = rights !== undefined && rights.more.length > 0
  if (needed) await renewed(config.migrate.url, 'migrate.url', { env, baseDir })
  const connection = needed ? resolveMigrateConnection(config, env, baseDir) : undefined
  for (const remark of connection ? remarks(connection) : []) context.out.warn(remark)
  return planIsolation(role, rights, { connection, accepted: config.migrate.isolation === 'role' })
}

/**
 * How files are run as a role in a database.
 * @throws {AppError} `refused`, with the ways out, when nothing would keep files from the rights of the session user
 */
export async function isolationFor(context: Context, db: Db, role: string | undefined): Promise<Isolation> {
  const plan = await readPlan(context, db, role)
  if (plan.mode === 'impossible') throw cannotIsolate(role!, plan.rights, plan.why)
  return plan
}

/** A warning for a plan: why the files could not be run, or which risk was accepted. */
async function isolationNote(context: Context, db: Db, role: string | undefined): Promise<string | undefined> {
  const plan = await readPlan(context, db, role)
  if (plan.mode === 'role') return acceptedNote(role!, plan.rights)
  const why =
    plan.mode === 'impossible' ? plan.why : plan.mode === 'login' ? await readHba(db, role!, plan.rights) : undefined
  if (why === undefined || plan.mode === 'none') return undefined
  const { message, hint } = cannotIsolate(role!, plan.rights, why)
  return `${message}: \`up\` will refuse to run migrations and seeds; ${hint}`
}

/** Before a login is created, only pg_hba.conf can tell whether it could log in, and only superusers can read that. */
async function readHba(db: Db, role: string, { superuser }: Rights): Promise<string | undefined> {
  const method = superuser ? await readRefusal(db, role, 'pgbosun') : undefined
  if (method === undefined) return undefined
  const how = method === 'none' ? 'has no line for it' : `uses ${method} for it instead of a password`
  return `may create a login for this run, but pg_hba.conf ${how}`
}

/** For a plan: warns, once, about running files as the role of a database. */
export async function warnOfIsolation(context: Context, db: Db, role: string | undefined): Promise<void> {
  const note = await isolationNote(context, db, role)
  if (note !== undefined) context.out.warn(note)
}

export const acceptedNote = (role: string, { sessionUser }: Rights) =>
  `migrate.isolation is role: while migrations and seeds run, code of ${role} can use the rights of ${sessionUser}`

/** Exit 12. @param why the end of a sentence: what the session user cannot do, or why its login failed */
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
  const [seen] = await own.sql.unsafe<{ here: boolean }[]>(
    `select exists (select from pg_catalog.pg_stat_activity a where a.pid = ${session.pid} and a.application_name = ${quoteLiteral(application)}
        and a.datname = pg_catalog.current_database()) as here`,
  )
  const user = rights?.sessionUser ?? 'it'
  if (!seen?.here)
    throw new AppError('refused', 'migrate.url leads to a server or database other than the one that is migrated', {
      hint: 'set migrate.url to a login on the same server',
    })
  if (!(await mayBecome(session.sql, role)))
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
