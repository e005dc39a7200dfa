// pure
import { usage } from '../errors.ts'
import type { BackupConfig } from './schema.ts'

/** A schedule as it is written. The name of `backup.schedule` is empty. */
export type WrittenSchedule = { name: string; schedule: string }

/** When backups are made: `backup.schedules`, or `backup.schedule`. None: only by hand. */
export const writtenSchedules = ({
  schedule,
  schedules,
}: Pick<BackupConfig, 'schedule' | 'schedules'>): WrittenSchedule[] =>
  schedules?.map((each) => ({ name: each.name, schedule: each.schedule })) ??
  (schedule === undefined ? [] : [{ name: '', schedule }])

/**
 * The schedule whose series a backup joins that no slot asked for: the one that was named, or the first.
 * @throws {AppError} `usage` if there is none of that name
 */
export function joinedSchedule(
  { schedules }: Pick<BackupConfig, 'schedules'>,
  named: string | undefined,
): string | undefined {
  if (named === undefined) return schedules?.[0]?.name
  if (schedules?.some(({ name }) => name === named)) return named
  const hint =
    schedules === undefined
      ? 'backup.schedules is not set: leave --schedule out'
      : `the names in backup.schedules are: ${schedules.map(({ name }) => name).join(', ')}`
  throw usage(`there is no schedule ${named}`, { hint })
}
