import { describe, expect, test } from 'vitest'
import { backupConditions } from '../check/backup-conditions.ts'
import { noSchedule } from './schedules.ts'
import { type BackupState, noRestoreTest } from './state.ts'

const good: BackupState = {
  database: 'shop',
  running: false,
  lastSuccessAt: null,
  lastSuccessId: null,
  lastAttemptAt: null,
  lastError: null,
  lastVerifiedAt: null,
  nextRunAt: null,
  storeProblem: null,
  overdue: null,
  damaged: [],
  restoreTest: noRestoreTest(),
}
const [first, second] = ['2026-03-01T00:00:00.000Z', '2026-03-02T00:00:00.000Z']

describe('the conditions of backups', () => {
  test('are none when all is well', () => {
    expect(backupConditions([good], [], first)).toEqual([])
  })

  test.each<[string, Partial<BackupState>, string]>([
    ['backup-failed', { lastError: 'the backup of shop failed: why' }, 'the backup of shop failed: why'],
    ['backup-overdue', { overdue: 'the newest is 2 h old' }, 'backup of shop: the newest is 2 h old'],
    ['backup-damaged', { damaged: ['a'] }, 'the backup a of shop is damaged'],
    ['backup-damaged', { damaged: ['a', 'b'] }, 'the backups a, b of shop are damaged'],
    ['restore-test-failed', { restoreTest: { ...noRestoreTest(), failed: 'why' } }, 'why'],
    [
      'restore-test-failed',
      { restoreTest: { ...noRestoreTest(), lastError: { message: 'not tried: why', hint: undefined } } },
      'not tried: why',
    ],
    ['store-unreadable', { storeProblem: 'why' }, 'the store of the backups of shop cannot be read: why'],
  ])('are %s', (name, state, message) => {
    expect(backupConditions([{ ...good, ...state }], [], first)).toMatchObject([
      { name, database: 'shop', severity: 'error', roles: [], message, since: first, hint: expect.any(String) },
    ])
  })

  test('are a warning where no backup was restored for a test in time', () => {
    const state = { ...good, restoreTest: { ...noRestoreTest(), overdue: 'none ever was' } }
    expect(backupConditions([state], [], first)).toMatchObject([
      { name: 'restore-test-overdue', severity: 'warning', message: 'none ever was' },
    ])
  })

  test('are a warning where nobody decrypted a backup for too long', () => {
    expect(backupConditions([{ ...good, neverDecrypted: 'for 36 d' }], [], first)).toMatchObject([
      {
        ...{ name: 'never-decrypted', severity: 'warning', message: 'for 36 d' },
        hint: 'run `pgbosun backup verify latest` where backup.encrypt.identity is set',
      },
    ])
  })

  test('are a warning where a prune could not delete what no rule keeps', () => {
    const refused = { ...good, pruneRefused: { message: 'nothing was deleted: why', hint: 'use --force' } }
    expect(backupConditions([refused], [], first)).toMatchObject([
      { name: 'prune-refused', severity: 'warning', message: 'nothing was deleted: why', hint: 'use --force' },
    ])
    expect(backupConditions([{ ...good, pruneRefused: null }], [], first)).toEqual([])
  })

  test.each(['warning', 'error'] as const)('say with a %s that the store is empty', (severity) => {
    expect(backupConditions([{ ...good, storeEmpty: { severity, message: 'none' } }], [], first)).toMatchObject([
      { name: 'store-empty', severity, database: 'shop', message: 'none' },
    ])
  })

  test('keep the instant of their start, for each database', () => {
    const failed = { ...good, lastError: 'why' }
    const before = backupConditions([failed], [], first)
    const after = backupConditions(
      [
        { ...failed, lastError: 'another' },
        { ...failed, database: 'b' },
      ],
      before,
      second,
    )
    expect(after).toMatchObject([
      { database: 'shop', message: 'another', since: first },
      { database: 'b', since: second },
    ])
  })
})

test('conditions of schedules name them, and each has its own beginning', () => {
  const hourly = { ...noSchedule('hourly'), lastError: 'why', nextRunAt: '2026-03-01T01:00:00.000Z' }
  const daily = { ...noSchedule('daily'), overdue: 'it is missing', retryAt: null }
  const both = { ...good, lastError: 'schedule hourly: why', schedules: [hourly, daily] }
  const before = backupConditions([both], [], first)
  expect(before).toMatchObject([
    {
      name: 'backup-failed',
      schedule: 'hourly',
      message: 'schedule hourly: why',
      hint: 'look at the log; it is not tried again before the next slot, 2026-03-01T01:00:00.000Z, or make a backup now with `pgbosun backup run --schedule hourly`',
    },
    { name: 'backup-overdue', schedule: 'daily', message: 'backup of shop: schedule daily: it is missing' },
  ])
  const after = backupConditions(
    [{ ...both, schedules: [{ ...hourly, overdue: 'late', retryAt: second }, daily] }],
    before,
    second,
  )
  expect(after.map(({ name, schedule, since }) => [name, schedule, since])).toEqual([
    ['backup-failed', 'hourly', first],
    ['backup-overdue', 'hourly', second],
    ['backup-overdue', 'daily', first],
  ])
  expect(after[0]!.hint).toContain(`it is tried again at ${second}`)
})
