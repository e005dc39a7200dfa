// pure
import type { Backup } from '../archive/backup.ts'
import type { Decryptions } from '../archive/decryptions.ts'
import type { Lacking } from '../archive/lacking.ts'
import type { SlotRecord } from '../archive/slot-records.ts'
import { twoServersHint } from '../archive/two-servers.ts'
import { ofOneKind, type Warning } from '../plan.ts'
import { plural, renderAge, renderDuration, someOf } from '../units.ts'
import { decryptionHint, judgeDecryption } from './decryption.ts'
import { judgeRestoreTests, type RestoreTestFacts, renderRestoreTest, restoreTestFields } from './restore-tests.ts'
import { judgeLacking, judgeUnread, lackingHint } from './stores.ts'

/** The backups of one database in the store, and those that should exist. */
export type BackupFacts = {
  database: string
  /** The store's name, for messages: what is said about it is true for this process only. */
  store: string
  /** The names of several. */
  stores?: readonly string[] | undefined
  newest: { id: string; startedAt: Date; slot: Date | null; sizeBytes?: number | undefined } | undefined
  /** The room in each store, where that is known. */
  free?: readonly { name: string; freeBytes: number | undefined }[] | undefined
  lastVerifiedAt: Date | undefined
  /** The newest slot of the schedule whose backup should be finished by now; undefined without a schedule. */
  newestSlot: Date | undefined
  nextRunAt: Date | undefined
  /** Why the store cannot be read: nothing is known then. */
  unreadable?: string | undefined
  /** Ids of backups that the last verification found damaged. */
  damaged: string[]
  /** The test restores; undefined where nothing is known of them. */
  restoreTests?: Omit<RestoreTestFacts, 'database'> | undefined
  /** When the first of them was found damaged. */
  damagedAt?: Date | undefined
  /** That the newest is much smaller than those of the week before it. */
  shrank?: { id: string; at: Date; sizeBytes: number; usualBytes: number } | undefined
  /** When the oldest good one was started. */
  firstAt?: Date | undefined
  /** Ids of backups that start in the future, according to their manifests. */
  fromFuture?: string[] | undefined
  /** Why the backups in this store end with this container, if they do. */
  notPersistent?: string | undefined
  /** Whether the store is empty of backups of the database, and yet a store of ours. */
  marked?: boolean | undefined
  /** Ids of backups that nothing proves to be ours, where backups are signed. */
  unproven?: string[] | undefined
  /** What several stores lack; undefined with one. */
  lacking?: Lacking | undefined
  /** Ids of recent backups that another server seems to have made. */
  conflicts?: string[] | undefined
  /** Undefined where the newest backup is not encrypted. */
  decryptions?: Decryptions | undefined
  /** A pattern of `backup.databases` matched it, and the server does not have it any more: nothing is due. */
  ended?: boolean | undefined
  /** Only a pattern matched it, and no backup of it was tried yet: it may have been created a moment ago. */
  maybeNew?: boolean | undefined
  /** Since when there was something to back up: earlier slots do not count. Undefined when that is not known. */
  since: Date | undefined
  /** All that were found in the store, oldest first. */
  listed?: readonly Backup[]
  /** What `newest`, `newestSlot` and `since` are for each schedule. Without it, what is said of all is said of the only one. */
  schedules?: ScheduleFacts[] | undefined
}

/** The backups of one schedule in the store, and those that should exist. */
export type ScheduleFacts = Pick<BackupFacts, 'newest' | 'newestSlot' | 'nextRunAt' | 'since'> & {
  /** Empty for the only one. */
  name: string
  /** What became of its newest slots, ascending. */
  slots?: readonly SlotRecord[]
}

/** How long after its slot a backup is not yet overdue. */
export const graceMs = 3_600_000

export type BackupHealth = {
  errors: string[]
  warnings: Warning[]
  /** For people. */
  lines: string[]
  /** The entries of `backups.databases` in the JSON document. */
  entries: {
    database: string
    /** Null when there is no backup and it is not known whether there should be one. */
    ok: boolean | null
    problem: string | null
    last_id: string | null
    last_success_at: string | null
    age_ms: number | null
    last_verified_at: string | null
    next_run_at: string | null
    /** The last test restore; null if there was none. */
    restore_test: ReturnType<typeof restoreTestFields>
    /** Only of a database that the server does not have any more. */
    ended?: true
    /** One for each of `backup.schedules`, where that is set. */
    schedules?: {
      name: string
      ok: boolean | null
      problem: string | null
      last_id: string | null
      last_success_at: string | null
      next_run_at: string | null
    }[]
  }[]
}

