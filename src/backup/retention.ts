// pure
import { clockErrorMs } from '../archive/clock.ts'
import { renderDuration } from '../units.ts'
import { type LocalTime, localTime } from './zone.ts'

/** How many periods of each kind keep a backup (0 = none), and the age in ms, measured from the newest backup, below which all are kept. */
export type KeepRules = {
  within: number
  last: number
  hourly: number
  daily: number
  weekly: number
  monthly: number
  yearly: number
}

/** The parts of a backup that matter for retention. */
export type Backup = {
  id: string
  /** Backups of different series never influence each other. */
  series: string
  startedAt: Date
  /** Result of reading it back; `bad` ones never count. */
  verified: 'ok' | 'bad' | 'unknown'
  pinned: boolean
  /** Whether something reads it just now. */
  leased: boolean
}

/** What happens to a backup, and all reasons for it. */
export type Decision<B extends Backup = Backup> = { backup: B; action: 'keep' | 'delete'; reasons: string[] }

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/**
 * Chooses which backups to keep; deletes nothing. Pure.
 *
 * Each rule goes through the backups of a series from the newest to the oldest, and keeps the newest one of each of the first n periods
 * that have any. Rules are independent. Always kept: pinned backups, those being read, the newest, the newest verified one, those younger than an hour
 * and those dated in the future. A backup that did not verify or is dated in the future never counts for a rule. One that did not
 * verify is kept until a newer one is verified.
 *
 * @param backups in any order, of any series
 * @param zone IANA zone of days, weeks (ISO), months and years
 * @returns series by series, newest first; the reasons of a deleted one say why no rule keeps it
 * @see https://restic.readthedocs.io/en/stable/060_forget.html: the same periods, without its extra oldest backup
 */
export function planRetention<B extends Backup>(
  backups: B[],
  rules: KeepRules | 'all',
  { now, zone }: { now: Date; zone: string },
): Decision<B>[] {
  const series = Map.groupBy(backups, (backup) => backup.series)
  return [...series.keys()].sort().flatMap((name) => planSeries(newestFirst(series.get(name)!), rules, now, zone))
}

/**
 * The same decisions, but of each series so many verified backups stay, the newest: for what is deleted before the next backup is there
 * to replace it. Pure.
 */
export function keepVerified<B extends Backup>(decisions: Decision<B>[], count: number): Decision<B>[] {
  const stays = ({ backup, action }: Decision<B>) => action === 'keep' && backup.verified === 'ok'
  const wanted = new Set(
    [...Map.groupBy(decisions, ({ backup }) => backup.series).values()].flatMap((all) =>
      newestFirst(
        all.filter(({ action, backup }) => action === 'delete' && backup.verified === 'ok').map(({ backup }) => backup),
      ).slice(0, Math.max(0, count - all.filter(stays).length)),
    ),
  )
  return decisions.map((decision) =>
    wanted.has(decision.backup)
      ? { ...decision, action: 'keep', reasons: [`one of ${count} verified until the next is made`] }
      : decision,
  )
}

/** Series that would lose so many backups at once that it looks like a mistake: more than three and more than half. */
export function drasticSeries(decisions: Decision[]): { series: string; deleted: number; of: number }[] {
  return [...Map.groupBy(decisions, ({ backup }) => backup.series)]
    .map(([series, all]) => ({
      series,
      deleted: all.filter(({ action }) => action === 'delete').length,
      of: all.length,
    }))
    .filter(({ deleted, of }) => deleted > Math.max(3, of / 2))
}

const newestFirst = <B extends Backup>(backups: B[]) =>
  backups.toSorted((a, b) => b.startedAt.getTime() - a.startedAt.getTime() || (a.id < b.id ? 1 : -1))

function planSeries<B extends Backup>(backups: B[], rules: KeepRules | 'all', now: Date, zone: string): Decision<B>[] {
  const latest = now.getTime() + clockErrorMs
  const counts = ({ verified, startedAt }: B) => verified !== 'bad' && startedAt.getTime() <= latest
  const eligible = backups.filter(counts)
  const judges = rules === 'all' ? [] : activeRules(rules, zone).map((rule) => rule(eligible[0]))
  const newest = eligible[0]
  const verified = eligible.find((backup) => backup.verified === 'ok')

  return backups.map((backup) => {
    const ofRules = counts(backup) ? judges.map((judge) => judge(backup)) : []
    const reasons = [
      ...(backup.pinned ? ['pinned'] : []),
      ...(backup.leased ? ['being restored'] : []),
      ...(backup === newest ? ['newest'] : []),
      ...(backup === verified ? ['newest verified'] : []),
      ...protectedByAge(now.getTime() - backup.startedAt.getTime()),
      ...(backup.verified === 'bad' && !isBefore(backup, verified) ? ['did not verify, and no newer one did'] : []),
      ...(rules === 'all' ? ['all'] : []),
      ...ofRules.filter(({ keep }) => keep).map(({ reason }) => reason),
    ]
    if (reasons.length > 0) return { backup, action: 'keep', reasons }
    const against = backup.verified === 'bad' ? ['did not verify'] : ofRules.map(({ reason }) => reason)
    return { backup, action: 'delete', reasons: against }
  })
}

