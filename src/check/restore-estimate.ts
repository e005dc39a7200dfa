// pure
import type { Backup } from '../archive/backup.ts'

/** About how long a restore of the newest backup would take, and by what that is known. */
export type RestoreEstimate = { ms: number; by: 'test' | 'backup' }

/** A restore builds indexes and checks constraints, which no dump does. */
const timesTheBackup = 3

/**
 * By the last test restore that succeeded, in proportion to the size; without any, by how long the backup took. Undefined where nothing
 * is known. Pure.
 *
 * @param backups good ones of one series, oldest first
 */
export function estimateRestore(backups: readonly Backup[]): RestoreEstimate | undefined {
  const newest = backups.at(-1)
  if (!newest) return undefined
  const tested = backups
    .filter(({ restoreTest }) => restoreTest?.ok && restoreTest.durationMs !== null)
    .reduce<Backup | undefined>(
      (best, one) => (best && best.restoreTest!.at >= one.restoreTest!.at ? best : one),
      undefined,
    )
  const ms = tested?.restoreTest?.durationMs ?? undefined
  if (ms !== undefined) return { ms: ms * growth(tested!, newest), by: 'test' }
  return newest.durationMs === undefined ? undefined : { ms: newest.durationMs * timesTheBackup, by: 'backup' }
}

const growth = ({ dumpSizeBytes: then = 0 }: Backup, { dumpSizeBytes: now = 0 }: Backup) =>
  then > 0 && now > 0 ? now / then : 1
