// pure
import { plural } from '../units.ts'
import type { BackupState, Condition } from './state.ts'

export const backupConditionNames = ['store-unreadable', 'backup-failed', 'backup-overdue', 'backup-damaged'] as const

/**
 * What is wrong with the backups; what was wrong already keeps its instant. Pure.
 * @param before those of the look before
 */
export function backupConditions(
  backups: readonly BackupState[],
  before: readonly Condition[],
  now: string,
): Condition[] {
  const of = (name: Condition['name'], database: string, message: string | undefined, hint: string): Condition[] => {
    if (message === undefined) return []
    const since = before.find((condition) => condition.name === name && condition.database === database)?.since ?? now
    return [{ name, severity: 'error', roles: [], database, message, hint, since }]
  }
  return backups.flatMap(({ database, lastError, storeProblem, overdue, damaged }) => [
    ...of(
      'store-unreadable',
      database,
      storeProblem === null ? undefined : `the store of the backups of ${database} cannot be read: ${storeProblem}`,
      'look whether the store is mounted, and may be read here',
    ),
    ...of(
      'backup-failed',
      database,
      lastError ?? undefined,
      'the log says more; it is tried again, or make one with `pgbosun backup run`',
    ),
    ...of(
      'backup-overdue',
      database,
      overdue === null ? undefined : `backup of ${database}: ${overdue}`,
      'look into the log for why there is none, or make one with `pgbosun backup run`',
    ),
    ...of(
      'backup-damaged',
      database,
      damaged.length === 0
        ? undefined
        : `the ${plural(damaged.length, 'backup')} ${damaged.join(', ')} of ${database} ${plural(damaged.length, 'is', 'are')} damaged`,
      'look after the disk; it goes once a newer backup was verified, and the schedule or `pgbosun backup run` makes one',
    ),
  ])
}