const protectedByAge = (ageMs: number): string[] =>
  ageMs < -clockErrorMs ? ['starts in the future'] : ageMs < hourMs ? ['younger than an hour'] : []

const isBefore = (backup: Backup, other: Backup | undefined) =>
  other !== undefined && backup.startedAt < other.startedAt

/** Decides about a backup that counts. Called once for each backup of a series, newest first. */
type Judge = (backup: Backup) => { keep: boolean; reason: string }
type Rule = (newest: Backup | undefined) => Judge

function activeRules({ within, last, ...periods }: KeepRules, zone: string): Rule[] {
  const localOf = remembering((instantMs) => localTime(zone, instantMs))
  return [
    ...(within > 0 ? [withinRule(within)] : []),
    ...(last > 0 ? [lastRule(last)] : []),
    ...periodKinds.filter((kind) => periods[kind] > 0).map((kind) => periodRule(kind, periods[kind], localOf)),
  ]
}

/** Every rule asks for the same local times, and each costs some microseconds. */
function remembering(localOf: (instantMs: number) => LocalTime): (instantMs: number) => LocalTime {
  const known = new Map<number, LocalTime>()
  return (instantMs) => {
    const time = known.get(instantMs) ?? localOf(instantMs)
    known.set(instantMs, time)
    return time
  }
}

function withinRule(ms: number): Rule {
  const name = `within ${renderDuration(ms)}`
  const reasons = { keep: name, delete: `${name}: older than that` }
  return (newest) => {
    const oldest = (newest?.startedAt.getTime() ?? 0) - ms
    return ({ startedAt }) => {
      const keep = startedAt.getTime() > oldest
      return { keep, reason: keep ? reasons.keep : reasons.delete }
    }
  }
}

const lastRule =
  (count: number): Rule =>
  () => {
    let asked = 0
    return () => {
      const number = ++asked
      return number <= count
        ? { keep: true, reason: `last ${number} of ${count}` }
        : { keep: false, reason: `last ${count}: it is number ${number}` }
    }
  }

const periodKinds = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
type PeriodKind = (typeof periodKinds)[number]

const periodRule =
  (kind: PeriodKind, count: number, localOf: (instantMs: number) => LocalTime): Rule =>
  () => {
    const keepers = new Map<string, Backup>()
    return (backup) => {
      const period = periods[kind](localOf(backup.startedAt.getTime()))
      const keeper = keepers.get(period)
      if (keeper) return { keep: false, reason: `${kind} ${period}: ${keeper.id} is newer` }
      if (keepers.size >= count) return { keep: false, reason: `${kind} ${period}: not among the newest ${count}` }
      keepers.set(period, backup)
      return { keep: true, reason: `${kind} ${period}` }
    }
  }

/** The name of the period of each kind that a local time is in. */
const periods: Record<PeriodKind, (time: LocalTime) => string> = {
  // The offset distinguishes the two hours when clocks are set back.
  hourly: ({ ms, offsetMs }) => `${iso(ms).slice(0, 13)}:00${offset(offsetMs)}`,
  daily: ({ ms }) => iso(ms).slice(0, 10),
  weekly: ({ ms }) => isoWeek(ms),
  monthly: ({ ms }) => iso(ms).slice(0, 7),
  yearly: ({ ms }) => iso(ms).slice(0, 4),
}

const iso = (ms: number) => new Date(ms).toISOString()

/** `2026-W53`: weeks start on Monday and belong to the year of their Thursday. */
function isoWeek(ms: number): string {
  const weekday = (new Date(ms).getUTCDay() + 6) % 7
  const thursday = new Date(ms + (3 - weekday) * dayMs)
  const year = thursday.getUTCFullYear()
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * dayMs)) + 1
  return `${year}-W${String(week).padStart(2, '0')}`
}

function offset(ms: number): string {
  const minutes = Math.abs(ms) / 60_000
  const two = (number: number) => String(Math.floor(number)).padStart(2, '0')
  return ms === 0 ? 'Z' : `${ms < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`
}
