// pure
import type { Backup } from '../archive/backup.ts'
import { isFromFuture } from '../archive/clock.ts'
import { visible } from '../text.ts'
import { renderAgo, renderBytes } from '../units.ts'

/** A line of a list to pick from. */
export type BackupChoice = { value: string; label: string }

/** The backups that can be restored, newest first, as a table: when, database, size, whether verified, age, whether pinned. */
export function backupChoices(backups: readonly Backup[], now: Date): BackupChoice[] {
  const usable = backups
    .filter(({ problem }) => problem === undefined)
    .toSorted((a, b) => b.takenAt.getTime() - a.takenAt.getTime() || (a.id < b.id ? 1 : -1))
  const rows = usable.map((backup) => [
    backup.startedAt.toISOString().replace('T', ' ').replace(/\.\d+/, ''),
    visible(backup.database),
    backup.sizeBytes === undefined ? '?' : renderBytes(backup.sizeBytes),
    stateOf(backup),
    renderAgo(now.getTime() - backup.takenAt.getTime()),
    [
      ...(backup.partial ? ['partial'] : []),
      ...(backup.pinned ? ['pinned'] : []),
      ...(backup.series?.kind === 'before-restore' ? ['made before a restore'] : []),
      ...(isFromFuture(backup, now) ? ['starts in the future'] : []),
    ].join(', '),
  ])
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]!.length))) ?? []
  return usable.map(({ id }, at) => ({
    value: id,
    label: rows[at]!.map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  }))
}

function stateOf({ verification, restoreTest }: Backup): string {
  if (verification?.ok === false) return 'DAMAGED'
  if (restoreTest?.ok === true) return 'restored for a test'
  return verification === undefined ? 'not verified' : 'verified'
}
