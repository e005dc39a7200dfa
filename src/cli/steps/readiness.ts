import { backupDatabases, type Connection, describe, resolveBackupConnection } from '../../config/connection.ts'
import { openSession, type Session } from '../../db/connect.ts'
import { classify } from '../../db/wait.ts'
import { AppError } from '../../errors.ts'
import { type Log, silentLog } from '../../log.ts'
import type { MigrationPlan } from '../../migrate/types.ts'
import { type Health, notReady, type ServeState } from '../../serve/state.ts'
import type { Context } from '../command.ts'
import { asAppError } from '../failure.ts'
import { planMigrateStep } from './migrate.ts'
import { mainTarget, migrateTargets } from './migrate-targets.ts'

const freshMs = 2_000

/**
 * Readiness: the database is reachable and has the expected schema. Backups have no part in it.
 * @returns a function that looks at most every 2 s, however often it is asked, and logs why it is not ready, once
 */
export function readinessOf(context: Context, state: ServeState): () => Promise<Health> {
  let last: { at: number; health: Promise<Health> } | undefined
  const tell = tellChanges(context.log, state)
  return () => {
    if (state.phase === 'stopping') return Promise.resolve({ ok: false, text: 'stopping' })
    if (!last || performance.now() - last.at > freshMs)
      last = { at: performance.now(), health: look(context).then(tell) }
    return last.health
  }
}

/** While `up` works, nobody expects it to be ready. */
function tellChanges(log: Log, state: ServeState): (health: Health) => Health {
  let told: string | undefined
  return (health) => {
    if (state.phase === 'starting' || health.reason === told) return health
    if (health.ok) log.info('ready again')
    else log.warn(`not ready: ${health.reason}`)
    told = health.reason
    return health
  }
}

async function look(context: Context): Promise<Health> {
  try {
    const target = mainTarget(await migrateTargets(context))
    const session = await openNow(connectionOf(context))
    try {
      if (!target || target.command) return { ok: true, text: 'ok' }
      const { plan } = await planMigrateStep(context, target, session.sql, { looking: true })
      return healthOf(plan)
    } finally {
      await session.end()
    }
  } catch (error) {
    const { kind, message } = asAppError(error)
    return notReady(kind, message)
  }
}

async function openNow(connection: Connection): Promise<Session> {
  try {
    return await openSession(connection, { applicationName: 'pgbosun readyz', log: silentLog })
  } catch (error) {
    throw classify(error, describe(connection), connection).error
  }
}

function healthOf({ steps, problems: [problem] }: MigrationPlan): Health {
  if (steps.length > 0)
    return notReady('pending', steps.length === 1 ? '1 migration is pending' : `${steps.length} migrations are pending`)
  return problem ? notReady('history', `migration ${problem.name} ${problem.detail}`) : { ok: true, text: 'ok' }
}

/** Without a target of its own, `serve --no-up` is as ready as the database that it backs up. */
function connectionOf({ connection, loaded: { config, env, baseDir } }: Context): Connection {
  if (config.backup.url === undefined) return connection()
  try {
    return connection()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    const [database = ''] = backupDatabases(config, env, baseDir)
    return { ...resolveBackupConnection(config, env, baseDir), database }
  }
}
