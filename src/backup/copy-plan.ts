// pure
import type { Backup } from '../archive/backup.ts'
import { keepOf } from './keep.ts'
import { candidates, type PrunePolicy } from './prune-candidates.ts'
import { planRetention } from './retention.ts'

/**
 * The backups that a store lacks and that its rules would keep, newest first. One that was found damaged there counts as lacking, and so
 * does one of which something is missing there, if another store has it whole; one that is good nowhere is not copied.
 *
 * @param all what any of the stores has, at its best
 * @param there what the store has
 */
export function planCopies(all: readonly Backup[], there: readonly Backup[], policy: PrunePolicy, now: Date): Backup[] {
  const good = all.filter(isGood)
  const verified = new Set(good.filter(({ verification }) => verification?.ok).map(({ id }) => id))
  const isWhole = (copy: Backup) => isGood(copy) && (copy.verification !== undefined || !verified.has(copy.id))
  const has = new Set(there.filter(isWhole).map(({ id }) => id))
  // to judge thousands by their rules takes time
  if (good.every(({ id }) => has.has(id))) return []
  const bySchedule = Map.groupBy(candidates(good, new Set(), policy.name, now), ({ schedule }) => schedule)
  const decisions = [...bySchedule].flatMap(([schedule, backups]) =>
    planRetention(backups, keepOf(policy, schedule), { now, zone: policy.timezone }),
  )
  const kept = new Set(decisions.filter(({ action }) => action === 'keep').map(({ backup }) => backup.id))
  return good
    .filter(({ id }) => kept.has(id) && !has.has(id))
    .toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime() || (a.id < b.id ? 1 : -1))
}

/** Whether a copy can be read, and nobody has found it damaged. */
export const isGood = ({ problem, verification }: Backup): boolean =>
  problem === undefined && verification?.ok !== false
