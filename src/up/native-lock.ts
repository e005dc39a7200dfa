import type { Log } from '../log.ts'
import type { HistoryTable } from '../migrate/history/history-table.ts'
import { openSession, type Session } from '../postgres/connect.ts'
import { cancelWaits, takeForeignLock } from '../postgres/lock.ts'
import type { Context } from '../run/context.ts'

const lookEveryMs = 1_000

/**
 * Holds the lock of the tool whose history it is, so that its own runs and ours exclude each other. On a session of its own, because
 * a migration may give up all locks of the one it runs on.
 *
 * @param work gets what throws when that session was lost
 * @throws {AppError} `locked` when it is held for longer than lock.timeout
 */
export async function holdNativeLock<T>(
  { connection, loaded, log, signal, runId }: Context,
  { format, native }: HistoryTable,
  database: string,
  work: (guard: () => void) => Promise<T>,
): Promise<T> {
  const { schema, name: table } = native!
  const key = format.native!.lockKey!({ database, schema, table })
  const applicationName = `pgbosun ${runId}`
  const session = await openSession(connection(), { database, applicationName, log })
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

/** Looks whether somebody who waits for the lock makes us wait. */
function watchWaits({ sql, lost }: Session, key: bigint, application: string, format: string, log: Log) {
  let said = false
  let asking = false
  const timer = setInterval(async () => {
    if (asking) return
    asking = true
    try {
      for (const who of await cancelWaits(sql, key, application))
        log.warn(`ended the wait of ${who} for the lock of ${format}: this run waited for it in its turn`)
    } catch (error) {
      // Another user's session may be ended by few; who is in the way is told elsewhere.
      if (!said)
        log.debug({ problem: (error as Error).message }, `whoever waits for the lock of ${format} cannot be ended`)
      said = true
    } finally {
      asking = false
    }
  }, lookEveryMs)
  void lost.then(() => clearInterval(timer))
  return timer
}
