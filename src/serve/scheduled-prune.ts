import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import { type PrunePlan, pruneStore } from '../backup/prune.ts'
import { policyIn } from '../backup/prune-candidates.ts'
import { storesOf } from '../config/stores.ts'
import { type AppError, hasReason } from '../errors.ts'
import type { Context } from '../run/context.ts'
import { plural } from '../units.ts'

/** Why a prune did not delete what no rule keeps; null where it did. */
export type Refusal = { message: string; hint: string | undefined } | null

type Pruning = { catalog: Catalog; usable: readonly Catalog[] }

/**
 * Deletes old backups of a database by retention, in each store by itself.
 * @param usable those of its parts that can be used just now
 * @param onPruned called with what became of it, unless a store failed, which says nothing about that
 * @param onDeleted called with how many were deleted, for each store
 * @throws {AppError} `backup` before anything is deleted in a store, if it would be too much; if a store fails
 */
export async function pruneOnSchedule(
  context: Pick<Context, 'loaded' | 'log' | 'signal'>,
  { catalog, usable }: Pruning,
  database: string,
  onPruned: (database: string, refusal: Refusal) => void,
  onDeleted: (count: number) => void = () => {},
): Promise<void> {
  const refused: AppError[] = []
  const failed: unknown[] = []
  for (const part of usable)
    await pruneOne(context, { catalog, part }, database, refused)
      .then(({ items }) => onDeleted(items.filter(({ action }) => action === 'delete').length))
      .catch((error) => failed.push(error))
  const drastic = failed.find((error) => hasReason(error, 'prune-drastic'))
  if (drastic) onPruned(database, { message: drastic.message, hint: drastic.hint })
  if (failed.length > 0) throw failed[0]
  const [first] = refused
  const { length } = refused
  const message = `${length} old ${plural(length, 'backup')} of ${database} ${plural(length, 'was', 'were')} not deleted: ${first?.message}`
  onPruned(database, first ? { message, hint: first.hint } : null)
}

function pruneOne(
  { loaded, log, signal }: Pick<Context, 'loaded' | 'log' | 'signal'>,
  { catalog, part }: { catalog: Catalog; part: Catalog },
  database: string,
  refused: AppError[],
): Promise<PrunePlan> {
  const { backup } = loaded.config
  const policy = policyIn(backup, storesOf(backup)[partsOf(catalog).indexOf(part)]?.keep)
  return pruneStore(part, policy, {
    ...{ now: new Date(), database, log, signal },
    onRefused: (_, error) => refused.push(error),
  })
}
