import { describe, expect, test } from 'vitest'
import { type BackupState, livez, noRestoreTest, notReady, type ServeState, startupz, statusDocument } from './state.ts'

const state: ServeState = {
  version: '1.2.3',
  startedAt: '2026-03-01T00:00:00.000Z',
  phase: 'serving',
  up: { ok: true, finishedAt: '2026-03-01T00:00:01.000Z', error: null },
  upWanted: true,
  tickedAtMs: 0,
  backups: [],
  conditions: [],
  looked: new Set(),
}
const failed: ServeState = {
  ...state,
  phase: 'up-failed',
  up: { ok: false, finishedAt: '2026-03-01T00:00:01.000Z', error: '/srv/001_users.sql failed on db.internal' },
}

test.each<[string, ServeState, boolean, string]>([
  ['before up is done', { ...state, phase: 'starting', up: null }, false, 'up is not done yet'],
  ['without up', { ...state, up: null, upWanted: false }, true, 'ok'],
  ['after up', state, true, 'ok'],
  ['after a failed up, without its error', failed, false, 'up failed: see the log'],
  ['while stopping', { ...state, phase: 'stopping' }, false, 'stopping'],
])('/startupz %s', (_, given, ok, text) => {
  expect(startupz(given)).toEqual({ ok, text })
})

test('/livez counts the seconds in which the scheduler did not run', () => {
  expect(livez({ ...state, tickedAtMs: 20_000 }, 200_000)).toEqual({ ok: true, text: 'ok' })
  expect(livez({ ...state, tickedAtMs: 20_000 }, 200_001).ok).toBe(false)
  expect(livez(state, 181_000)).toEqual({ ok: false, text: 'the scheduler has not run for 181 s' })
})

test.each([
  'starting',
  'up-failed',
  'stopping',
] as const)('/livez kills no process whose scheduler need not turn: %s', (phase) => {
  expect(livez({ ...state, phase }, 900_000)).toEqual({ ok: true, text: 'ok' })
})

describe('/readyz', () => {
  test.each([
    ['unreachable', 'not ready: the database cannot be reached'],
    ['refused', 'not ready: the database refuses the connection'],
    ['pending', 'not ready: migrations are pending'],
    ['history', 'not ready: the migrations do not match the history'],
    ['unknown', 'not ready: the state of the database is not known'],
    ['usage', 'not ready: see the log'],
    ['failed', 'not ready: see the log'],
  ] as const)('tells everybody of %s without a name', (kind, text) => {
    expect(notReady(kind, 'db.internal:5432/shop: the password of admin was refused')).toEqual({
      ok: false,
      text,
      reason: 'db.internal:5432/shop: the password of admin was refused',
      kind,
    })
  })
})

