// pure
import type { Backup } from '../archive/backup.ts'
import { isFromFuture } from '../archive/clock.ts'
import type { Manifest } from '../archive/manifest.ts'
import { type AppError, usage } from '../errors.ts'
import { visible } from '../text.ts'
import { counted, someOf } from '../units.ts'

/** What a backup does not have: `schema tmp; table public.log; the rows of public.audit`. Undefined if it is whole. */
export function describeLeftOut({ left_out: leftOut }: Pick<Manifest, 'left_out'>): string | undefined {
  if (!leftOut) return undefined
  const { schemas, tables, table_data: rows } = leftOut
  const parts = [
    ...(schemas.length > 0 ? [`${counted(schemas.length, 'schema')} (${someOf(schemas)})`] : []),
    ...(tables.length > 0 ? [`${counted(tables.length, 'table')} (${someOf(tables)})`] : []),
    ...(rows.length > 0 ? [`the rows of ${counted(rows.length, 'table')} (${someOf(rows)})`] : []),
  ]
  return parts.length === 0 ? undefined : visible(parts.join(', '))
}

/** What whoever gets such a backup has to know. */
export const leftOutWarning = (manifest: Pick<Manifest, 'id' | 'left_out'>): string | undefined => {
  const what = describeLeftOut(manifest)
  return what && `backup ${manifest.id} is partial: backup.exclude left out ${what}`
}

/** What was worth a warning when the backup was made, for whoever restores it. */
export const warningsOf = ({ id, warnings }: Pick<Manifest, 'id' | 'warnings'>): string[] =>
  warnings.map((warning) => `when backup ${id} was made: ${visible(warning)}`)

/**
 * A database is only replaced by all of one.
 * @param backups of the same database, oldest first
 * @throws {AppError} `usage`
 */
export function refusePartial(
  manifest: Pick<Manifest, 'id' | 'left_out' | 'series'>,
  { into, now }: { into: string; now: Date },
  backups: readonly Backup[],
): void {
  const what = describeLeftOut(manifest)
  if (what !== undefined) throw partialRefused({ ...manifest, what, into }, newestWhole(manifest, backups, now))
}

const newestWhole = ({ series: of }: Pick<Manifest, 'series'>, backups: readonly Backup[], now: Date) =>
  backups.findLast(
    (backup) =>
      backup.series?.kind === 'logical' &&
      backup.series.system_identifier === of.system_identifier &&
      !backup.partial &&
      backup.problem === undefined &&
      backup.verification?.ok !== false &&
      !isFromFuture(backup, now),
  )

const partialRefused = (
  { id, what, into }: { id: string; what: string; into: string },
  whole: Backup | undefined,
): AppError =>
  usage(`backup ${id} left something out, so it does not replace ${into}: it lacks ${what}; nothing was changed`, {
    hint:
      whole === undefined
        ? 'restore it into a new database with --into NEW; there is no whole backup of it'
        : `restore ${whole.id}, the newest whole backup (started ${whole.startedAt.toISOString()}); or restore this one into a new database with --into NEW`,
  })
