// pure
import type { Backup } from '../../archive/backup.ts'
import { coveredBy, goodBackups, ofName, ofSchedule } from '../../backup/facts.ts'
import { nextSlot } from '../../backup/schedule.ts'
import { graceMs } from '../../check/backups.ts'
import { estimateRestore } from '../../check/restore-estimate.ts'
import { ageDeadline, deadlineOf, earliest } from '../deadline.ts'
import type { BackupState } from '../state.ts'
import type { MetricFacts } from './facts.ts'
import { type Family, type Sample, secondsOf } from './text.ts'

/** What is known of the backups of one database. */
type Known = { backup: BackupState; labels: { database: string; kind: 'logical' }; good: Backup[]; stored: Backup[] }

/** The backups of each database, and the instants by which the next ones must exist. */
export function backupFamilies(facts: MetricFacts): Family[] {
  const { state, now, name, backupsOf } = facts
  const all = state.backups.map((backup): Known => {
    const stored = ofName([...backupsOf(backup.database)], name)
    return { backup, labels: { database: backup.database, kind: 'logical' }, good: goodBackups(stored, now), stored }
  })
  return [...deadlines(facts, all), ...lastOnes(all), ...stored(all), ...tests(facts, all), ...counters(facts)]
}

const gauge = (name: string, help: string, samples: Sample[]): Family => ({ name, type: 'gauge', help, samples })

/** A sample for each database of which that is known. */
const each = (
  all: readonly Known[],
  value: (known: Known) => number | Date | string | null | undefined,
  withKind = true,
): Sample[] =>
  all.flatMap((known) => {
    const found = value(known)
    if (found === undefined || found === null) return []
    const { database, kind } = known.labels
    const labels: Record<string, string> = withKind ? { database, kind } : { database }
    return [{ labels, value: typeof found === 'number' ? found : secondsOf(found) }]
  })

function deadlines(facts: MetricFacts, all: readonly Known[]): Family[] {
  return [
    gauge(
      'pgbosun_backup_deadline_timestamp_seconds',
      'When the next good backup must exist; before the store was read, the last slot that has passed.',
      each(all, (known) => backupDeadline(facts, known)),
    ),
    gauge(
      'pgbosun_restore_test_deadline_timestamp_seconds',
      'When the next test restore must have been made.',
      each(all, (known) => testDeadline(facts, known), false),
    ),
  ]
}

/** The earliest of those of the schedules and of `check.backupMaxAge`; nothing is due of a database that is gone. */
function backupDeadline(facts: MetricFacts, { backup, stored, good }: Known): Date | undefined {
  const { now, schedules, maxAgeMs } = facts
  if (backup.ended) return undefined
  const startedAt = new Date(facts.state.startedAt)
  const isKnown = backup.looked === true || stored.length > 0
  return earliest([
    ...schedules.map((schedule) =>
      deadlineOf(
        schedule,
        isKnown ? { covered: coveredBy(ofSchedule(good, schedule.name)), startedAt } : undefined,
        now,
      ),
    ),
    maxAgeMs === undefined ? undefined : ageDeadline(good.at(-1)?.takenAt, maxAgeMs, startedAt),
  ])
}

function testDeadline({ testSchedule, testTimeoutMs }: MetricFacts, { backup, good }: Known): Date | undefined {
  const since = backup.restoreTest.last?.at ?? good[0]?.takenAt
  if (!testSchedule || backup.ended || since === undefined) return undefined
  const slot = nextSlot(testSchedule.cron, testSchedule.zone, new Date(since))
  return slot && new Date(slot.getTime() + graceMs + testTimeoutMs)
}

