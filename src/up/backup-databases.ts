import { storedDatabases } from '../archive/backup.ts'
import { type DatabasePlan, planDatabases } from '../backup/databases.ts'
import { readDatabases } from '../backup/read-databases.ts'
import { mayBeStandby } from '../backup/standby.ts'
import { backupDatabases, resolveBackupConnection } from '../config/resolve.ts'
import { includes, isPattern } from '../config/wildcards.ts'
import { AppError } from '../errors.ts'
import { wasLost } from '../postgres/lost.ts'
import { isServerError } from '../postgres/server-error.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { openWhenReady } from '../postgres/wait.ts'
import type { Context } from '../run/context.ts'
import type { Store } from '../store/store.ts'
import { primaryOf } from './primary.ts'

type Asking = Pick<Context, 'loaded' | 'connection' | 'command' | 'runId' | 'log' | 'signal'>

/** The entries of `backup.databases` as they are configured, names and patterns. */
export const databaseList = ({ loaded: { config, env, baseDir } }: Pick<Context, 'loaded'>): string[] =>
  backupDatabases(config, env, baseDir)

export type DatabasesNow = DatabasePlan & {
  /** Of the server that was asked; undefined if it does not tell, or nobody was asked. */
  systemIdentifier: string | undefined
}

/**
 * The databases that `backup.databases` means now. The server is only asked if there is a pattern among them.
 * @param timeoutMs how long to wait for the server. Default: `wait.timeout`
 * @throws {AppError} `unreachable`, `refused`
 */
export async function databasesNow(context: Asking, timeoutMs?: number): Promise<DatabasesNow> {
  const { loaded, command, runId, log, signal } = context
  const { config, env, baseDir } = loaded
  const list = databaseList(context)
  if (!list.some(isPattern)) return { ...planDatabases(list, []), systemIdentifier: undefined }
  const wait = { timeoutMs: timeoutMs ?? config.wait.timeout, patient: timeoutMs === undefined && config.wait.patient }
  const connection = resolveBackupConnection(config, env, baseDir)
  const session = (await openWhenReady(connection, {
    allowStandby: mayBeStandby(connection, primaryOf(context)),
    ...{ ...wait, command, log, signal, deadline: performance.now() + wait.timeoutMs },
    ...{ database: config.lock.database, applicationName: `pgbosun backup ${runId}` },
    ...limits(timeoutMs, signal),
  }))!
  try {
    const plan = planDatabases(list, await readDatabases(session.sql), Object.keys(config.databases))
    const stories = plan.leftOut.filter(({ reason }) => reason !== 'template').map(({ database }) => database)
    if (stories.length > 0) log.debug({ databases: stories }, 'databases that a pattern of backup.databases leaves out')
    return { ...plan, systemIdentifier: await readSystemIdentifier(session.sql) }
  } catch (error) {
    signal.throwIfAborted()
    if (isServerError(error) || wasLost(error)) throw notSaid(error as Error)
    throw error
  } finally {
    await session.end()
  }
}

/** A server may accept a connection, and then not answer. */
const limits = (timeoutMs: number | undefined, signal: AbortSignal) =>
  timeoutMs === undefined
    ? { endWith: signal }
    : {
        statementTimeoutMs: timeoutMs,
        endWith: AbortSignal.any([signal, AbortSignal.timeout(2 * Math.max(timeoutMs, 5_000))]),
      }

const notSaid = (cause: Error) =>
  new AppError('unreachable', `the server did not say which databases it has: ${cause.message}`, {
    hint: 'look in pg_stat_activity what it waits for, then run this again',
    cause,
  })

/**
 * The databases that `backup.databases` means in a store, for work that needs no server: names as they are, and of what the store has,
 * what a pattern matches. So it also has databases that the server does not have any more.
 */
export async function databasesInStore(context: Pick<Context, 'loaded'>, store: Store): Promise<string[]> {
  const list = databaseList(context)
  if (!list.some(isPattern)) return list
  const stored = (await storedDatabases(store)).filter((name) => includes(list, name))
  return [...new Set([...list.filter((name) => !isPattern(name)), ...stored.sort()])]
}
