import { openSession } from '../../db/connect.ts'
import { takeForeignLock } from '../../db/lock.ts'
import type { Book } from '../../migrate/book.ts'
import type { Context } from '../command.ts'

/**
 * Holds the lock of the tool whose history it is, so that its own runs and ours exclude each other. On a session of its own, because
 * a migration may give up all locks of the one it runs on.
 *
 * @throws {AppError} `locked` when it is held for longer than lock.timeout
 */
export async function holdNativeLock<T>(
  { connection, loaded, log, signal, runId }: Context,
  { dialect, native }: Book,
  database: string,
  work: () => Promise<T>,
): Promise<T> {
  const { schema, name: table } = native!
  const key = dialect.native!.lockKey!({ database, schema, table })
  const session = await openSession(connection(), { database, applicationName: `pgbosun ${runId}`, log })
  try {
    const timeoutMs = loaded.config.lock.timeout
    await takeForeignLock(session.sql, key, `the lock of ${dialect.format}`, { timeoutMs, log, signal })
    return await work()
  } finally {
    await session.end()
  }
}
