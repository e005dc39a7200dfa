import { isUnfinished, removeBackup, removeRest } from '../archive/catalog.ts'
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
 * @param complete ids of backups that were just listed
 * @param unfinished ids of folders that were just listed and have no manifest
 */
export async function sweepLeftovers(
  store: Store,
  database: string,
  { systemIdentifier, complete, unfinished, now, log }: Leftovers,
): Promise<void> {
  const isNobodys = (id: string) => {
    const startedAt = startedAtOf(id)
    if (!startedAt || complete.has(id)) return false
    return isOfCluster(id, systemIdentifier) || now.getTime() - startedAt.getTime() >= abandonedMs
  }
  const removed = new Set<string>()
  for (const id of unfinished.filter(isNobodys)) {
    if (!(await isUnfinished(store, { database, id }))) continue
    await removeRest(store, database, id)
    removed.add(id)
  }
  // what was never finished is not listed
  const prefix = databasePrefix(database)
  const idIn = (key: string) => key.slice(prefix.length).split('/')[0]!
  for (const key of await store.sweep(prefix, (key) => (isNobodys(idIn(key)) ? 0 : stalePartialMs)))
    if (isNobodys(idIn(key))) removed.add(idIn(key))
  for (const id of removed) log.info({ database, id }, 'removed what an unfinished backup left behind')
}

type Leftovers = { systemIdentifier: string; complete: Set<string>; unfinished: string[]; now: Date; log: Log }

/** Removes everything of a backup that failed, also a manifest of which we do not know whether it is durable. */
export const removeAll = (store: Store, database: string, id: string): Promise<void> =>
  removeBackup(store, { database, id })
