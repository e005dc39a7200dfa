import type { Log } from '../log.ts'
import type { HistoryTable } from '../migrate/history/history-table.ts'
import { openSession } from '../postgres/connect.ts'
import { cancelWaits, takeForeignLock } from '../postgres/lock.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'

const lookEveryMs = 1_000

/**
 * Holds the lock of the tool that writes this history, so that its runs and ours exclude each other. It is held on a session of its own,
 * because a migration may release all locks of the session it runs on.
 *
 * @param work gets a guard, which throws when that session was lost
 * @throws {AppError} `locked` when it is held for longer than lock.timeout
 */
export async function holdNativeLock<T>(
  { command, connection, loaded, log, signal, runId }: Context,
  { format, native }: HistoryTable,
  database: string,
  work: (guard: () => void) => Promise<T>,
): Promise<T> {
  const { schema, name: table } = native!
  const key = format.native!.lockKey!({ database, schema, table })
  const applicationName = `pgbosun ${runId}`
  const session = await openSession(connection(), { database, applicationName, command, log })
  try {
    const timeoutMs = loaded.config.lock.timeout
    await takeForeignLock(session.sql, key, `the lock of ${format.name}`, { timeoutMs, log, signal })
    const watch = watchWaits(session, key, applicationName, format.name, log)
    try {
      return await work(session.guard)
    } finally {
      clearInterval(watch)
    }
  } finally {
    await session.end()
  }
}

/** Watches for sessions that wait for this lock while we wait for them: a deadlock that PostgreSQL cannot see. */
function watchWaits({ sql, lost }: Session, key: bigint, application: string, format: string, log: Log) {
  let said = false
  let asking = false
  const timer = setInterval(async () => {
    if (asking) return
    asking = true
    try {
      for (const who of await cancelWaits(sql, key, application))
        log.warn(
          `cancelled ${who}, which was waiting for the lock of ${format} while this run was waiting for it (deadlock)`,
        )
    } catch (error) {
      // Few users may cancel the session of another user; who blocks us is reported elsewhere.
      if (!said)
        log.debug(
          { problem: (error as Error).message },
          `a session that waits for the lock of ${format} could not be cancelled`,
        )
      said = true
    } finally {
      asking = false
    }
  }, lookEveryMs)
  void lost.then(() => clearInterval(timer))
  return timer
}
