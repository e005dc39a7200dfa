import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Connection, loggedInAs } from '../../config/connection.ts'
import { AppError } from '../../errors.ts'
import { openSession } from '../../postgres/connect.ts'
import { markWork } from '../../postgres/lock.ts'
import { createLogin, dropLogin, type Login, loginPrefix, type Rights } from '../../postgres/login.ts'
import { isConnectionLost } from '../../postgres/lost.ts'
import type { Session } from '../../postgres/session.ts'
import { classify } from '../../postgres/wait.ts'
import type { Run } from '../../run/run.ts'
import { quoteIdent, quoteName } from '../../sql/quote.ts'
import { createRecorder, type Writable } from '../../state/recorder.ts'
import { acceptedNote, cannotIsolate, type Isolation, isolationFor, refuseLogin } from './choose.ts'

/** A session for running code that is not ours. */
export type FileSession = {
  session: Session
  /** The procedure, as SQL, that writes our records for this session; undefined when the session may write them itself. */
  recorder: string | undefined
}

export type FileWork = {
  /** A session of ours in the database; it stays idle during the work. */
  own: Session
  database: string
  /** The role that the files run as. */
  role: string | undefined
  /** As {@link isolationFor} decided; if not given, it is asked now. */
  isolation?: Isolation | undefined
  /** What may be recorded during the work. */
  migrations?: Writable
  details?: Writable
  /** Names of seeds. */
  seeds?: readonly string[]
  /** Names of imports. */
  imports?: readonly string[]
}

const nothing: Writable = { after: Number.MAX_SAFE_INTEGER, seqs: [] }

/** Ten minutes: files only need to log in at once. A program, which may connect again later, gets longer. */
const validMs = 600_000

/**
 * Opens a session for files and everything else that may run code of the owner. Where our own user has more rights than the owner, the
 * session logs in as a user that has not. At the end, it and everything made for it are removed.
 *
 * @throws {AppError} `refused` when that is impossible
 */
export async function withFileSession<T>(
  run: Run,
  work: FileWork,
  use: (files: FileSession) => Promise<T>,
): Promise<T> {
  const { own, role } = work
  const isolation = work.isolation ?? (await isolationFor(run.context, own.sql, role))
  if (isolation.mode === 'role') run.context.out.warn(acceptedNote(role!, isolation.rights))
  if (isolation.mode === 'none' || isolation.mode === 'role' || role === undefined)
    return use({ session: own, recorder: undefined })
  return isolation.mode === 'url'
    ? withConfigured(run, { ...work, role, isolation }, use)
    : withLogin(run, { ...work, role, isolation }, use)
}

type Isolated<Mode> = FileWork & { role: string; isolation: Extract<Isolation, { mode: Mode }> }

async function withLogin<T>(run: Run, work: Isolated<'login'>, use: (files: FileSession) => Promise<T>): Promise<T> {
  const { own, role, isolation } = work
  return withRunLogin(
    run,
    { ...work, more: (user) => recorderFor(work, user, user) },
    async (login) => {
      const connection = loggedInAs(run.context.connection(), login)
      const session = await run.openAs(connection, work.database).catch((error: unknown) => {
        throw refusedLogin(run, connection, error, role, isolation.rights)
      })
      try {
        await session.sql.unsafe(markWork)
        return await use({ session, recorder: quoteName('pgbosun', login.user) })
      } finally {
        await run.close(session)
      }
    },
    own,
  )
}

/** Creates a login for the run and always removes it; the login of a killed run is removed by the next run. */
export async function withRunLogin<T>(
  run: Run,
  {
    database,
    role,
    isolation,
    ...options
  }: Pick<Isolated<'login'>, 'database' | 'role' | 'isolation'> & {
    user?: string
    more?: (user: string) => string[]
    startsAsRole?: boolean
    validMs?: number
  },
  use: (login: Login) => Promise<T>,
  own: Session,
): Promise<T> {
  const { rights } = isolation
  run.guard()
  const login = await createLogin(own.sql, { database, role, rights, validMs, ...options })
  try {
    return await use(login)
  } finally {
    await remove(run, own, database, login.user)
  }
}

