import type { Manifest } from '../archive/manifest.ts'
import { AppError, exitCodes } from '../errors.ts'
import type { Log } from '../log.ts'
import { ofOneKind, type Warning } from '../plan.ts'
import { sendAsItIs } from '../postgres/bytes.ts'
import { startHeartbeat } from '../postgres/heartbeat.ts'
import { createLogin, type Login } from '../postgres/login.ts'
import { connectionLost, isConnectionLost } from '../postgres/lost.ts'
import type { Session } from '../postgres/session.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { writeFinished, writeStarted } from '../state/events.ts'
import { refuseStrangeState } from '../state/state.ts'
import { visible } from '../text.ts'
import { someLines } from '../units.ts'
import { analyze } from './analyze.ts'
import { cleanUp, type Reopen, readStart } from './clean-up.ts'
import { compareRows } from './compare.ts'
import { createStatements, finishStatements } from './database.ts'
import { type Comparison, renderDifference } from './differences.ts'
import { failed } from './failure.ts'
import type { OwnRights } from './isolation.ts'
import type { Missing, OnMissing } from './missing.ts'
import { type Label, loginName, workName } from './name.ts'
import { createRoles } from './roles.ts'
import { goingOn } from './said.ts'
import { detachSubscriptions } from './subscriptions.ts'

/** What to restore, and under which name. */
export type RestorePlan = {
  manifest: Manifest
  into: string
  /** What it is called in messages; default: the backup. */
  what?: string
  noOwner: boolean
  noTablespaces: boolean
  story: Label
  /** Whether it is loaded by a login created for it, which only owns the new database and may do nothing else. */
  isolated: boolean
  /** Whether what cannot be restored is left out. */
  keepGoing: boolean
  /** Roles to create first. */
  createRoles?: readonly string[]
}

/** A restored database. `missing` is empty unless the restore was to keep going. */
export type RestoredInto = { comparison: Comparison; missing: Missing[] }

/** Sessions and functions that a restore works with. */
export type RestoreWorld = {
  /** In `lock.database`; it holds the run lock of the new name. */
  lock: Session
  rights: OwnRights
  /** Opens a session in the new database, in which its event triggers do not run where the server can do that. */
  connect(database: string): Promise<Session>
  /** Fills the new database from the backup. */
  load(work: LoadWork): Promise<void>
  /** Opens another session like `lock`, once that was lost. */
  reopen: Reopen
  /** How long to try to clean up after a lost connection. */
  patienceMs: number
  log: Log
  /** Warns a person about a difference from what was backed up. */
  warn(warning: Warning): void
  signal: AbortSignal
  /** Called when everybody can see the restored database. */
  onPublished(): void
  /** How it takes the place of the database that has its name; undefined: there is none. */
  swap?: {
    /** Marks the restored database, before anybody else may connect to it. */
    mark(session: Session): Promise<void>
    /** @param login its owner so far */
    publish(work: string, login: string | undefined): Promise<void>
  }
  /** Recorded in pgbosun.events of the restored database, if it has that table. */
  run: { runId: string; command: string; actor?: string }
}

/** Whether nobody else may connect to the new database, because code that ran with the rights of another owner now runs with ours. */
export const isClosed = ({ isolated, noOwner }: Pick<RestorePlan, 'isolated' | 'noOwner'>) => isolated && noOwner

/** Where to load to. */
export type LoadWork = {
  database: string
  /** Our own session, in that database. */
  session: Session
  /** Owns the database and loads it; undefined: the session user does. */
  login: Login | undefined
  signal: AbortSignal
  onMissing: OnMissing
}

/** Longer than any restore, because it opens connections until its end. */
export const loginValidMs = 7 * 86_400_000

/**
 * Restores into a new database under a working name, compares the rows, and gives it its name in the last transaction: so it is
 * complete or absent. If anything fails, nothing is left behind.
 *
 * @throws {AppError} `corrupt`, `restore`, `unreachable`; the message says that nothing was changed
 */
export async function restoreInto(plan: RestorePlan, world: RestoreWorld): Promise<RestoredInto> {
  const work = workName(plan.into, plan.story.id, plan.story.pgbosun)
  const signal = AbortSignal.any([world.signal, whenLost(world.lock)])
  const startedAt = await readStart(world.lock.sql)
  let publishing = false
  let roles: readonly string[] = []
  const missing: Missing[] = []
  const onMissing: OnMissing = plan.keepGoing ? (one) => missing.push(one) : undefined
  try {
    signal.throwIfAborted()
    const { createRoles: wanted = [] } = plan
    if (wanted.length > 0) await createRoles(world.lock, wanted, world.rights)
    roles = wanted
    const login = plan.isolated ? await makeLogin(work, plan, world) : undefined
    await createDatabase(work, plan, world, login)
    const stopHeartbeat = startHeartbeat(world.lock, { log: world.log })
    const comparison = await inSession(work, world, signal, async (session) => {
      await world.load({ database: work, session, login, signal, onMissing })
      return inspect(session, plan, world, missing)
    }).finally(stopHeartbeat)
    signal.throwIfAborted()
    publishing = true
    if (world.swap) await world.swap.publish(work, login?.user)
    else await publish(work, plan, world, login)
    world.onPublished()
    return { comparison, missing }
  } catch (error) {
    throw failed(error, plan, world.signal, await cleanUp(work, { ...plan, publishing, startedAt, roles }, world))
  }
}

