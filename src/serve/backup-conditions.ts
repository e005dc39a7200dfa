// pure
import { decryptionHint } from '../check/decryption.ts'
import { judgeLacking, judgeUnread, lackingHint } from '../check/stores.ts'
import { besideHint, persistenceHint } from '../store/persistence.ts'
import { plural, someOf } from '../units.ts'
import type { BackupState, Condition } from './state.ts'

export const backupConditionNames = [
  ...(['store-unreadable', 'backup-failed', 'backup-overdue', 'backup-damaged'] as const),
  ...(['restore-test-failed', 'restore-test-overdue', 'never-decrypted', 'prune-refused'] as const),
  ...(['backup-incomplete', 'store-empty'] as const),
]

const warnings: readonly Condition['name'][] = [
  ...(['restore-test-overdue', 'never-decrypted', 'prune-refused', 'backup-incomplete'] as const),
]

/** What is wrong with the place of the store itself, in words. */
export type StorePlace = {
  /** Its backups end with this container. */
  notPersistent?: string | undefined
  /** It is on the device of the server's data. */
  beside?: string | undefined
}

export const storeConditionNames = ['store-not-persistent', 'store-beside-database'] as const

export const storeConditions = ({ notPersistent, beside }: StorePlace, now: string): Condition[] => {
  const of = (rest: Pick<Condition, 'name' | 'severity' | 'hint'>, message: string | undefined): Condition[] =>
    message === undefined ? [] : [{ ...rest, roles: [], message, since: now }]
  return [
    ...of({ name: 'store-not-persistent', severity: 'error', hint: persistenceHint }, notPersistent),
    ...of({ name: 'store-beside-database', severity: 'warning', hint: besideHint }, beside),
  ]
}

/**
 * What is wrong with the backups. A condition that existed before keeps its instant. Pure.
 * @param before the conditions after the previous look
 */
export function backupConditions(
  backups: readonly BackupState[],
  before: readonly Condition[],
  now: string,
): Condition[] {
  const of = (
    name: Condition['name'],
    database: string,
    message: string | undefined,
    hint: string,
    severity: Condition['severity'] = warnings.includes(name) ? 'warning' : 'error',
  ): Condition[] => {
    if (message === undefined) return []
    const since = before.find((condition) => condition.name === name && condition.database === database)?.since ?? now
    return [{ name, severity, roles: [], database, message, hint, since }]
  }
  return backups.flatMap(
    ({
      database,
      lastError,
      storeProblem,
      overdue,
      damaged,
      restoreTest,
      neverDecrypted,
      lacking,
      pruneRefused,
      storeEmpty,
    }) => [
      ...of(
        'store-unreadable',
        database,
        storeProblem === null
          ? judgeUnread(lacking)[0]
          : `the store of the backups of ${database} cannot be read: ${storeProblem}`,
        'check that the store is mounted here, and that it can be read',
      ),
      ...of(
        'store-empty',
        database,
        storeEmpty?.message,
        'check that the right store is mounted here; if it is new, make the first backup with `pgbosun backup run`',
        storeEmpty?.severity,
      ),
      ...of(
        'backup-failed',
        database,
        lastError ?? undefined,
        'look at the log; it will be tried again, or make a backup now with `pgbosun backup run`',
      ),
      ...of(
        'backup-overdue',
        database,
        overdue === null ? undefined : `backup of ${database}: ${overdue}`,
        'look at the log for the reason, or make a backup now with `pgbosun backup run`',
      ),
      ...of(
        'backup-damaged',
        database,
        damaged.length === 0
          ? undefined
          : `the ${plural(damaged.length, 'backup')} ${someOf(damaged)} of ${database} ${plural(damaged.length, 'is', 'are')} damaged`,
        'check the disk; the condition ends once a newer backup was verified, which the schedule or `pgbosun backup run` makes',
      ),
      ...of(
        'restore-test-failed',
        database,
        restoreTest.failed ?? restoreTest.lastError?.message,
        restoreTest.failed === null && restoreTest.lastError?.hint
          ? restoreTest.lastError.hint
          : 'look at it with `pgbosun backup verify latest --restore`, and restore by hand what it names; the condition ends with the next test restore that succeeds',
      ),
      ...of(
        'restore-test-overdue',
        database,
        restoreTest.overdue ?? undefined,
        'look at the log for the reason, or restore one now with `pgbosun backup verify latest --restore`',
      ),
      ...of('backup-incomplete', database, judgeLacking(database, lacking), lackingHint),
      ...of('never-decrypted', database, neverDecrypted ?? undefined, decryptionHint),
      ...of(
        'prune-refused',
        database,
        pruneRefused?.message,
        pruneRefused?.hint ?? 'run `pgbosun backup prune --dry-run` to see what should go',
      ),
    ],
  )
}
