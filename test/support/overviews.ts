import type { Backup } from '../../src/archive/backup.ts'
import type { SlotRecord } from '../../src/archive/slot-records.ts'
import type { Condition } from '../../src/check/condition-catalogue.ts'
import type { DatabaseBackups, Overview, ShownBackup } from '../../src/check/overview.ts'
import { shownBackupsOf } from '../../src/up/overview.ts'

/** Fixed states, for the page, `status` and the picture in docs/. */
const now = new Date('2026-03-05T08:30:00.000Z')

const slot = (day: number, state: SlotRecord['state'] = 'made'): SlotRecord => {
  const at = new Date(Date.UTC(2026, 1, 4 + day, 2))
  const isMade = state === 'made' || state === 'late'
  return {
    slot: at.toISOString(),
    state,
    id: isMade ? `${at.toISOString().replace(/[-:]|\.\d+/g, '')}-1cb84ba0` : null,
    size_bytes: isMade ? 40_000_000 + day * 700_000 + (day % 7) * 300_000 : null,
    duration_ms: isMade ? 8_000 + day * 90 + (day % 5) * 400 : null,
    problem: state === 'failed' ? 'the backup of shop failed: no space left on device' : null,
  }
}

const slots = (last: SlotRecord['state'] = 'made') =>
  Array.from({ length: 30 }, (_, day) =>
    slot(day, day === 29 ? last : day === 11 ? 'late' : day === 12 ? 'missed' : 'made'),
  )

export const candidate = (id: string, at = '2026-03-05T02:00:00.000Z', kept = 'newest'): ShownBackup => ({
  ...{ id, at, kept, sizeBytes: 61_200_000, durationMs: 11_010, state: 'verified' },
  verifiedAt: new Date(Date.parse(at) + 15_000).toISOString(),
})

const listed = [
  candidate('20260305T020000Z-1cb84ba0', undefined, 'newest, newest verified, 1 of 14 daily'),
  candidate('20260304T020000Z-1cb84ba0', '2026-03-04T02:00:00.000Z', '2 of 14 daily'),
  candidate('20260303T020000Z-1cb84ba0', '2026-03-03T02:00:00.000Z', '3 of 14 daily'),
]

const backups: DatabaseBackups = {
  ...{ database: 'shop', store: 'file:///backups', unknown: undefined, running: false },
  newest: listed[0],
  oldestAt: '2025-12-01T02:00:00.000Z',
  restoreTest: {
    ...{ id: '20260301T020000Z-1cb84ba0', at: '2026-03-01T04:00:07.000Z', ok: true, durationMs: 21_400 },
    server: 'db-test:5432, PostgreSQL 18.1',
  },
  bytesPerSecond: 2_800_000,
  nextRunAt: '2026-03-06T02:00:00.000Z',
  nextTestAt: '2026-03-08T04:00:00.000Z',
  series: [{ schedule: '', slots: slots() }],
  ...{ listed, more: 11 },
}

const safe: Overview = {
  ...{
    now,
    database: 'shop',
    version: '1.0.0',
    phase: 'serving',
    verdict: 'SAFE',
    unlooked: [],
    conditions: [],
    closed: [],
  },
  declared: {
    lines: ['connection   ok', 'migrations   3 applied, at 003_orders', 'tables       ok', 'roles        as declared'],
    migrations: [
      { name: '001_users', appliedAt: '2026-01-10T12:00:00.000Z', durationMs: 12 },
      { name: '002_products', appliedAt: '2026-01-10T12:00:00.100Z', durationMs: 8 },
      { name: '003_orders', appliedAt: '2026-02-20T07:15:00.000Z', durationMs: 1_830 },
    ],
    pending: [],
    events: [
      {
        at: '2026-02-20T07:14:58.000Z',
        actor: 'deploy',
        command: 'up',
        phase: 'started',
        exitCode: null,
        changes: null,
      },
      { at: '2026-02-20T07:15:00.000Z', actor: 'deploy', command: 'up', phase: 'finished', exitCode: 0, changes: 1 },
    ],
  },
  backups: [backups],
}

const condition = (more: Pick<Condition, 'name' | 'severity' | 'message' | 'hint' | 'since'>): Condition => ({
  ...{ roles: [], database: 'shop' },
  ...more,
})

