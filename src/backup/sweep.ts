import { removeBackup, removeRest, unfinishedBackups } from '../archive/catalog.ts'
import { databasePrefix, isOfCluster, startedAtOf } from '../archive/layout.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'

/** No backup takes this long: what is older and has no manifest was left behind, whoever made it. */
const abandonedMs = 7 * 86_400_000

/** Single objects are written in seconds, or at least written to. */
const stalePartialMs = 86_400_000

/**
 * Removes what backups of a database that were killed left behind. To be called while holding its backup lock: then what has
 * no manifest and was begun on this cluster is nobody's any more. What another cluster writes under the same name stays.
 *
 * @param complete ids of backups that were just read
 */
export async function sweepLeftovers(
  store: Store,
  database: string,
  { systemIdentifier, complete, now, log }: { systemIdentifier: string; complete: Set<string>; now: Date; log: Log },
): Promise<void> {
  for (const id of await unfinishedBackups(store, database, complete)) {
    const ageMs = now.getTime() - (startedAtOf(id)?.getTime() ?? now.getTime())
    if (!isOfCluster(id, systemIdentifier) && ageMs < abandonedMs) continue
    await removeRest(store, database, id)
    log.info({ database, id }, 'removed what an unfinished backup left behind')
  }
  await store.sweep(databasePrefix(database), stalePartialMs)
}

/** Removes everything of a backup that failed, also a manifest of which we do not know whether it is durable. */
export const removeAll = (store: Store, database: string, id: string): Promise<void> =>
  removeBackup(store, { database, id })
