import type { Catalog } from '../archive/catalog-type.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { counted, plural, someOf } from '../units.ts'
import { applyPrune, planPrune } from './prune.ts'
import type { PrunePolicy } from './prune-candidates.ts'

/** What was deleted to make room, and that in words. */
export type Room = { deleted: string[]; said: string }

/** So many verified backups of each series stay: the one that is to be made may still fail. */
const atLeast = 2

/**
 * Makes room in a store that is too full for a backup, by the rules of `backup.keep` and everything that holds them back: a full store
 * would never come to the prune that follows a backup.
 */
export async function makeRoom(
  catalog: Catalog,
  policy: PrunePolicy,
  options: { now: Date; database: string; log: Log; signal: AbortSignal },
): Promise<Room> {
  try {
    const plan = await planPrune(catalog, policy, { ...options, atLeast })
    if (plan.items.every(({ action }) => action === 'keep'))
      return { deleted: [], said: 'backup.keep keeps every backup that is there' }
    const items = await applyPrune(catalog, plan, options)
    const deleted = items.filter(({ action }) => action === 'delete').map(({ id }) => id)
    const what = `${counted(deleted.length, 'old backup')} ${plural(deleted.length, 'was', 'were')} deleted`
    return { deleted, said: `${what} to make room: ${someOf(deleted)}` }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'backup') throw error
    return { deleted: [], said: error.message }
  }
}
