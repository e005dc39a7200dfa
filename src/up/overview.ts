// pure
import type { Backup } from '../archive/backup.ts'
import type { SlotRecord } from '../archive/slot-records.ts'
import { goodBackups } from '../backup/facts.ts'
import { keepOf } from '../backup/keep.ts'
import { candidates, type PrunePolicy } from '../backup/prune-candidates.ts'
import { planRetention } from '../backup/retention.ts'
import { type DatabaseBackups, type ShownBackup, shownSlots } from '../check/overview.ts'

/** So many backups of a database are listed. */
const shownBackups = 50

/** What is known of the backups of one database besides what is stored. */
export type Surroundings = Pick<
  DatabaseBackups,
  'database' | 'unknown' | 'store' | 'running' | 'nextRunAt' | 'nextTestAt'
> & {
  series: readonly { schedule: string; slots: readonly SlotRecord[] }[]
}

/**
 * What is shown of the backups of one database. Pure.
 * @param backups of one name, oldest first
 */
export function shownBackupsOf(
  backups: readonly Backup[],
  surroundings: Surroundings,
  { policy, now }: { policy: PrunePolicy; now: Date },
): DatabaseBackups {
  const good = goodBackups([...backups], now)
  const kept = keptOf(backups, policy, now)
  const show = (backup: Backup): ShownBackup => ({
    id: backup.id,
    at: backup.takenAt.toISOString(),
    sizeBytes: backup.sizeBytes,
    durationMs: backup.durationMs,
    state: stateOf(backup),
    verifiedAt: backup.verification?.ok ? backup.verification.at.toISOString() : undefined,
    kept: kept.get(backup.id) ?? '',
  })
  const tested = backups
    .filter(({ restoreTest }) => restoreTest)
    .sort((a, b) => +a.restoreTest!.at - +b.restoreTest!.at)
  const last = tested.at(-1)
  const newest = good.at(-1)
  return {
    ...surroundings,
    series: surroundings.series.map(({ schedule, slots }) => ({ schedule, slots: slots.slice(-shownSlots) })),
    newest: newest && show(newest),
    oldestAt: good[0]?.takenAt.toISOString(),
    restoreTest: last?.restoreTest && {
      id: last.id,
      at: last.restoreTest.at.toISOString(),
      ok: last.restoreTest.ok,
      durationMs: last.restoreTest.durationMs,
      server: last.restoreTest.server,
    },
    bytesPerSecond: tested.map(rateOf).findLast((rate) => rate !== undefined),
    listed: backups.slice(-shownBackups).reverse().map(show),
    more: Math.max(0, backups.length - shownBackups),
  }
}

const rateOf = ({ sizeBytes, restoreTest }: Backup): number | undefined =>
  restoreTest?.ok && restoreTest.durationMs && sizeBytes ? (sizeBytes / restoreTest.durationMs) * 1000 : undefined

function stateOf({ problem, verification, restoreTest, partial, pinned }: Backup): string {
  if (problem !== undefined) return 'unreadable'
  if (verification?.ok === false) return 'DAMAGED'
  return [
    restoreTest?.ok ? 'restored for a test' : verification ? 'verified' : 'not verified',
    ...(restoreTest?.ok === false ? ['test restore FAILED'] : []),
    ...(partial ? ['partial'] : []),
    ...(pinned ? ['pinned'] : []),
  ].join(', ')
}

/** Why retention keeps each, or that it goes. */
function keptOf(backups: readonly Backup[], policy: PrunePolicy, now: Date): Map<string, string> {
  const bySchedule = Map.groupBy(candidates(backups, new Set(), policy.name, now), ({ schedule }) => schedule)
  const decisions = [...bySchedule].flatMap(([schedule, some]) =>
    planRetention(some, keepOf(policy, schedule), { now, zone: policy.timezone }),
  )
  return new Map(
    decisions.map(({ backup, action, reasons }) => [
      backup.id,
      action === 'keep' ? reasons.join(', ') : `the next prune deletes it: ${reasons.join(', ')}`,
    ]),
  )
}