/**
 * Judges the age of backups by `check.backupMaxAge` and by the schedule. Without either, the age is only reported.
 * Before the first slot has passed, nothing is wrong.
 *
 * @param maxAgeMs undefined without `check.backupMaxAge`
 */
export function judgeBackups(
  facts: BackupFacts[],
  { maxAgeMs, now }: { maxAgeMs: number | undefined; now: Date },
): BackupHealth {
  const problems = facts.map((fact) => problemsOf(fact, maxAgeMs, now))
  const entries = facts.map((fact, i) => {
    const problem = problems[i]!.join('; ') || null
    return {
      database: fact.database,
      ok: problem !== null ? false : fact.newest ? true : null,
      problem,
      last_id: fact.newest?.id ?? null,
      last_success_at: fact.newest?.startedAt.toISOString() ?? null,
      age_ms: fact.newest ? ageOf(fact.newest.startedAt, now) : null,
      last_verified_at: fact.lastVerifiedAt?.toISOString() ?? null,
      next_run_at: fact.nextRunAt?.toISOString() ?? null,
      restore_test: restoreTestFields(fact.restoreTests?.last),
      ...(fact.ended && { ended: true as const }),
      ...fieldsOfSchedules(fact, now),
    }
  })
  const tests = facts.map(({ database, restoreTests }) =>
    restoreTests ? judgeRestoreTests({ database, ...restoreTests }) : { failed: undefined, overdue: undefined },
  )
  return {
    entries,
    warnings: facts.flatMap(
      (
        { database, store, damaged, fromFuture = [], unproven = [], newest, nextRunAt, since, decryptions, lacking },
        i,
      ) => [
        // once the first slot has passed, this is an error
        ...(!newest && nextRunAt && entries[i]!.problem === null
          ? [
              `${store} has no backup of ${database}: the ${since ? 'first' : 'next'} is due at ${nextRunAt.toISOString()}; ${question(facts[i]!)}`,
            ]
          : []),
        ...ofOneKind(damaged.map((id) => `the backup ${id} of ${database} is damaged`)),
        ...ofOneKind(
          fromFuture.map(
            (id) => `the backup ${id} of ${database} starts in the future and does not count: a clock was or is wrong`,
          ),
        ),
        ...ofOneKind(
          unproven.map(
            (id) => `the backup ${id} of ${database} is not signed with backup.sign.secret, and does not count`,
          ),
        ),
        ...withHint(judgeDecryption(database, decryptions, now), decryptionHint),
        ...withHint(judgeLacking(database, lacking), lackingHint),
        ...(tests[i]!.overdue === undefined ? [] : [tests[i]!.overdue]),
      ],
    ),
    errors: [
      ...facts.flatMap(({ database }, i) => problems[i]!.map((problem) => `backup of ${database}: ${problem}`)),
      ...facts.flatMap(({ database, conflicts = [] }) =>
        conflicts.length === 0 ? [] : [`${twoServers(database, conflicts)}: ${twoServersHint}`],
      ),
      ...tests.flatMap(({ failed }) => failed ?? []),
      ...new Set(facts.flatMap(({ lacking }) => judgeUnread(lacking))),
      // Without a backup in it, the store is that of another container: this one only checks.
      ...new Set(facts.flatMap(({ newest, notPersistent }) => (newest && notPersistent) || [])),
    ],
    lines: entries.map((entry, i) => `backups      ${describe(entry, facts[i]!)}`),
  }
}

const withHint = (problem: string | undefined, hint: string) => (problem === undefined ? [] : [`${problem}: ${hint}`])
/** That another server makes backups of the same series. */
export const twoServers = (database: string, ids: string[]) =>
  `another server seems to have made the ${plural(ids.length, 'backup')} ${someOf(ids)} of ${database}, with the same system identifier`

const question = ({ marked }: Pick<BackupFacts, 'marked'>) =>
  marked ? 'is the right store mounted here?' : 'is the store mounted here?'

