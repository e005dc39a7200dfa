import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import { dropExpired } from '../restore/swap/expire.ts'
import type { KeptFacts } from '../restore/swap/expiry.ts'
import { withLockSession } from '../restore/swap/lock.ts'
import type { Context } from '../run/context.ts'
import { asAppError } from '../run/failure.ts'

/** While another run has the lock, the next look does it. */
const lockTimeoutMs = 1_000

/**
 * Drops the databases that restores have replaced, once `backup.keepBefore.drop` has passed and nothing speaks against it. What stays is
 * told once, with the reasons; that it waits is the condition `replaced-database-waits` anyway.
 *
 * @returns looks once; undefined where a person decides. It never fails
 */
export function createExpiry(context: Context, catalog: Catalog): (() => Promise<void>) | undefined {
  const { loaded, runId, command, out, log, signal } = context
  const { config } = loaded
  const { keepBefore } = config.backup
  if (keepBefore === 'condition') return undefined
  let told = ''
  const tell = (text: string, say: () => void) => {
    if (told !== text) say()
    told = text
  }
  let busy = false
  return async () => {
    if (busy) return
    busy = true
    try {
      const connection = context.connection()
      const name = connection.database
      const { dropped, kept } = await withLockSession(
        {
          ...{ connection, name, runId, command, log, signal, warn: out.warn, store: catalog.store },
          lock: { database: config.lock.database, timeoutMs: lockTimeoutMs },
          wait: { timeoutMs: lockTimeoutMs, patient: false },
        },
        (world, takeLock) =>
          dropExpired(world, takeLock, {
            ...{ afterMs: keepBefore.drop, name, backupOf: (id) => findBackup(catalog, name, id) },
          }),
      )
      if (dropped.length > 0)
        log.info({ databases: dropped }, 'dropped what a restore had replaced, as backup.keepBefore says')
      tell(JSON.stringify(kept.map(({ database }) => database)), () => {
        for (const { database, reasons } of kept)
          log.info({ database, reasons }, 'what a restore has replaced is not dropped yet')
      })
    } catch (error) {
      const { message, kind } = asAppError(error)
      if (signal.aborted || kind === 'locked') return
      tell(message, () => log.warn({ problem: message }, 'could not look for databases that restores have replaced'))
    } finally {
      busy = false
    }
  }
}

/** In any store that can be read. */
async function findBackup(catalog: Catalog, database: string, id: string): Promise<KeptFacts['backup']> {
  const lists = await Promise.all(partsOf(catalog).map((part) => part.recent(database).catch(() => [])))
  const found = lists.flat().filter((one) => one.id === id && one.series?.kind === 'before-restore')
  if (found.length === 0) return 'missing'
  return found.some(({ problem, verification }) => problem === undefined && verification?.ok)
    ? 'verified'
    : 'unverified'
}
