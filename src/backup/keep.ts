// pure
import type { BackupConfig } from '../config/schema.ts'

/** What decides which backups are kept: rules, or that all are. */
export type Keep = BackupConfig['keep']

/**
 * The rules for the backups of a schedule in a store: those of the store, else those of the schedule, else `backup.keep`.
 *
 * @param schedule undefined for backups of `backup.schedule`. One that is no longer configured has no rules of its own
 * @param ofStore  undefined where the store has no rules of its own
 */
export const keepOf = (
  { keep, schedules }: Pick<BackupConfig, 'keep' | 'schedules'>,
  schedule: string | undefined,
  ofStore?: Keep,
): Keep => ofStore ?? schedules?.find(({ name }) => name === schedule)?.keep ?? keep
