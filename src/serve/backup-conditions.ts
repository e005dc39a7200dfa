// pure
import { twoServersHint } from '../archive/two-servers.ts'
import { ofSchedule, twoServers } from '../check/backups.ts'
import type { Condition } from '../check/condition-catalogue.ts'
import { decryptionHint } from '../check/decryption.ts'
import { judgeLacking, judgeUnread, lackingHint } from '../check/stores.ts'
import { besideHint, persistenceHint } from '../store/persistence.ts'
import { plural, someOf } from '../units.ts'
import { isSame } from './conditions.ts'
import type { BackupState } from './state.ts'

export const backupConditionNames = [
  ...(['store-unreadable', 'backup-failed', 'backup-overdue', 'backup-damaged'] as const),
  ...(['restore-test-failed', 'restore-test-overdue', 'never-decrypted', 'prune-refused'] as const),
  ...(['backup-incomplete', 'store-empty', 'two-servers-one-series'] as const),
]

const warnings: readonly Condition['name'][] = [
  ...(['restore-test-overdue', 'never-decrypted', 'prune-refused', 'backup-incomplete'] as const),
  'two-servers-one-series',
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
    { database, schedule }: { database: string; schedule?: string },
    message: string | undefined,
    hint: string,
    severity: Condition['severity'] = warnings.includes(name) ? 'warning' : 'error',
  ): Condition[] => {
    if (message === undefined) return []
    const about = { name, database, ...(schedule !== undefined && { schedule }) }
    const since = before.find((condition) => isSame(condition, about))?.since ?? now
    return [{ ...about, severity, roles: [], message, hint, since }]
  }
  return backups.flatMap((backup) => {
    const { database, storeProblem, overdue, damaged, restoreTest, neverDecrypted } = backup
    const { lacking, pruneRefused, storeEmpty, conflicts = [] } = backup
    const where = { database }
    return [
      ...of(
        'store-unreadable',
        where,
        storeProblem === null
          ? judgeUnread(lacking)[0]
          : `the store of the backups of ${database} cannot be read: ${storeProblem}`,
        'check that the store is mounted here, and that it can be read',
      ),
      ...of(
        'store-empty',
        where,
        storeEmpty?.message,
        'check that the right store is mounted here; if it is new, make the first backup with `pgbosun backup run`',
        storeEmpty?.severity,
      ),
      ...failed(backup).flatMap(({ schedule, lastError, hint }) =>
        of('backup-failed', { database, ...schedule }, lastError, hint),
      ),
      ...of('backup-overdue', where, overdue === null ? undefined : `backup of ${database}: ${overdue}`, overdueHint),
      ...named(backup).flatMap(({ name, overdue }) =>
        of(
          'backup-overdue',
          { database, schedule: name },
          overdue === null ? undefined : `backup of ${database}: ${ofSchedule(name, overdue)}`,
          overdueHint,
        ),
      ),
      ...of(
        'backup-damaged',
        where,
        damaged.length === 0
          ? undefined
          : `the ${plural(damaged.length, 'backup')} ${someOf(damaged)} of ${database} ${plural(damaged.length, 'is', 'are')} damaged`,
        'check the disk; the condition ends once a newer backup was verified, which the schedule or `pgbosun backup run` makes',
      ),
      ...of(
        'restore-test-failed',
        where,
        restoreTest.failed ?? restoreTest.lastError?.message,
        restoreTest.failed === null && restoreTest.lastError?.hint
          ? restoreTest.lastError.hint
          : 'look at it with `pgbosun backup verify latest --restore`, and restore by hand what it names; the condition ends with the next test restore that succeeds',
      ),
      ...of(
        'restore-test-overdue',
        where,
        restoreTest.overdue ?? undefined,
        'look at the log for the reason, or restore one now with `pgbosun backup verify latest --restore`',
      ),
      ...of('backup-incomplete', where, judgeLacking(database, lacking), lackingHint),
      ...of(
        'two-servers-one-series',
        where,
        conflicts.length === 0 ? undefined : twoServers(database, conflicts),
        twoServersHint,
      ),
      ...of(
        'prune-refused',
        where,
        pruneRefused?.message,
        pruneRefused?.hint ?? 'run `pgbosun backup prune --dry-run` to see what should go',
      ),
      ...of('never-decrypted', where, neverDecrypted ?? undefined, decryptionHint),
    ]
  })
}

const overdueHint = 'look at the log for the reason, or make a backup now with `pgbosun backup run`'

const named = ({ schedules = [] }: BackupState) => schedules.filter(({ name }) => name !== '')

/** What has failed: one for each schedule that has a name. */
function failed(backup: BackupState) {
  const schedules = named(backup)
  if (schedules.length === 0) {
    const [{ retryAt, nextRunAt } = { retryAt: null, nextRunAt: null }] = backup.schedules ?? []
    return [{ schedule: {}, lastError: backup.lastError ?? undefined, hint: failedHint(retryAt, nextRunAt, '') }]
  }
  return schedules.map(({ name, lastError, retryAt, nextRunAt }) => ({
    schedule: { schedule: name },
    lastError: lastError === null ? undefined : ofSchedule(name, lastError),
    hint: failedHint(retryAt, nextRunAt, ` --schedule ${name}`),
  }))
}

function failedHint(retryAt: string | null, nextRunAt: string | null, flag: string): string {
  const then =
    retryAt === null
      ? `it is not tried again before the next slot${nextRunAt === null ? '' : `, ${nextRunAt}`}`
      : `it is tried again at ${retryAt}`
  return `look at the log; ${then}, or make a backup now with \`pgbosun backup run${flag}\``
}