/** Creates the login that loads. */
export const makeLogin = (work: string, { story }: RestorePlan, { lock, rights }: RestoreWorld): Promise<Login> =>
  createLogin(lock.sql, {
    database: work,
    user: loginName(story),
    rights: { sessionUser: rights.user, superuser: rights.superuser, lacks: [] },
    validMs: loginValidMs,
  })

/**
 * On the session that holds the lock. Even if we are killed, its backend finishes these statements before it releases the lock, so the
 * next restore finds a database with a {@link Label}, or none.
 */
export async function createDatabase(
  work: string,
  { manifest, noTablespaces, story }: RestorePlan,
  { lock }: RestoreWorld,
  login: Login | undefined,
): Promise<void> {
  const { serverVersion } = lock
  const statements = createStatements(work, manifest.database, story, {
    ...{ serverVersion, noTablespaces },
    login: login?.user,
  })
  const results = await Promise.allSettled(statements.map((statement) => lock.sql.unsafe(statement)))
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

/** Without the lock, another run may take the database for a leftover. */
export function whenLost({ lost }: Session): AbortSignal {
  const controller = new AbortController()
  void lost.then(() => controller.abort(connectionLost()))
  return controller.signal
}

/** Gives `use` a session in the new database, which ends with it, or as soon as the signal is aborted. */
export async function inSession<T>(
  work: string,
  { connect }: RestoreWorld,
  signal: AbortSignal,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await connect(work)
  const stop = () => void session.end()
  signal.addEventListener('abort', stop)
  try {
    await session.sql.unsafe(sendAsItIs)
    return await use(session)
  } finally {
    signal.removeEventListener('abort', stop)
    await session.end()
  }
}

async function inspect(
  session: Session,
  plan: RestorePlan,
  world: RestoreWorld,
  missing: Missing[],
): Promise<Comparison> {
  const { sql } = session
  const { manifest, keepGoing } = plan
  const comparison = await compareRows(sql, manifest.rows)
  if (comparison.differences.length > 0 && !keepGoing) throw differs(comparison)
  for (const warning of ofOneKind(comparison.notCompared.map(notCompared))) world.warn(warning)
  if (!plan.isolated) await analyze(sql, world)
  for (const warning of ofOneKind(await detachSubscriptions(sql))) world.warn(warning)
  if (world.swap) await world.swap.mark(session)
  await noteEvents(sql, world, {
    ...eventOf(plan),
    ...(isPart(comparison, missing) && { differences: comparison.differences.length, missing: missing.length }),
  })
  return comparison
}

/** What the audit trail says of a restore. */
export const eventOf = ({ createRoles = [], into, manifest, what, story }: RestorePlan) => ({
  changes: [
    ...createRoles.map((name) => ({ action: 'create', object: `role ${name}`, reason: 'the backup needs it' })),
    { action: story.pgbosun, object: `database ${into}`, reason: `from ${what ?? `backup ${manifest.id}`}` },
  ],
  backup: manifest.id,
  from: manifest.database.name,
  backed_up_at: manifest.started_at,
})

/** Whether something of the backup is missing. */
export const isPart = ({ differences }: Comparison, missing: Missing[]): boolean =>
  differences.length > 0 || missing.length > 0

/** Writes both events, if the backup contains the state tables. */
export async function noteEvents(
  sql: Session['sql'],
  { run, log }: Pick<RestoreWorld, 'run' | 'log'>,
  detail: { missing?: number; [field: string]: unknown },
): Promise<void> {
  const [row] = await sql.unsafe<{ found: boolean }[]>(
    "select pg_catalog.to_regclass('pgbosun.events') is not null as found",
  )
  if (!row?.found) return
  try {
    await refuseStrangeState(sql)
    await inTransaction(sql, async (tx) => {
      await writeStarted(tx, run)
      await writeFinished(tx, { ...run, exitCode: detail.missing === undefined ? 0 : exitCodes.restore, detail })
    })
  } catch (error) {
    if (isConnectionLost(error)) throw error
    log.warn({ problem: (error as Error).message }, 'could not record this restore in pgbosun.events')
  }
}

/** Ends other sessions (autovacuum, monitoring), because a database in use cannot be renamed. Then does the last step. */
async function publish(
  work: string,
  plan: RestorePlan,
  { lock, rights }: RestoreWorld,
  login: Login | undefined,
): Promise<void> {
  const statements = finishStatements(work, plan.into, plan.manifest.database, {
    noOwner: plan.noOwner,
    sessionUser: rights.user,
    login: login?.user,
    // Functions of the application that run as their owner now belong to us.
    closed: isClosed(plan),
  })
  await lock.sql.unsafe(
    `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
      where datname = ${quoteLiteral(work)} and backend_type = 'client backend'
        and (usename = session_user or (select rolsuper from pg_catalog.pg_roles where rolname = session_user))`,
  )
  await inTransaction(lock.sql, async (tx) => {
    for (const statement of statements) await tx.unsafe(statement)
  })
}

export const notCompared = ({ table, reason }: Comparison['notCompared'][number]) =>
  `the rows of ${table} were not compared with what was backed up (${visible(reason)}): count them as a superuser`

export function differs({ differences, rows }: Comparison): AppError {
  const lines = differences.map((difference) => `  ${renderDifference(difference)}`)
  return new AppError('restore', 'the restored rows differ from what was backed up', {
    hint: `use another backup; \`pgbosun backup list\` shows them. ${goingOn}`,
    excerpt: someLines(lines, 20).join('\n'),
    report: { rows_compared: rows, differences },
  })
}
