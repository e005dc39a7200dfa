// pure
import type { Backup } from '../archive/backup.ts'
import { isFromFuture } from '../archive/clock.ts'
import { type Decryptions, decryptions } from '../archive/decryptions.ts'
import type { Lacking } from '../archive/lacking.ts'
import type { RestoreTest } from '../archive/restore-test.ts'
import { recentConflicts } from '../archive/two-servers.ts'

/** A backup that is much smaller than those before it. */
export type Shrank = { id: string; at: Date; sizeBytes: number; usualBytes: number }

/** Facts about a database from the backups of one series. Pure. */
export type SeriesFacts = {
  newest: Backup | undefined
  /** The oldest good backup. */
  first: Backup | undefined
  /** Newest instant that a good backup covers: its slot, or when it was started. */
  covered: Date | undefined
  lastVerifiedAt: Date | undefined
  /** The last test restore of any of them. */
  restoreTest: (RestoreTest & { id: string }) | undefined
  /** Ids of backups that the last verification found damaged. */
  damaged: string[]
  /** When the first of them was found damaged. */
  damagedAt: Date | undefined
  /** That the newest is much smaller than those of the week before it. */
  shrank: Shrank | undefined
  /** Ids of backups dated in the future: the clock of some machine was wrong. */
  fromFuture: string[]
  /** Undefined where the newest one is not encrypted. */
  decryptions: Decryptions | undefined
  /** Ids of recent backups that another server seems to have made. */
  conflicts: string[] | undefined
}

/** Readable backups of the series with that name, without those made before a restore. */
export const ofName = (backups: Backup[], name: string): Backup[] =>
  backups.filter(({ series }) => series?.name === name && series.kind === 'logical')

/** Backups that may count as the newest: not known to be damaged, and not dated in the future by a wrong clock. */
export const goodBackups = (backups: Backup[], now: Date): Backup[] =>
  backups.filter((backup) => backup.verification?.ok !== false && !isFromFuture(backup, now))

/** @param backups of one series, oldest first */
export function seriesFacts(backups: Backup[], now: Date): SeriesFacts {
  const good = goodBackups(backups, now)
  return {
    newest: good.at(-1),
    first: good[0],
    covered: coveredBy(good),
    lastVerifiedAt: latest(good.flatMap(({ verification }) => (verification ? [verification.at] : []))),
    restoreTest: lastTest(backups),
    damaged: backups.filter(isDamaged).map(({ id }) => id),
    damagedAt: backups
      .filter(isDamaged)
      .reduce<Date | undefined>(
        (first, { verification: { at } = { at: now } }) => (first && first <= at ? first : at),
        undefined,
      ),
    shrank: shrinkage(good),
    fromFuture: backups.filter((backup) => isFromFuture(backup, now)).map(({ id }) => id),
    decryptions: good.at(-1)?.encryption && decryptions(good),
    conflicts: recentConflicts(backups, now),
  }
}

const isDamaged = ({ verification }: Backup) => verification?.ok === false

const weekMs = 7 * 86_400_000

/** Whether the newest has less than half the size that those of the week before it had on average; three have to tell. Pure. */
export function shrinkage(good: readonly Backup[]): Shrank | undefined {
  const newest = good.at(-1)
  if (newest?.sizeBytes === undefined || newest.partial) return undefined
  const before = good
    .slice(0, -1)
    .filter(({ takenAt, partial }) => !partial && newest.takenAt.getTime() - takenAt.getTime() <= weekMs)
    .flatMap(({ sizeBytes }) => sizeBytes ?? [])
  const usualBytes = before.reduce((sum, bytes) => sum + bytes, 0) / before.length
  if (before.length < 3 || newest.sizeBytes * 2 >= usualBytes) return undefined
  return { id: newest.id, at: newest.takenAt, sizeBytes: newest.sizeBytes, usualBytes: Math.round(usualBytes) }
}

/** The newest instant that one of them covers: its slot, or when it was started. */
export const coveredBy = (good: readonly Backup[]): Date | undefined =>
  latest(good.flatMap(({ takenAt, slot }) => (slot ? [takenAt, slot] : [takenAt])))

const lastTest = (backups: Backup[]) =>
  backups
    .flatMap(({ id, restoreTest }) => (restoreTest ? [{ id, ...restoreTest }] : []))
    .reduce<SeriesFacts['restoreTest']>((best, test) => (best && best.at >= test.at ? best : test), undefined)

const latest = (instants: Date[]): Date | undefined =>
  instants.reduce<Date | undefined>((best, instant) => (best && best >= instant ? best : instant), undefined)

/** What the store knows about one database. It outlives this process. */
export type StoredFacts = {
  /** Whether the store has no backup of the database at all. */
  isEmpty?: true | undefined
  /** Newest instant that a good backup of the series covers: its slot, or when it was started. */
  covered: Date | undefined
  /** The newest good backup. */
  newest:
    | { id: string; takenAt: Date; slot: Date | null; sizeBytes?: number | undefined; durationMs?: number | undefined }
    | undefined
  /** When the oldest good backup was started. */
  firstAt: Date | undefined
  lastVerifiedAt: Date | undefined
  /** The last test restore of any of them. */
  restoreTest?: SeriesFacts['restoreTest']
  damaged: string[]
  damagedAt?: Date | undefined
  shrank?: Shrank | undefined
  /** Undefined where the newest one is not encrypted. */
  decryptions?: Decryptions | undefined
  /** What several stores lack. */
  lacking?: Lacking | undefined
  /** Ids of recent backups that another server seems to have made. */
  conflicts?: string[] | undefined
}

/** What is known of all backups of a database, and, by the name of each schedule, of those of that alone. */
export type DatabaseFacts = StoredFacts & { bySchedule?: ReadonlyMap<string, StoredFacts> }

/** Of readable backups, those of one schedule. @param schedule empty for those of `backup.schedule` */
export const ofSchedule = (backups: Backup[], schedule: string): Backup[] =>
  backups.filter(({ series }) => (series?.schedule ?? '') === schedule)

/**
 * What the scheduler needs to know from the store.
 * @param backups   all backups of the database, oldest first
 * @param schedules the names of those that are configured
 */
export function storedFacts(backups: Backup[], name: string, now: Date, schedules?: string[]): DatabaseFacts {
  const named = ofName(backups, name)
  const isEmpty = backups.length === 0 ? true : undefined
  const bySchedule = schedules?.map(
    (schedule) => [schedule, { ...factsOf(ofSchedule(named, schedule), now), isEmpty }] as const,
  )
  return { ...factsOf(named, now), isEmpty, ...(bySchedule && { bySchedule: new Map(bySchedule) }) }
}

function factsOf(backups: Backup[], now: Date): Omit<StoredFacts, 'isEmpty'> {
  const found = seriesFacts(backups, now)
  const { newest, first, covered, lastVerifiedAt, restoreTest, damaged, damagedAt, shrank, decryptions, conflicts } =
    found
  return {
    covered,
    newest,
    firstAt: first?.takenAt,
    lastVerifiedAt,
    restoreTest,
    damaged,
    damagedAt,
    shrank,
    decryptions,
    conflicts,
  }
}
