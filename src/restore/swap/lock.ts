import { at, type Connection } from '../../config/connection.ts'
import type { Log } from '../../log.ts'
import type { Warning } from '../../plan.ts'
import { openSession } from '../../postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../../postgres/event-triggers.ts'
import { takeRunLock } from '../../postgres/lock.ts'
import { databaseObject } from '../../postgres/lock-keys.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import type { Store } from '../../store/store.ts'
import type { RollbackWorld } from './rollback.ts'

/** What a rollback and a discard need to know. They read neither the environment nor the configuration. */
export type SwapRunOptions = {
  connection: Connection
  /** The database that was replaced. */
  name: string
  store: Store
  lock: { database: string; timeoutMs: number }
  wait: { timeoutMs: number; patient: boolean }
  runId: string
  command: string
  warn(warning: Warning): void
  log: Log
  signal: AbortSignal
}

/**
 * Opens a session in `lock.database` and gives `use` what it works with.
 * @param use calls `takeLock` before its first change, after whatever it asks a person
 */
export async function withLockSession<T>(
  { connection, name, store, lock, wait, runId, command, warn, log, signal }: SwapRunOptions,
  use: (world: RollbackWorld, takeLock: () => Promise<void>) => Promise<T>,
): Promise<T> {
  const base = { applicationName: `pgbosun ${runId}`, log }
  const deadline = performance.now() + wait.timeoutMs
  const session = (await openWhenReady(connection, {
    ...{ ...base, ...wait, command, signal, deadline, database: lock.database },
  }))!
  try {
    const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
    const connect = (database: string) =>
      openSession(at(connection, session), { ...base, database, withoutEventTriggers })
    const world: RollbackWorld = {
      ...{ name, store, lock: session, lockDatabase: lock.database, connect, run: runId, warn, log, signal },
    }
    return await use(world, () =>
      takeRunLock(session.sql, databaseObject(name), `the lock of database ${name}`, {
        ...{ timeoutMs: lock.timeoutMs, log, signal },
      }),
    )
  } finally {
    await session.end()
  }
}
