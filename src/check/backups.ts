// pure
/** What the store has of one database, and what should be there. */
export type BackupFacts = {
  database: string
  /** The store's name: what is said of it holds for here. */
  store: string
  newest: { id: string; startedAt: Date; slot: Date | null } | undefined
  lastVerifiedAt: Date | undefined
  /** Newest slot of the schedule that has had time to be used; undefined without a schedule. */
  newestSlot: Date | undefined
  nextRunAt: Date | undefined
  /** Why nothing is known: the store cannot be read. */
  unreadable?: string | undefined
  /** Ids of backups that the last verification found damaged. */
  damaged: string[]
  /** Ids of backups that say that they start in the future. */
  fromFuture?: string[] | undefined
  /** From when on there was something to back up; slots before it count for nothing. Undefined where nothing says when. */
  since: Date | undefined
}

/** A backup has this long after its slot before it is missed. */
export const graceMs = 3_600_000

export type BackupHealth = {
  errors: string[]
  warnings: string[]
  /** For people. */
  lines: string[]
  /** Part `backups` of the JSON document. */
  entries: {
    database: string
    /** Null where there is none, and it is not known that there should be. */
    ok: boolean | null
    problem: string | null
    last_id: string | null
    last_success_at: string | null
    age_ms: number | null
    last_verified_at: string | null
    next_run_at: string | null
  }[]
}

/**
 * Judges the age of backups: against `check.backupMaxAge`, and against the schedule. Without either, age is only told.
 * Nothing is wrong before the first slot has passed.
 *
 * @param maxAgeMs undefined without `check.backupMaxAge`
 */
export function judgeBackups(
  facts: BackupFacts[],
  { maxAgeMs, now }: { maxAgeMs: number | undefined; now: Date },
): BackupHealth {
  const entries = facts.map((fact) => {
    const problem = problemOf(fact, maxAgeMs, now)
    return {
      database: fact.database,
      ok: problem !== undefined ? false : fact.newest ? true : null,
      problem: problem ?? null,
      last_id: fact.newest?.id ?? null,
      last_success_at: fact.newest?.startedAt.toISOString() ?? null,
      age_ms: fact.newest ? ageOf(fact.newest.startedAt, now) : null,
      last_verified_at: fact.lastVerifiedAt?.toISOString() ?? null,
      next_run_at: fact.nextRunAt?.toISOString() ?? null,
    }
  })
  return {
    entries,
    warnings: facts.flatMap(({ database, store, damaged, fromFuture = [], newest, nextRunAt, since }, i) => [
      // an error of its own once the first slot has passed
      ...(!newest && nextRunAt && entries[i]!.problem === null
        ? [
            `${store} has no backup of ${database}: the ${since ? 'first' : 'next'} is due at ${nextRunAt.toISOString()}; is the store mounted here?`,
          ]
        : []),
      ...damaged.map((id) => `the backup ${id} of ${database} is damaged`),
      ...fromFuture.map(
        (id) => `the backup ${id} of ${database} starts in the future and does not count: a clock was or is wrong`,
      ),
    ]),
    errors: entries.flatMap(({ database, problem }) => (problem === null ? [] : [`backup of ${database}: ${problem}`])),
    lines: entries.map((entry, i) => `backups      ${describe(entry, facts[i]!.store)}`),
  }
}

function problemOf(
  { store, newest, newestSlot, since, unreadable }: BackupFacts,
  maxAgeMs: number | undefined,
  now: Date,
): string | undefined {
  if (unreadable !== undefined) return unreadable
  const slotPassed = newestSlot !== undefined && since !== undefined && newestSlot > since
  const expected = newestSlot === undefined ? maxAgeMs !== undefined : slotPassed
  if (!newest) return expected ? `there is none in ${store}: is the store mounted here?` : undefined
  const ageMs = ageOf(newest.startedAt, now)
  if (maxAgeMs !== undefined && ageMs > maxAgeMs)
    return `the newest one is ${age(ageMs)} old, allowed are ${age(maxAgeMs)}`
  const covered = Math.max(newest.startedAt.getTime(), newest.slot?.getTime() ?? 0)
  if (slotPassed && covered < newestSlot.getTime())
    return `the one scheduled for ${newestSlot.toISOString()} is missing; the newest is ${age(ageMs)} old`
  return undefined
}

function describe(
  { database, problem, last_id, age_ms, last_verified_at, next_run_at }: BackupHealth['entries'][number],
  store: string,
): string {
  const last =
    last_id === null
      ? `none in ${store}`
      : `${last_id}, ${age(age_ms ?? 0)} old, ${last_verified_at ? `verified ${last_verified_at}` : 'not verified'}`
  return [`${database}: ${problem ?? last}`, ...(next_run_at ? [`next ${next_run_at}`] : [])].join('; ')
}

/** Clocks that differ a little must not make it negative. */
const ageOf = (instant: Date, now: Date) => Math.max(0, now.getTime() - instant.getTime())

/** `26 h`, `3 d`: how people say it. */
function age(ms: number): string {
  const minutes = Math.round(ms / 60_000)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24)} d`
}