/** On the session that created it; if that is lost, on a new one, for at most two seconds. */
async function remove({ context }: Run, own: Session, database: string, user: string): Promise<void> {
  const { connection, log, runId } = context
  try {
    own.guard()
    await dropLogin(own.sql, user)
  } catch (error) {
    const again = async () => {
      const session = await openSession(connection(), { applicationName: `pgbosun ${runId}`, log, database })
      await dropLogin(session.sql, user).finally(() => session.end())
      return undefined
    }
    const problem = isLost(error)
      ? await Promise.race([again().catch(messageOf), sleep(2_000, 'no answer')])
      : messageOf(error)
    if (problem !== undefined)
      log.warn({ role: user, problem }, 'the login of this run could not be removed: the next run will remove it')
  }
}

const isLost = (error: unknown) =>
  isConnectionLost(error) || (error instanceof AppError && error.kind === 'unreachable')

const messageOf = (error: unknown) => (error as Error).message

/**
 * Opens a session with the login of `migrate.url`, and checks that it has no more rights than the role.
 * @throws {AppError} `refused`
 */
export async function openConfigured(
  run: Run,
  { own, role, database, isolation }: Pick<Isolated<'url'>, 'own' | 'role' | 'database' | 'isolation'>,
): Promise<Session> {
  const session = await run.openAs(isolation.connection, database).catch((error: unknown) => {
    throw classify(error, 'migrate.url', isolation.connection).error
  })
  try {
    await refuseLogin(session, own, role, `pgbosun ${run.context.runId}`)
    return session
  } catch (error) {
    await run.close(session)
    throw error
  }
}

async function withConfigured<T>(run: Run, work: Isolated<'url'>, use: (files: FileSession) => Promise<T>): Promise<T> {
  const { own, database, isolation } = work
  const session = await openConfigured(run, work)
  const procedure = `${loginPrefix(database)}${randomBytes(4).toString('hex')}`
  try {
    run.guard()
    await own.sql.unsafe(recorderFor(work, isolation.connection.user, procedure).join('; '))
    await session.sql.unsafe(markWork)
    return await use({ session, recorder: quoteName('pgbosun', procedure) })
  } finally {
    await run.close(session)
    // If it stays, the next run drops it.
    await own.sql.unsafe(`drop procedure if exists ${quoteName('pgbosun', procedure)}`).catch((error: Error) => {
      run.context.log.debug({ problem: error.message }, 'the procedure of this run could not be dropped')
    })
  }
}

/** Statements that allow a login to record what this run does, and nothing else. */
function recorderFor(
  { isolation, migrations = nothing, details = nothing, seeds = [], imports = [] }: Isolated<'login' | 'url'>,
  user: string,
  name: string,
): string[] {
  return [
    `grant usage on schema pgbosun to ${quoteIdent(user)}`,
    createRecorder({ name, actor: isolation.rights.sessionUser, migrations, details, seeds, imports }),
    `grant execute on procedure ${quoteName('pgbosun', name)} to ${quoteIdent(user)}`,
  ]
}

function refusedLogin({ context }: Run, connection: Connection, error: unknown, role: string, rights: Rights): unknown {
  if (context.signal.aborted) return context.signal.reason
  const { error: refused } = classify(error, 'the server', connection)
  // For example when no connection is free: our own user may be let in when others are not.
  if (refused.kind !== 'refused') return isConnectionLost(error) ? error : refused
  return cannotIsolate(
    role,
    rights,
    `created a login for this run that the server refused (${refused.message}): pg_hba.conf must let logins in with a password, such as ` +
      `\`host ${quoteIdent(connection.database)} all samenet scram-sha-256\``,
    error,
  )
}
