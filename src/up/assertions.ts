import { randomBytes } from 'node:crypto'
import type { AssertionResult } from '../check/assertion.ts'
import { runAssertions } from '../check/assertions.ts'
import { loggedInAs } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { dropLogin } from '../postgres/login.ts'
import { isServerError } from '../postgres/server-error.ts'
import type { Context } from '../run/context.ts'
import type { Run } from '../run/run.ts'
import { type Isolation, isolationFor } from './isolation/choose.ts'
import { openConfigured, withRunLogin } from './isolation/session.ts'
import { defaultRole, mayBecome } from './owner.ts'
import { placeAs } from './place.ts'
import { findTargets, mainTarget } from './targets.ts'

/** How long the login of one check is valid. It logs in at once. */
const validMs = 60_000

/** Their names differ from those of the logins of runs, because a check may happen during a run. */
const loginPattern = '^pgbosun_check_[0-9a-f]{8}$'

/**
 * The results of `check.assertions`. A query may call any function of the application, so it runs with no more rights than the owner of
 * the database has, like migrations and seeds.
 *
 * @returns `unknown`: why the assertions could not be checked
 */
export async function assertionResults(run: Run): Promise<{ results: AssertionResult[]; unknown?: string }> {
  const { assertions } = run.context.loaded.config.check
  if (assertions.length === 0 || !run.target || !run.context.isTarget()) return { results: [] }
  try {
    return { results: await ask(run, run.target) }
  } catch (error) {
    const refused = error instanceof AppError && error.kind === 'refused'
    // no login can be created on a standby, nor by a role without that privilege
    const impossible = isServerError(error) && ['25006', '42501'].includes(error.code)
    if (!refused && !impossible) throw error
    const why = (error as Error).message
    const results = assertions.map(({ name, level }) => ({ name, level, ok: null, problem: why }))
    return { results, unknown: `check.assertions were not checked: ${why}` }
  }
}

async function ask(run: Run, own: NonNullable<Run['target']>): Promise<AssertionResult[]> {
  const { context } = run
  const { assertions } = context.loaded.config.check
  const role = await roleOf(context, own)
  const isolation = await isolationFor(context, own.sql, role)
  // A user with fewer rights than the owner runs the queries as itself.
  const acts = isolation.mode !== 'none' || (role !== undefined && (await mayBecome(own.sql, role)))
  const place = await placeAs(context, own.sql, undefined, acts ? role : undefined)
  const results: AssertionResult[] = []
  while (results.length < assertions.length)
    await withSession(run, own, { role, isolation }, async (session) => {
      const breakOff = () => endAt(run, own, session)
      results.push(...(await runAssertions(session.sql, assertions.slice(results.length), place, breakOff)))
    })
  return results
}

/** Ends the session and the query that it runs: closing only the connection would not end the query. */
async function endAt(run: Run, own: Session, session: Session): Promise<void> {
  session.breakOff()
  await own.sql
    .unsafe(`select pg_catalog.pg_terminate_backend(${session.pid})`)
    .catch((error: Error) => run.context.log.warn({ problem: error.message }, 'an assertion could not be ended'))
}

/** The role that files run as; where that is our own user, the owner of the database, if it is another role. */
async function roleOf(context: Context, { sql }: Session): Promise<string | undefined> {
  const role = await defaultRole(context, sql, { role: mainTarget(findTargets(context, false))?.role })
  if (role !== undefined) return role
  const [row] = await sql.unsafe<{ owner: string; own: boolean }[]>(
    `select pg_catalog.pg_get_userbyid(datdba) as owner, datdba = (select oid from pg_catalog.pg_roles where rolname = session_user) as own
       from pg_catalog.pg_database where datname = pg_catalog.current_database()`,
  )
  return row && !row.own ? row.owner : undefined
}

type Session = NonNullable<Run['target']>

async function withSession<T>(
  run: Run,
  own: Session,
  { role, isolation }: { role: string | undefined; isolation: Isolation },
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const { database } = run.context.connection()
  // Never the session of the run: the functions that are called could take locks on it, or end it.
  if (role === undefined || isolation.mode === 'none' || isolation.mode === 'role') {
    const session = await run.openAs(run.context.connection(), database)
    return use(session).finally(() => run.close(session))
  }
  if (isolation.mode === 'url') {
    const session = await openConfigured(run, { own, role, database, isolation })
    return use(session).finally(() => run.close(session))
  }
  await removeLeftovers(run.context, own)
  const user = `pgbosun_check_${randomBytes(4).toString('hex')}`
  return withRunLogin(
    run,
    { database, role, isolation, user, validMs },
    async (login) => {
      const connection = loggedInAs(run.context.connection(), login)
      const session = await run.openAs(connection, database)
      return use(session).finally(() => run.close(session))
    },
    own,
  )
}

/** Removes the logins of killed checks, once nobody can log in with them any more. */
async function removeLeftovers({ log }: Context, { sql }: Session): Promise<void> {
  const rows = await sql.unsafe<{ user: string }[]>(
    `select rolname as user from pg_catalog.pg_roles where rolname ~ '${loginPattern}' and rolvaliduntil < pg_catalog.now()`,
  )
  for (const { user } of rows)
    await dropLogin(sql, user).catch((error: Error) =>
      log.debug({ role: user, problem: error.message }, 'the login of a killed check could not be removed'),
    )
}