describe('/status.json', () => {
  test('has the whole reasons', () => {
    expect(statusDocument(failed, notReady('unreachable', 'db.internal:5432/shop does not answer'))).toMatchObject({
      phase: 'up-failed',
      ready: false,
      ready_reason: 'db.internal:5432/shop does not answer',
      up: { ok: false, error: '/srv/001_users.sql failed on db.internal' },
    })
  })

  test('has all that is known of each database, with the problem of the store where the last attempt has none', () => {
    const backup: BackupState = {
      database: 'shop',
      running: true,
      progress: { bytes: 10, estimatedBytes: 40, tables: { table: 'public.a', tablesDone: 1, tablesTotal: 3 } },
      lastSuccessAt: '2026-03-01T03:00:00.000Z',
      lastSuccessId: '20260301T030000Z-00000001',
      lastAttemptAt: '2026-03-02T03:00:00.000Z',
      lastError: null,
      lastVerifiedAt: '2026-03-01T04:00:00.000Z',
      nextRunAt: '2026-03-03T03:00:00.000Z',
      storeProblem: null,
      overdue: 'it is old',
      damaged: ['20260201T030000Z-00000001'],
      restoreTest: {
        ...noRestoreTest(),
        last: {
          ...{ id: '20260301T030000Z-00000001', at: new Date('2026-03-01T05:00:00Z'), ok: true, problem: null },
          ...{ durationMs: 1_200, server: 'db-test:5432, PostgreSQL 17.2' },
        },
        lastError: { message: 'the password was refused', hint: 'look' },
        nextRunAt: '2026-03-08T05:00:00.000Z',
      },
    }
    const backups = [
      backup,
      { ...backup, database: 'wiki', running: false, progress: null, storeProblem: 'the disk is gone' },
      {
        ...backup,
        progress: { bytes: 1, estimatedBytes: 2, tables: undefined },
        lastError: 'pg_dump failed',
        storeProblem: 'the disk is gone',
      },
    ]
    const document = statusDocument({ ...state, backups }, { ok: true, text: 'ok' }, 1234.5)
    const shown = {
      database: 'shop',
      running: true,
      progress: { table: 'public.a', tables_done: 1, tables_total: 3, bytes: 10, estimated_bytes: 40 },
      last_success_at: '2026-03-01T03:00:00.000Z',
      last_success_id: '20260301T030000Z-00000001',
      last_attempt_at: '2026-03-02T03:00:00.000Z',
      last_error: null,
      last_verified_at: '2026-03-01T04:00:00.000Z',
      next_run_at: '2026-03-03T03:00:00.000Z',
      schedules: [],
      restore_test: {
        running: false,
        last: {
          ...{ id: '20260301T030000Z-00000001', at: '2026-03-01T05:00:00.000Z', ok: true, problem: null },
          ...{ duration_ms: 1_200, server: 'db-test:5432, PostgreSQL 17.2' },
        },
        last_error: 'the password was refused',
        next_run_at: '2026-03-08T05:00:00.000Z',
      },
    }
    expect(document).toEqual({
      version: '1.2.3',
      started_at: '2026-03-01T00:00:00.000Z',
      phase: 'serving',
      ready: true,
      ready_reason: null,
      ready_age_ms: 1235,
      up: { ok: true, finished_at: '2026-03-01T00:00:01.000Z', error: null },
      backups: [
        shown,
        { ...shown, database: 'wiki', running: false, progress: null, last_error: 'the disk is gone' },
        {
          ...shown,
          progress: { table: null, tables_done: null, tables_total: null, bytes: 1, estimated_bytes: 2 },
          last_error: 'pg_dump failed',
        },
      ],
      conditions: [],
    })
  })

  test('tells of no up, and of no age, where there is none', () => {
    expect(statusDocument({ ...state, up: null }, { ok: true, text: 'ok' })).toMatchObject({
      up: null,
      ready_age_ms: null,
    })
  })

  test('has the conditions of secrets and of backups', () => {
    const since = '2026-03-01T00:00:00.000Z'
    const shared = { severity: 'warning', message: 'it is so', hint: 'do that', since } as const
    const document = statusDocument(
      {
        ...state,
        conditions: [
          { ...shared, name: 'secret-changed', roles: ['shop_rw'] },
          { ...shared, name: 'backup-damaged', roles: [], database: 'shop' },
          { ...shared, name: 'backup-failed', roles: [], database: 'shop', schedule: 'hourly' },
        ],
      },
      { ok: true, text: 'ok' },
    )
    expect(document.conditions).toEqual([
      { ...shared, name: 'secret-changed', roles: ['shop_rw'], database: null, schedule: null },
      { ...shared, name: 'backup-damaged', roles: [], database: 'shop', schedule: null },
      { ...shared, name: 'backup-failed', roles: [], database: 'shop', schedule: 'hourly' },
    ])
  })

  test('has no reason when ready, and the short one when there is no other', () => {
    expect(statusDocument(state, { ok: true, text: 'ok' })).toMatchObject({ ready: true, ready_reason: null })
    expect(statusDocument(state, { ok: false, text: 'stopping' })).toMatchObject({ ready_reason: 'stopping' })
  })
})
