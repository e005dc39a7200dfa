import type { Connection } from '../config/connection.ts'
import { claimWork, type RunLock, takeRunLocks } from '../postgres/lock.ts'
import { clusterObject, databaseObject } from '../postgres/lock-keys.ts'
import { dropLogin, loginPrefix } from '../postgres/login.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from './context.ts'

/**
 * Which locks a run takes: none, to read; that of the target database; only the one on roles and databases; or everything, including the
 * locks of all declared databases.
 */
export type Locks = 'none' | 'target' | 'roles' | 'everything'

/**
 * Takes the locks in one order, 0 first and then databases by name, so that runs with different targets cannot wait for each other.
 * @throws {AppError} `locked` when one is still held after `lock.timeout`
 */
export async function takeLocks(
  { loaded, signal, log, takeLock }: Context,
  { cluster, target, connection }: { cluster: Session; target: Session | undefined; connection: Connection },
  locks: Exclude<Locks, 'none'>,
): Promise<void> {
  const options = { timeoutMs: loaded.config.lock.timeout, log, signal, takeLock }
  const declared = locks === 'everything' ? Object.keys(loaded.config.databases) : []
  const names = locks === 'roles' ? [] : [...new Set([connection.database, ...declared])].sort()
  await takeRunLocks(
    cluster.sql,
    [...(locks === 'target' ? [] : [lockOfCluster]), ...names.map(lockOfDatabase)],
    options,
  )
  // A run with the lock on roles and databases alone does no work in the target.
  if (target && locks !== 'roles') await claimDatabase({ log, signal }, target, connection.database)
}

const lockOfCluster: RunLock = { object: clusterObject, what: 'the lock on roles and databases' }

const lockOfDatabase = (name: string): RunLock => ({
  object: databaseObject(name),
  what: `the lock of database ${name}`,
})

/** Marks a session as the one that works in its database, and removes the logins that killed runs left there. */
export async function claimDatabase(
  { log, signal }: Pick<Context, 'log' | 'signal'>,
  { sql }: Session,
  database: string,
): Promise<void> {
  for (const user of await claimWork(sql, { log, signal, logins: loginPrefix(database) })) {
    try {
      await dropLogin(sql, user)
      log.info({ role: user }, 'removed the login of a killed run')
    } catch (error) {
      log.warn({ role: user, problem: (error as Error).message }, 'the login of a killed run could not be removed')
    }
  }
}
