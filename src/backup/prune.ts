import { type Backup as StoredBackup, storedDatabases } from '../archive/backup.ts'
import type { Catalog } from '../archive/catalog-type.ts'
import { isLeased, keptNow } from '../archive/lease.ts'
import { AppError, hasReason } from '../errors.ts'
import type { Log } from '../log.ts'
import { someOf } from '../units.ts'
import { keepOf } from './keep.ts'
import { candidates, type PrunePolicy } from './prune-candidates.ts'
import { drasticSeries, keepVerified, planRetention } from './retention.ts'

/** What happens to a backup, and why. */
export type PruneItem = { id: string; database: string; action: 'keep' | 'delete'; reasons: string[] }

/** `unreadable`: backups that are kept because they cannot be read. `drastic`: series that would lose too many backups, in words. */
export type PrunePlan = { items: PruneItem[]; unreadable: string[]; drastic: string[] }

export type PruneOptions = {
  now: Date
  log: Log
  /** Only this database. */
  database?: string | undefined
  /** Delete even most of a series. */
  force?: boolean
  dryRun?: boolean
  signal?: AbortSignal
  /** So many verified backups of each series stay, whatever the rules say. */
  atLeast?: number
  /** Called with each backup that the store does not let go. */
  onRefused?: ((item: PruneItem, error: AppError) => void) | undefined
}

/**
 * Deletes the backups that no rule keeps, and returns for each backup what happened to it and why.
 *
 * @throws {AppError} `backup` before anything is deleted, if it would be more than three and more than half of a series;
 *   `backup` if the store fails
 */
export async function pruneStore(catalog: Catalog, policy: PrunePolicy, options: PruneOptions): Promise<PrunePlan> {
  const plan = await planPrune(catalog, policy, options)
  if (options.dryRun) return plan
  return { ...plan, items: await applyPrune(catalog, plan, options) }
}

/** Decides by what is known of the store, and was listed just now; changes nothing. */
export async function planPrune(
  catalog: Catalog,
  policy: PrunePolicy,
  { now, database, atLeast = 0 }: Pick<PruneOptions, 'now' | 'database' | 'atLeast'>,
): Promise<PrunePlan> {
  const found: StoredBackup[][] = []
  for (const one of database === undefined ? await storedDatabases(catalog.store) : [database])
    found.push(await catalog.recent(one))
  const stored = found.flat()
  const unreadable = stored.filter(({ problem }) => problem !== undefined)
  const leased = new Set<string>()
  for (const backup of stored)
    if (await isLeased(catalog.store, backup, backup.leases, now)) leased.add(`${backup.database}/${backup.id}`)
  const bySchedule = Map.groupBy(candidates(stored, leased, policy.name, now), ({ schedule }) => schedule)
  const byRules = [...bySchedule].flatMap(([schedule, backups]) =>
    planRetention(backups, keepOf(policy, schedule), { now, zone: policy.timezone }),
  )
  const decisions = keepVerified(byRules, atLeast)
  return {
    items: [
      ...decisions.map(({ backup, action, reasons }) => ({
        id: backup.id,
        database: backup.database,
        action,
        reasons,
      })),
      ...unreadable.map(({ id, database, problem, unproven }) => ({
        id,
        database,
        action: 'keep' as const,
        reasons: [unproven ? `it does not count: ${problem}` : `it cannot be read: ${problem}`],
      })),
    ],
    unreadable: unreadable.map(
      ({ id, database, problem }) => `the backup ${id} of ${database} cannot be read: ${problem}`,
    ),
    drastic: drasticSeries(decisions).map(({ series, deleted, of }) => {
      const [, system, database, , schedule] = JSON.parse(series) as (string | null)[]
      const which = `${schedule === null ? '' : `schedule ${schedule}, `}cluster ${system}`
      return `${deleted} of the ${of} backups of ${database} (${which}) would be deleted`
    }),
  }
}

/**
 * Applies the plan, oldest backups first. If it is interrupted at any point, no manifest is left without its data.
 *
 * @returns the plan as it was carried out: a backup that the store does not let go is kept
 */
export async function applyPrune(
  catalog: Catalog,
  { items, drastic }: PrunePlan,
  { log, force = false, signal, now, onRefused }: Pick<PruneOptions, 'log' | 'force' | 'signal' | 'now' | 'onRefused'>,
): Promise<PruneItem[]> {
  if (drastic.length > 0 && !force) {
    throw new AppError('backup', `nothing was deleted: ${someOf(drastic, '; ')}`, {
      reason: 'prune-drastic',
      hint: 'run `pgbosun backup prune --dry-run` to see why; if you want that, run `pgbosun backup prune --force`',
    })
  }
  const done: PruneItem[] = []
  for (const item of items.toReversed()) {
    if (item.action === 'delete') signal?.throwIfAborted()
    done.unshift(item.action === 'delete' ? await deleted(catalog, item, { log, now, onRefused }) : item)
  }
  return done
}

/** What became of a backup that was to be deleted. That the store does not let it go says nothing about the others. */
async function deleted(
  catalog: Catalog,
  item: PruneItem,
  { log, now, onRefused }: Pick<PruneOptions, 'log' | 'now' | 'onRefused'>,
): Promise<PruneItem> {
  const { id, database, reasons } = item
  try {
    const why = await keptNow(catalog.store, item, now)
    if (why !== undefined) {
      log.info({ id, database, why }, 'backup not deleted: it was not so when that was planned')
      return { ...item, action: 'keep', reasons: [why] }
    }
    await catalog.remove({ id, database })
    log.info({ id, database, reasons }, 'backup deleted')
    return item
  } catch (error) {
    if (!hasReason(error, 'delete-refused')) throw error
    log.warn({ id, database, problem: error.message, hint: error.hint }, 'backup not deleted')
    onRefused?.(item, error)
    return { ...item, action: 'keep', reasons: [`it cannot be deleted: ${error.message}`] }
  }
}
