import { isUnfinished, removeBackup, removeRest } from '../archive/backup.ts'
import { databasePrefix, isOfCluster, startedAtOf } from '../archive/layout.ts'
import { keptNow } from '../archive/lease.ts'
import { hasReason } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'

/** No backup takes this long: anything older without a manifest was left behind, whoever made it. */
const abandonedMs = 7 * 86_400_000

/** A partial object that was not written to for this long was left behind. */
const stalePartialMs = 86_400_000

/**
 * Removes what killed backups of a database left behind. Call it while holding its backup lock: then a backup of this cluster without a
 * manifest is not being made by anybody. What another cluster writes for a database of the same name is kept.
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
  const busy = new Set<string>()
  for (const id of unfinished.filter(isNobodys)) {
    if (!(await isUnfinished(store, { database, id }))) continue
    // somebody copies a backup to it
    if ((await keptNow(store, { database, id }, now)) !== undefined) {
      busy.add(id)
      continue
    }
    const remove = () => removeRest(store, database, id).then(() => true)
    if (await unlessRefused(remove, { database, id, log })) removed.add(id)
  }
  // what was never finished is not listed
  const prefix = databasePrefix(database)
  const idIn = (key: string) => key.slice(prefix.length).split('/')[0]!
  const sweep = () => store.sweep(prefix, (key) => (isNobodys(idIn(key)) && !busy.has(idIn(key)) ? 0 : stalePartialMs))
  for (const key of (await unlessRefused(sweep, { database, log })) ?? [])
    if (isNobodys(idIn(key))) removed.add(idIn(key))
  for (const id of removed) log.info({ database, id }, 'removed what an unfinished backup left behind')
}

/** What may not be deleted stays, and is no reason to make no backup. */
async function unlessRefused<T>(
  work: () => Promise<T>,
  { log, ...where }: { database: string; id?: string; log: Log },
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!hasReason(error, 'delete-refused')) throw error
    log.warn({ ...where, problem: error.message, hint: error.hint }, 'what unfinished backups left behind stays')
    return undefined
  }
}

type Leftovers = { systemIdentifier: string; complete: Set<string>; unfinished: string[]; now: Date; log: Log }

/** Removes everything of a failed backup, including a manifest that may or may not be durable. */
export const removeAll = (store: Store, database: string, id: string): Promise<void> =>
  removeBackup(store, { database, id })