function lastOnes(all: readonly Known[]): Family[] {
  const newest = ({ good }: Known) => good.at(-1)
  return [
    gauge(
      'pgbosun_backup_last_success_timestamp_seconds',
      'When the newest good backup was taken.',
      each(all, (known) => newest(known)?.takenAt),
    ),
    gauge(
      'pgbosun_backup_last_attempt_timestamp_seconds',
      'When this process tried last.',
      each(all, ({ backup }) => backup.lastAttemptAt),
    ),
    gauge(
      'pgbosun_backup_last_attempt_success',
      'Whether the last attempt of this process succeeded.',
      each(all, ({ backup }) =>
        backup.lastAttemptAt === null || backup.running ? undefined : Number(backup.lastError === null),
      ),
    ),
    gauge(
      'pgbosun_backup_in_progress',
      'Whether this process is making one.',
      each(all, ({ backup }) => Number(backup.running)),
    ),
    gauge(
      'pgbosun_backup_last_size_bytes',
      'Stored size of the newest good backup.',
      each(all, (known) => newest(known)?.sizeBytes),
    ),
    gauge(
      'pgbosun_backup_last_duration_seconds',
      'How long the newest good backup took.',
      each(all, (known) => inSeconds(newest(known)?.durationMs)),
    ),
    gauge(
      'pgbosun_recoverable_from_timestamp_seconds',
      'The earliest state that can be restored.',
      each(all, ({ good }) => good[0]?.takenAt, false),
    ),
    gauge(
      'pgbosun_recoverable_to_timestamp_seconds',
      'The latest state that can be restored: what came after it would be lost.',
      each(all, (known) => newest(known)?.takenAt, false),
    ),
  ]
}

const inSeconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000)

function stored(all: readonly Known[]): Family[] {
  const read = all.filter(({ backup, stored }) => backup.looked === true || stored.length > 0)
  return [
    gauge(
      'pgbosun_backups_stored',
      'Backups in the store, damaged ones too.',
      each(read, (known) => known.stored.length),
    ),
    gauge(
      'pgbosun_backups_damaged',
      'Backups that the last verification found damaged.',
      each(read, ({ stored }) => stored.filter(({ verification }) => verification?.ok === false).length, false),
    ),
    {
      ...{ name: 'pgbosun_verify_last_success_timestamp_seconds', type: 'gauge' },
      help: 'When a backup was last read back and found good: its stored bytes, or decoded as well.',
      samples: (['stored', 'decode'] as const).flatMap((level) =>
        each(read, ({ stored }) => lastVerified(stored, level), false).map(({ labels, value }) => ({
          labels: { ...labels, level },
          value,
        })),
      ),
    },
    gauge(
      'pgbosun_prune_refused',
      'Whether the last prune did not delete what no rule keeps.',
      each(
        read,
        ({ backup }) => (backup.pruneRefused === undefined ? undefined : Number(backup.pruneRefused !== null)),
        false,
      ),
    ),
  ]
}

const lastVerified = (backups: readonly Backup[], wanted: 'stored' | 'decode') =>
  backups
    .flatMap(({ verification }) =>
      verification?.ok && (verification.level ?? 'decode') === wanted ? [verification.at] : [],
    )
    .reduce<Date | undefined>((best, at) => (best && best >= at ? best : at), undefined)

function tests(_: MetricFacts, all: readonly Known[]): Family[] {
  return [
    gauge(
      'pgbosun_restore_estimated_seconds',
      'About how long a restore of the newest backup takes: by the last test restore, else by the backup itself.',
      each(all, ({ good }) => inSeconds(estimateRestore(good)?.ms), false),
    ),
    gauge(
      'pgbosun_restore_test_last_success_timestamp_seconds',
      'When a backup was last restored for a test.',
      each(
        all,
        ({ stored }) =>
          stored
            .flatMap(({ restoreTest }) => (restoreTest?.ok ? [restoreTest.at] : []))
            .reduce<Date | undefined>((best, at) => (best && best >= at ? best : at), undefined),
        false,
      ),
    ),
  ]
}

function counters({ state, schedules, counts }: MetricFacts): Family[] {
  if (schedules.length === 0) return []
  const of = (database: string) => counts.backups.get(database) ?? { success: 0, failure: 0, bytes: 0 }
  return [
    {
      ...{ name: 'pgbosun_backup_runs_total', type: 'counter', help: 'Attempts of this process, by result.' },
      samples: state.backups.flatMap(({ database }) =>
        (['success', 'failure'] as const).map((result) => ({
          labels: { database, kind: 'logical', result },
          value: of(database)[result],
        })),
      ),
    },
    {
      ...{
        name: 'pgbosun_backup_bytes_total',
        type: 'counter',
        help: 'Stored bytes of the backups that this process has made.',
      },
      samples: state.backups.map(({ database }) => ({
        labels: { database, kind: 'logical' },
        value: of(database).bytes,
      })),
    },
    {
      ...{ name: 'pgbosun_prune_deleted_total', type: 'counter', help: 'Backups that this process has deleted.' },
      samples: [{ value: counts.pruned }],
    },
  ]
}