function problemsOf(fact: BackupFacts, maxAgeMs: number | undefined, now: Date): string[] {
  const { newest, unreadable, ended, maybeNew, schedules = [{ name: '', ...fact }] } = fact
  if (unreadable !== undefined) return [unreadable]
  if (ended) return []
  const store = { name: fact.store, marked: fact.marked }
  const late = schedules.flatMap((schedule) => {
    const problem = slotProblem(schedule, newest ? undefined : store, now)
    return problem === undefined ? [] : [newest ? ofSchedule(schedule.name, problem) : problem]
  })
  const scheduled = schedules.some(({ newestSlot }) => newestSlot !== undefined)
  const age = ageProblem(newest, maxAgeMs, { now, store: scheduled || maybeNew ? undefined : store })
  if (age !== undefined) return schedules.length > 1 ? [age, ...late] : [age]
  return [...new Set(late)]
}

/** A store that has no backup of the database. */
type Empty = { name: string; marked?: boolean | undefined }

/** That there is none. */
export const missing = ({ name, marked }: Empty) => `there is none in ${name}: ${question({ marked })}`

/** What is said of a schedule, with its name where it has one. */
export const ofSchedule = (name: string, text: string) => (name === '' ? text : `schedule ${name}: ${text}`)

/**
 * That the newest backup of a database is older than it may be, of whatever schedule it is.
 * @param store if no schedule says when there must be a backup
 */
export function ageProblem(
  newest: BackupFacts['newest'],
  maxAgeMs: number | undefined,
  { now, store }: { now: Date; store: Empty | undefined },
): string | undefined {
  if (maxAgeMs === undefined) return undefined
  if (!newest) return store === undefined ? undefined : missing(store)
  const ageMs = ageOf(newest.startedAt, now)
  return ageMs > maxAgeMs
    ? `the newest is ${renderAge(ageMs)} old, but check.backupMaxAge is ${renderDuration(maxAgeMs)}`
    : undefined
}

/**
 * That a schedule has no backup of its newest slot, once there was something to back up.
 * @param store if no backup of the database is in it
 */
export function slotProblem(
  { newest, newestSlot, since }: Pick<ScheduleFacts, 'newest' | 'newestSlot' | 'since'>,
  store: Empty | undefined,
  now: Date,
): string | undefined {
  if (newestSlot === undefined || since === undefined || newestSlot <= since) return undefined
  const due = `the one scheduled for ${newestSlot.toISOString()} is missing`
  if (!newest) return store === undefined ? `${due}, and there is no other` : missing(store)
  const covered = Math.max(newest.startedAt.getTime(), newest.slot?.getTime() ?? 0)
  return covered < newestSlot.getTime()
    ? `${due}; the newest is ${renderAge(ageOf(newest.startedAt, now))} old`
    : undefined
}

function fieldsOfSchedules(fact: BackupFacts, now: Date) {
  const named = (fact.schedules ?? []).filter(({ name }) => name !== '')
  if (named.length === 0) return {}
  return {
    schedules: named.map((schedule) => {
      const problem =
        slotProblem(schedule, fact.newest ? undefined : { name: fact.store, marked: fact.marked }, now) ?? null
      const { name, newest, nextRunAt } = schedule
      return {
        name,
        ok: problem !== null ? false : newest ? true : null,
        problem,
        last_id: newest?.id ?? null,
        last_success_at: newest?.startedAt.toISOString() ?? null,
        next_run_at: nextRunAt?.toISOString() ?? null,
      }
    }),
  }
}

function describe(
  { database, problem, last_id, age_ms, last_verified_at, next_run_at, schedules }: BackupHealth['entries'][number],
  { store, restoreTests, ended }: BackupFacts,
): string {
  const tested = restoreTests?.last
  const last =
    last_id === null
      ? `none in ${store}`
      : `${last_id}, ${renderAge(age_ms ?? 0)} old, ${last_verified_at ? `verified ${last_verified_at}` : 'not verified'}`
  return [
    `${database}: ${problem ?? last}`,
    ...(tested ? [renderRestoreTest(tested)] : []),
    ...(ended ? ['ended: the server does not have it any more'] : []),
    ...(schedules?.map((each) => `next ${each.name} ${each.next_run_at}`) ??
      (next_run_at ? [`next ${next_run_at}`] : [])),
  ].join('; ')
}

/** Not negative, even if clocks differ a little. */
const ageOf = (instant: Date, now: Date) => Math.max(0, now.getTime() - instant.getTime())