const overdue = condition({
  ...{ name: 'backup-overdue', severity: 'error', since: '2026-03-05T02:00:00.000Z' },
  message: 'backup of shop: the one scheduled for 2026-03-05T02:00:00.000Z is missing; the newest is 1 d 6 h old',
  hint: 'look at the log for the reason, or make a backup now with `pgbosun backup run`',
})
const failed = condition({
  ...{ name: 'backup-failed', severity: 'error', since: '2026-03-05T02:00:00.000Z' },
  message: 'the backup of shop failed: no space left on device',
  hint: 'look at the log; it is tried again at 2026-03-05T09:01:00.000Z, or make a backup now with `pgbosun backup run`',
})
const untested = condition({
  ...{ name: 'restore-test-overdue', severity: 'warning', since: '2026-03-01T04:00:00.000Z' },
  message: 'no backup of shop was restored for a test since 2026-03-01T04:00:00.000Z, when it was due; none ever was',
  hint: 'look at the log for the reason, or restore one now with `pgbosun backup verify latest --restore`',
})
const unreadable = condition({
  ...{ name: 'store-unreadable', severity: 'error', since: '2026-03-05T08:00:00.000Z' },
  message: 'the store of the backups of shop cannot be read: connect ECONNREFUSED 10.0.0.9:9000',
  hint: 'check that the store is mounted here, and that it can be read: pgbosun backup list',
})
const held: Condition = {
  ...{ name: 'held-after-restore', severity: 'warning', roles: [], since: '2026-03-05T07:40:00.000Z' },
  message: 'shop is held after a restore: it is that of backup 20260305T020000Z-1cb84ba0, taken 2026-03-05T02:00:00Z',
  hint: 'check the data, then: pgbosun restore --release',
}

/** Of each, the first condition has made the verdict. */
export const states = {
  safe: { ...safe, closed: [{ ...failed, until: '2026-03-04T03:01:00.000Z', since: '2026-03-04T02:00:00.000Z' }] },
  atRisk: {
    ...safe,
    verdict: 'AT RISK',
    conditions: [untested],
    backups: [{ ...backups, restoreTest: undefined, bytesPerSecond: undefined }],
  },
  notSafe: {
    ...safe,
    verdict: 'NOT SAFE',
    conditions: [overdue, failed],
    backups: [
      { ...backups, newest: listed[1], listed: listed.slice(1), series: [{ schedule: '', slots: slots('failed') }] },
    ],
  },
  unknown: {
    ...safe,
    verdict: 'UNKNOWN',
    conditions: [unreadable],
    backups: [{ ...backups, unknown: 'connect ECONNREFUSED 10.0.0.9:9000', newest: undefined, listed: [], more: 0 }],
  },
  starting: {
    ...safe,
    phase: 'starting',
    verdict: 'UNKNOWN',
    unlooked: ['what is declared: `up` is not done yet', 'the database', 'the store of the backups of shop'],
    declared: undefined,
    backups: [
      {
        ...{
          ...backups,
          unknown: 'the store was not read yet',
          newest: undefined,
          oldestAt: undefined,
          listed: [],
          more: 0,
        },
        ...{ restoreTest: undefined, bytesPerSecond: undefined, series: [] },
      },
    ],
  },
  held: {
    ...safe,
    verdict: 'AT RISK',
    conditions: [held],
    declared: { ...safe.declared!, pending: ['004_drop_products'] },
  },
} satisfies Record<string, Overview>

/** One with a thousand backups of a database; what is called makes it again from those that are stored. */
export function thousand(): () => Overview {
  const stored = Array.from({ length: 1000 }, (_, i): Backup => {
    const at = new Date(now.getTime() - (1000 - i) * 3_600_000)
    return {
      ...{
        id: `${at.toISOString().replace(/[-:]|\.\d+/g, '')}-1cb84ba0`,
        database: 'shop',
        startedAt: at,
        takenAt: at,
      },
      series: { name: 'nightly', system_identifier: '1', database: 'shop', kind: 'logical' },
      ...{
        problem: undefined,
        slot: at,
        pinned: false,
        leases: [],
        sizeBytes: 1e6 + i,
        dumpSizeBytes: 1e6,
        durationMs: 900,
      },
      verification: { at, ok: true, problem: null } as unknown as Backup['verification'],
    }
  })
  const keep = { within: 0, last: 0, hourly: 48, daily: 14, weekly: 8, monthly: 12, yearly: 3 }
  const policy = { name: 'nightly', keep, schedules: undefined, timezone: 'Europe/Berlin' }
  return () => ({ ...safe, backups: [shownBackupsOf(stored, backups, { policy, now })] })
}
