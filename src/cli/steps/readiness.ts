import { backupDatabases, type Connection, resolveBackupConnection } from '../../config/connection.ts'
import { openSession } from '../../db/connect.ts'
import { AppError } from '../../errors.ts'
import { silentLog } from '../../log.ts'
import type { Health, ServeState } from '../../serve/state.ts'
import type { Context } from '../command.ts'
import { planMigrateStep } from './migrate.ts'
import { mainTarget, migrateTargets } from './migrate-targets.ts'

const freshMs = 2_000

/**
 * Readiness: the database is reachable and has the expected schema. Backups have no part in it.
 * @returns a function that looks at most every 2 s, however often it is asked
 */
export function readinessOf(context: Context, state: ServeState): () => Promise<Health> {
  let last: { at: number; health: Promise<Health> } | undefined
  return () => {
    if (state.phase === 'stopping') return Promise.resolve({ ok: false, text: 'stopping' })
    if (!last || performance.now() - last.at > freshMs) last = { at: performance.now(), health: look(context) }
    return last.health
  }
}

async function look(context: Context): Promise<Health> {
  try {
    const target = mainTarget(await migrateTargets(context))
    const session = await openSession(connectionOf(context), { applicationName: 'pgbosun readyz', log: silentLog })
    try {
      if (!target || target.command) return { ok: true, text: 'ok' }
      const { plan } = await planMigrateStep(context, target, session.sql, { looking: true })
      const { steps, problems } = plan
      const [problem] = problems
      if (steps.length > 0) return { ok: false, text: `${steps.length} migrations are pending` }
      return problem ? { ok: false, text: `migration ${problem.name} ${problem.detail}` } : { ok: true, text: 'ok' }
    } finally {
      await session.end()
    }
  } catch (error) {
    return { ok: false, text: `the database cannot be used: ${(error as Error).message}` }
  }
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
