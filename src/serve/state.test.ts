import { describe, expect, test } from 'vitest'
import { livez, notReady, type ServeState, startupz, statusDocument } from './state.ts'

const state: ServeState = {
  version: '1.2.3',
  startedAt: '2026-03-01T00:00:00.000Z',
  phase: 'serving',
  up: { ok: true, finishedAt: '2026-03-01T00:00:01.000Z', error: null },
  upWanted: true,
  tickedAtMs: 0,
  backups: [],
  conditions: [],
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
  ['after a failed up, without its error', failed, false, 'up failed: the log says why'],
  ['while stopping', { ...state, phase: 'stopping' }, false, 'stopping'],
])('/startupz %s', (_, given, ok, text) => {
  expect(startupz(given)).toEqual({ ok, text })
})

test('/livez counts the seconds in which the scheduler did not turn', () => {
  expect(livez(state, 180_000)).toEqual({ ok: true, text: 'ok' })
  expect(livez(state, 181_000)).toEqual({ ok: false, text: 'the scheduler has not turned for 181 s' })
  expect(livez({ ...state, phase: 'starting' }, 900_000).ok).toBe(true)
})

describe('/readyz', () => {
  test.each([
    ['unreachable', 'not ready: the database cannot be reached'],
    ['refused', 'not ready: the database refuses the connection'],
    ['pending', 'not ready: migrations are pending'],
    ['history', 'not ready: the migrations do not fit the history'],
    ['usage', 'not ready: the log says why'],
    ['failed', 'not ready: the log says why'],
  ] as const)('tells everybody of %s without a name', (kind, text) => {
    expect(notReady(kind, 'db.internal:5432/shop: the password of admin was refused')).toEqual({
      ok: false,
      text,
      reason: 'db.internal:5432/shop: the password of admin was refused',
    })
  })
})

describe('/status.json', () => {
  test('tells the whole reasons', () => {
    expect(statusDocument(failed, notReady('unreachable', 'db.internal:5432/shop does not answer'))).toMatchObject({
      phase: 'up-failed',
      ready: false,
      ready_reason: 'db.internal:5432/shop does not answer',
      up: { ok: false, error: '/srv/001_users.sql failed on db.internal' },
    })
  })

  test('tells of conditions, those of secrets and those of backups alike', () => {
    const since = '2026-03-01T00:00:00.000Z'
    const shared = { severity: 'warning', message: 'it is so', hint: 'do that', since } as const
    const document = statusDocument(
      {
        ...state,
        conditions: [
          { ...shared, name: 'secret-changed', roles: ['shop_rw'] },
          { ...shared, name: 'backup-damaged', roles: [], database: 'shop' },
        ],
      },
      { ok: true, text: 'ok' },
    )
    expect(document.conditions).toEqual([
      { ...shared, name: 'secret-changed', roles: ['shop_rw'], database: null },
      { ...shared, name: 'backup-damaged', roles: [], database: 'shop' },
    ])
  })

  test('has no reason when it is ready, and the short one where there is no other', () => {
    expect(statusDocument(state, { ok: true, text: 'ok' })).toMatchObject({ ready: true, ready_reason: null })
    expect(statusDocument(state, { ok: false, text: 'stopping' })).toMatchObject({ ready_reason: 'stopping' })
  })
})
