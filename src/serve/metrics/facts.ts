// pure
import type { Backup } from '../../archive/backup.ts'
import type { Schedule } from '../../backup/schedule.ts'
import type { ServerFacts } from '../../check/server-facts.ts'
import type { StoreSpace } from '../../check/store-space.ts'
import type { Cron } from '../../config/cron.ts'
import type { ProbeAnswer, ServeState } from '../state.ts'

/** What `serve` has done since it was started. */
export type Counts = {
  /** By database. */
  backups: Map<string, { success: number; failure: number; bytes: number }>
  pruned: number
  /** By target of `notify`. */
  notifyFailures: Map<string, number>
}

export const noCounts = (): Counts => ({ backups: new Map(), pruned: 0, notifyFailures: new Map() })

/** @param sizeBytes of the backup; undefined: it failed */
export function countBackup({ backups }: Counts, database: string, sizeBytes: number | undefined): void {
  const { success, failure, bytes } = backups.get(database) ?? { success: 0, failure: 0, bytes: 0 }
  backups.set(
    database,
    sizeBytes === undefined
      ? { success, failure: failure + 1, bytes }
      : { success: success + 1, failure, bytes: bytes + sizeBytes },
  )
}

/** What the history of the migrations was at the last look that succeeded. */
export type MigrationFacts = { applied: number; pending: number; lastAppliedAt: string | undefined }

/** What was measured for metrics; what is undefined is not known. */
export type Measured = {
  server?: ServerFacts | undefined
  stores?: readonly (StoreSpace & { bytes: number })[] | undefined
  migrations?: MigrationFacts | undefined
}

/** Everything that metrics are made from. */
export type MetricFacts = Measured & {
  state: ServeState
  /** The last look at the database. */
  health: ProbeAnswer
  now: Date
  /** The target database; undefined where only backups are configured. */
  target: string | undefined
  /** `backup.name` */
  name: string
  schedules: readonly Schedule[]
  testSchedule: { cron: Cron; zone: string } | undefined
  /** How long a test restore may take. */
  testTimeoutMs: number
  /** `check.backupMaxAge` */
  maxAgeMs: number | undefined
  /** What is known of the backups of a database; asks nobody. */
  backupsOf(database: string): readonly Backup[]
  counts: Counts
  pgClient: string | undefined
}
