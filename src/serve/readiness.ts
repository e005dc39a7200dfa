import { type Connection, describe } from '../config/connection.ts'
import type { Endpoint } from '../config/endpoint.ts'
import { backupDatabases, resolveBackupConnection } from '../config/resolve.ts'
import { isPattern } from '../config/wildcards.ts'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import type { MigrationPlan } from '../migrate/types.ts'
import { openSession } from '../postgres/connect.ts'
import type { Session } from '../postgres/session.ts'
import { classify } from '../postgres/wait.ts'
import type { Context } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'
import { counted, plural } from '../units.ts'
import { type MigrateStep, planMigrateStep } from '../up/migrate.ts'
import type { MigrateTarget } from '../up/target.ts'
import { mainTarget, migrateTargets } from '../up/targets.ts'
import { type Probe, startProbe } from './probe.ts'
import { notReady, type ProbeAnswer, type ServeState } from './state.ts'

/** Shorter than a look may take, so that its statement has ended on the server before the next look starts. */
const statementTimeoutMs = 1_500

/** Longer than the server's own limit for a login (`authentication_timeout`, one minute). */
const patience: Patience = { firstMs: 65_000, longestMs: 600_000 }

/**
 * Readiness: the database is reachable and has at least the migrations that were applied when this process became ready.
 * Files that are added later do not matter, because they may come before anybody runs `up`. Nor do backups.
 * @param onHealth called with the result of each look
 * @param onHistory called with what each look found of the migrations
 */
export function watchReadiness(
  context: Context,
  state: ServeState,
  onHealth?: (health: ProbeAnswer) => void,
  onHistory?: (step: MigrateStep | undefined) => void,
): Probe {
  let seen: { target: MigrateTarget | undefined } | undefined
  let place: Endpoint | undefined
  const logIn = oneLogin(
    async (endWith) => {
      const session = await openNow(connectionOf(context), place, endWith)
      place = session.endpoint
      return session
    },
    context.signal,
    patience,
  )
  return startProbe({
    log: context.log,
    signal: context.signal,
    ...(onHealth && { onHealth }),
    // While `up` runs, not being ready is expected.
    isTold: () => state.phase === 'serving' || state.phase === 'up-failed',
    async look(signal) {
      try {
        const target = seen ? seen.target : mainTarget(await migrateTargets(context))
        const step = await unlessAborted(planWith(context, target, logIn, signal), signal)
        onHistory?.(step)
        const plan = step?.plan
        const health = seen ? stillThere(plan) : healthOf(plan)
        // The files are only read once: see `folderOf`.
        if (health.ok) seen ??= { target }
        return health
      } catch (error) {
        const { kind, message, reason } = asAppError(error)
        return notReady(kind, message, reason === 'standby')
      }
    },
  })
}

/** Stops waiting on abort: resolving a name cannot be cancelled. If it succeeds later, no session is opened any more. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {})
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    work.then(resolve, reject)
  })
}

async function planWith(
  context: Context,
  target: MigrateTarget | undefined,
  logIn: (signal: AbortSignal) => Promise<Session>,
  signal: AbortSignal,
): Promise<MigrateStep | undefined> {
  const session = await logIn(signal)
  signal.addEventListener('abort', session.breakOff, { once: true })
  try {
    if (!target || target.command) return undefined
    return await planMigrateStep(context, target, session.sql, { looking: true })
  } finally {
    await session.end()
  }
}

type Patience = { firstMs: number; longestMs: number }

/**
 * One login at a time. A login that hangs may take longer than one look; the next look then waits for the same login. In the middle of a
 * login the server does not notice that its client has gone, so every login given up could leave a process there, until no connection
 * is free.
 */
export function oneLogin<Session>(
  open: (endWith: AbortSignal) => Promise<Session>,
  stop: AbortSignal,
  { firstMs, longestMs }: Patience,
): (signal: AbortSignal) => Promise<Session> {
  let pending: Promise<Session> | undefined
  let patienceMs = firstMs
  const begin = async () => {
    const tooLong = new AbortController()
    const late = new Error('the login hangs')
    const timer = setTimeout(() => tooLong.abort(late), patienceMs).unref()
    try {
      return await open(AbortSignal.any([stop, tooLong.signal]))
    } finally {
      clearTimeout(timer)
      // Logins given up like this must not become many either.
      patienceMs = tooLong.signal.aborted ? Math.min(patienceMs * 2, longestMs) : firstMs
    }
  }
  return async (signal) => {
    signal.throwIfAborted()
    pending ??= begin()
    const forget = () => {
      pending = undefined
    }
    pending.catch(forget)
    const session = await unlessAborted(pending, signal)
    forget()
    return session
  }
}

/** @param last the endpoint of the previous session: it is tried first, because a dead host before it would make every look too long */
async function openNow(connection: Connection, last: Endpoint | undefined, endWith: AbortSignal): Promise<Session> {
  const isLast = ({ host, port, address }: Endpoint) =>
    host === last?.host && port === last.port && address === last.address
  const { endpoints } = connection
  const lastFirst = [...endpoints.filter(isLast), ...endpoints.filter((endpoint) => !isLast(endpoint))]
  try {
    return await openSession(
      { ...connection, endpoints: lastFirst },
      {
        applicationName: 'pgbosun readyz',
        log: silentLog,
        endWith,
        loginMayHang: true,
        statementTimeoutMs,
      },
    )
  } catch (error) {
    throw classify(error, describe(connection), connection).error
  }
}

/** For a process that was ready before: what others have applied or changed since then does not matter. */
function stillThere(plan: MigrationPlan | undefined): ProbeAnswer {
  return healthOf(plan && { ...plan, problems: [] })
}

function healthOf(plan: MigrationPlan | undefined): ProbeAnswer {
  if (!plan) return { ok: true, text: 'ok' }
  const {
    steps,
    problems: [problem],
  } = plan
  if (steps.length > 0)
    return notReady('pending', `${counted(steps.length, 'migration')} ${plural(steps.length, 'is', 'are')} pending`)
  return problem ? notReady('history', `migration ${problem.name} ${problem.detail}`) : { ok: true, text: 'ok' }
}

/** Without a connection to a target, `serve --no-up` is ready when the database that it backs up is. */
export function connectionOf({ connection, loaded: { config, env, baseDir } }: Context): Connection {
  if (config.backup.url === undefined) return connection()
  try {
    return connection()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    const own = resolveBackupConnection(config, env, baseDir)
    const named = backupDatabases(config, env, baseDir).find((name) => !isPattern(name))
    return { ...own, database: named ?? own.database }
  }
}
