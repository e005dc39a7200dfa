import { listBackups, storedDatabases } from '../archive/backup.ts'
import { failedPrefix, isOfCluster, startedAtOf } from '../archive/layout.ts'
import { includes, isPattern } from '../config/wildcards.ts'
import { AppError } from '../errors.ts'
import type { Context } from '../run/context.ts'
import type { Store } from '../store/store.ts'
import { databaseList, databasesNow } from './backup-databases.ts'

/** A database whose backups are judged. */
export type Judged = {
  /** A pattern, where it is not known what it means. */
  database: string
  /** Only a pattern matches it, so it may be new. */
  matched?: boolean
  /** The server does not have it any more. */
  ended?: boolean
  /** Why it is not known what the pattern means, or that it means nothing. */
  unknown?: string
}

/** The server of the database usually answers: then that of the backups, mostly the same, does not need long. */
const answerMs = 10_000

/** The databases that `check` judges. What cannot be read is unknown, and said. */
export async function databasesToCheck(context: Context, store: Store): Promise<Judged[]> {
  const list = databaseList(context)
  const named = new Set(list.filter((name) => !isPattern(name)))
  try {
    const { chosen, systemIdentifier } = await databasesNow(context, answerMs)
    if (chosen.length === 0)
      return list.map((database) => ({
        database,
        unknown: 'no database of the server that can be backed up matches it',
      }))
    const ended = list.some(isPattern) ? await endedIn(store, list, { chosen, systemIdentifier }) : []
    return [
      ...chosen.map((database): Judged => (named.has(database) ? { database } : { database, matched: true })),
      ...ended.map((database): Judged => ({ database, ended: true })),
    ]
  } catch (error) {
    if (!(error instanceof AppError) || context.signal.aborted) throw error
    const unknown = `which databases that is cannot be read from the server: ${error.message}`
    return [...new Set(list)].map((database) => (isPattern(database) ? { database, unknown } : { database }))
  }
}

/** Databases of which this server made backups, and that it does not have any more. */
async function endedIn(
  store: Store,
  list: readonly string[],
  { chosen, systemIdentifier }: { chosen: string[]; systemIdentifier: string | undefined },
): Promise<string[]> {
  if (systemIdentifier === undefined) return []
  const ended: string[] = []
  for (const database of await storedOrNone(store)) {
    if (chosen.includes(database) || !includes(list, database)) continue
    if ((await listBackups(store, database)).some(({ id }) => isOfCluster(id, systemIdentifier))) ended.push(database)
  }
  return ended.sort()
}

/** A store that cannot be read is said of every database anyway. */
async function storedOrNone(store: Store): Promise<string[]> {
  try {
    return await storedDatabases(store)
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'backup') throw error
    return []
  }
}

/**
 * Since when a database without any backup is known to be due: a pattern may match one that was created a moment ago, so that is when the
 * first backup of it failed.
 */
export async function firstFailureAt(store: Store, database: string): Promise<Date | undefined> {
  const prefix = failedPrefix(database)
  let first: Date | undefined
  for await (const { key } of store.list(prefix)) {
    const at = startedAtOf(key.slice(prefix.length).replace(/\.json$/, ''))
    if (at && (!first || at < first)) first = at
  }
  return first
}
