// pure
import type { Backup as StoredBackup } from '../archive/backup.ts'
import { isFromFuture } from '../archive/clock.ts'
import type { BackupConfig } from '../config/schema.ts'
import type { Backup } from './retention.ts'

/** What to keep, of the backups with this name. */
export type PrunePolicy = Pick<BackupConfig, 'name' | 'keep' | 'schedules' | 'timezone'>

export type Candidate = Backup & { database: string; schedule: string | undefined }

/** The backups of that name as retention sees them. Thousands of backups belong to few series, so they share the strings of their keys. */
export function candidates(
  stored: readonly StoredBackup[],
  leased: ReadonlySet<string>,
  name: string,
  now: Date,
): Candidate[] {
  const keys = new Map<string, string>()
  return stored.flatMap((backup): Candidate[] => {
    const { id, database, startedAt, takenAt, series, verification } = backup
    if (series?.name !== name) return []
    const { system_identifier, kind } = series
    const schedule = series.schedule || undefined
    const key = JSON.stringify([series.name, system_identifier, series.database, kind, schedule ?? null])
    keys.set(key, keys.get(key) ?? key)
    return [
      {
        id,
        database,
        schedule,
        series: keys.get(key)!,
        startedAt: isFromFuture(backup, now) ? startedAt : takenAt,
        verified: verification === undefined ? 'unknown' : verification.ok ? 'ok' : 'bad',
        pinned: backup.pinned,
        leased: leased.has(`${database}/${id}`),
      },
    ]
  })
}

/** The rules for a store that has some of its own: they count for the backups of every schedule. */
export const policyIn = (policy: PrunePolicy, ofStore: PrunePolicy['keep'] | undefined): PrunePolicy =>
  ofStore === undefined ? policy : { ...policy, keep: ofStore, schedules: undefined }
