// pure
import type { Lacking } from '../archive/lacking.ts'
import { twoServersHint } from '../archive/two-servers.ts'
import { besideHint, persistenceHint } from '../store/persistence.ts'
import { plural, someOf } from '../units.ts'
import { ofSchedule, twoServers } from './backups.ts'
import { type Condition, type ConditionName, conditionCatalogue } from './condition-catalogue.ts'
import { decryptionHint } from './decryption.ts'
import { judgeLacking, judgeUnread, lackingHint } from './stores.ts'

/** What was found out about the backups of one database. Instants are RFC 3339 in UTC. */
export type BackupFindings = {
  database: string
  /** Why the store cannot be read. */
  storeProblem: string | null
  /** What is wrong with the age of the newest backup. */
  overdue: string | null
  /** That the store has no backup of it at all. */
  storeEmpty?: { severity: 'error' | 'warning'; message: string } | null
  /** Why the last attempt failed; null after a success. */
  lastError: string | null
  /** Ids of those that the last verification found damaged. */
  damaged: string[]
  /** Ids of recent backups that another server seems to have made. */
  conflicts?: string[]
  neverDecrypted?: string | null
  /** In words, that the newest is much smaller than those before. */
  shrank?: string | null
  /** In words, that none was read back for long. */
  unverified?: string | null
  lacking?: Lacking | undefined
  pruneRefused?: { message: string; hint: string | undefined } | null
  restoreTest: {
    failed: string | null
    lastError: { message: string; hint: string | undefined } | null
    overdue: string | null
  }
  schedules?: ScheduleFindings[]
  /** Since when, as far as facts tell. */
  since?: Since
}

export type Since = Partial<Record<ConditionName, string | undefined>>

type ScheduleFindings = {
  /** Empty for the only one. */
  name: string
  lastError: string | null
  retryAt: string | null
  nextRunAt: string | null
  overdue: string | null
  since?: Since
}

/** Whether both are about the same thing, whatever they say about it. */
export const isSame = (
  one: Pick<Condition, 'name' | 'database' | 'schedule'>,
  other: Pick<Condition, 'name' | 'database' | 'schedule'>,
) => one.name === other.name && one.database === other.database && one.schedule === other.schedule

export const backupConditionNames = [
  ...(['store-unreadable', 'backup-failed', 'backup-overdue', 'backup-damaged'] as const),
  ...(['restore-test-failed', 'restore-test-overdue', 'never-decrypted', 'prune-refused'] as const),
  ...(['backup-incomplete', 'store-empty', 'two-servers-one-series', 'backup-shrank', 'verify-overdue'] as const),
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
 * What is wrong with the backups. Where no fact says since when, a condition that existed before keeps its instant. Pure.
 * @param before the conditions after the previous look
 */
export function backupConditions(
  backups: readonly BackupFindings[],
  before: readonly Condition[],
  now: string,
): Condition[] {
  const of = (
    name: Condition['name'],
    { database, schedule }: { database: string; schedule?: string },
    message: string | undefined,
    hint: string,
    severity: Condition['severity'] = conditionCatalogue[name].severity,
    known: Since = backups.find((backup) => backup.database === database)?.since ?? {},
  ): Condition[] => {
    if (message === undefined) return []
    const about = { name, database, ...(schedule !== undefined && { schedule }) }
    const since = known[name] ?? before.find((condition) => isSame(condition, about))?.since ?? now
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
        'check that the store is mounted here, and that it can be read: pgbosun backup list',
      ),
      ...of(
        'store-empty',
        where,
        storeEmpty?.message,
        'check that the right store is mounted here; if it is new, make the first backup with `pgbosun backup run`',
        storeEmpty?.severity,
      ),
      ...failed(backup).flatMap(({ schedule, lastError, hint, since }) =>
        of('backup-failed', { database, ...schedule }, lastError, hint, 'error', since),
      ),
      ...of('backup-overdue', where, overdue === null ? undefined : `backup of ${database}: ${overdue}`, overdueHint),
      ...named(backup).flatMap(({ name, overdue, since }) =>
        of(
          'backup-overdue',
          { database, schedule: name },
          overdue === null ? undefined : `backup of ${database}: ${ofSchedule(name, overdue)}`,
          overdueHint,
          'error',
          since,
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
      ...of(
        'backup-shrank',
        where,
        backup.shrank ?? undefined,
        'look whether data is missing in the database; if it was meant so, the condition ends with the next backups',
      ),
      ...of(
        'verify-overdue',
        where,
        backup.unverified ?? undefined,
        'read them back with `pgbosun backup verify`; `serve` does so by itself after each backup',
      ),
      ...of('never-decrypted', where, neverDecrypted ?? undefined, decryptionHint),
    ]
  })
}

const overdueHint = 'look at the log for the reason, or make a backup now with `pgbosun backup run`'

const named = ({ schedules = [] }: BackupFindings) => schedules.filter(({ name }) => name !== '')

/** What has failed: one for each schedule that has a name. */
function failed(backup: BackupFindings) {
  const schedules = named(backup)
  if (schedules.length === 0) {
    const [{ retryAt, nextRunAt, since } = { retryAt: null, nextRunAt: null, since: undefined }] =
      backup.schedules ?? []
    return [{ schedule: {}, lastError: backup.lastError ?? undefined, hint: failedHint(retryAt, nextRunAt, ''), since }]
  }
  return schedules.map(({ name, lastError, retryAt, nextRunAt, since }) => ({
    since,
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
