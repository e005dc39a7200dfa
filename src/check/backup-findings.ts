// pure
import type { BackupFindings } from './backup-conditions.ts'
import { judgeShrank, judgeVerified, sinceOf } from './backup-since.ts'
import { ageProblem, type BackupFacts, missing, type ScheduleFacts, slotProblem } from './backups.ts'
import { judgeDecryption } from './decryption.ts'
import { judgeRestoreTests } from './restore-tests.ts'

/**
 * What is wrong with the backups of a database, in the form that conditions are made of: for `check` and `status`, as the scheduler says
 * it for `serve`. Pure.
 *
 * @param maxAgeMs `check.backupMaxAge`
 */
export function backupFindings(fact: BackupFacts, maxAgeMs: number | undefined, now: Date): BackupFindings {
  const { database, newest, ended, unreadable, conflicts = [], restoreTests } = fact
  const schedules = ended ? [] : (fact.schedules ?? [])
  const tests = restoreTests && judgeRestoreTests({ database, ...restoreTests })
  const age = unreadable === undefined && !ended ? tooOld(fact, maxAgeMs, now) : undefined
  const each = schedules.map((schedule) => scheduleFindings(fact, schedule, now))
  const only = each[0]?.name === '' ? each[0] : undefined
  const overdue = age ?? only?.overdue ?? null
  const since = sinceOf({
    newest: newest && { at: newest.startedAt },
    firstAt: fact.firstAt,
    lastVerifiedAt: fact.lastVerifiedAt,
    damagedAt: fact.damagedAt,
    shrank: fact.shrank,
    decryptions: fact.decryptions,
    conflicts,
    restoreTest: restoreTests?.last,
    testSlot: tests?.overdue === undefined ? undefined : restoreTests?.newestSlot,
    maxAgeMs,
    lacking: fact.lacking,
  })
  const { lacking, shrank, decryptions, damaged } = fact
  return {
    ...{ database, damaged, conflicts, lacking, schedules: each, overdue, pruneRefused: null },
    storeProblem: unreadable ?? null,
    storeEmpty: emptyStore(fact, overdue !== null || each.some((one) => one.overdue !== null)),
    lastError: only?.lastError ?? null,
    neverDecrypted: judgeDecryption(database, decryptions, now) ?? null,
    shrank: judgeShrank(database, shrank) ?? null,
    unverified: (schedules.length > 0 && judgeVerified(database, fact as Dated, now)) || null,
    restoreTest: { failed: tests?.failed ?? null, lastError: null, overdue: tests?.overdue ?? null },
    since: age === undefined ? { ...since, 'backup-overdue': only?.since?.['backup-overdue'] } : since,
  }
}

type Dated = { lastVerifiedAt: Date | undefined; firstAt: Date | undefined }

/** Where a schedule says when there must be one, an empty store is overdue by that. */
function tooOld(fact: BackupFacts, maxAgeMs: number | undefined, now: Date): string | undefined {
  const { newest, schedules = [], maybeNew, store, marked } = fact
  const scheduled = schedules.some(({ newestSlot }) => newestSlot !== undefined)
  return ageProblem(newest, maxAgeMs, { now, store: scheduled || maybeNew ? undefined : { name: store, marked } })
}

function scheduleFindings(fact: BackupFacts, schedule: ScheduleFacts, now: Date) {
  const { store, marked, newest, unreadable } = fact
  const overdue =
    unreadable === undefined ? slotProblem(schedule, newest ? undefined : { name: store, marked }, now) : undefined
  const last = schedule.slots?.at(-1)
  const failed = last?.state === 'failed' ? last : undefined
  return {
    name: schedule.name,
    lastError: failed ? (failed.problem ?? `the backup of ${fact.database} failed`) : null,
    retryAt: null,
    nextRunAt: schedule.nextRunAt?.toISOString() ?? null,
    overdue: overdue ?? null,
    since: { 'backup-overdue': schedule.newestSlot?.toISOString(), 'backup-failed': failed?.slot },
  }
}

/** A warning until the first should be there. */
function emptyStore(fact: BackupFacts, isOverdue: boolean): NonNullable<BackupFindings['storeEmpty']> | null {
  const { newest, damaged, unreadable, ended, schedules = [], store, marked, database, nextRunAt } = fact
  if (newest || damaged.length > 0 || unreadable !== undefined || ended) return null
  if (isOverdue) return { severity: 'error', message: `backup of ${database}: ${missing({ name: store, marked })}` }
  if (schedules.length === 0 || !nextRunAt) return null
  const message = `${store} has no backup of ${database} yet: the next is due at ${nextRunAt.toISOString()}`
  return { severity: 'warning', message }
}
