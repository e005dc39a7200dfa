import { expect, test } from 'vitest'
import { backupConditions } from '../check/backup-conditions.ts'
import { planList } from './plan-list.ts'
import { noSchedule } from './schedules.ts'
import { type BackupState, newBackupState } from './state.ts'

const state = (database: string, more: Partial<BackupState> = {}): BackupState => ({
  ...newBackupState(database),
  ...more,
})
const names = (states: BackupState[]) => states.map(({ database }) => database)

test('a new database is added, and the others stay the same objects', () => {
  const shop = state('shop')
  const { active, met, ended } = planList({ active: [shop], ended: [] }, ['blog', 'shop'], new Set())
  expect(names(active)).toEqual(['shop', 'blog'])
  expect(active[0]).toBe(shop)
  expect([names(met), names(ended)]).toEqual([['blog'], []])
})

test('one that is gone stays visible, and nothing of it is due or wrong', () => {
  const gone = state('gone', {
    ...{ lastSuccessId: 'x', lastError: 'e', overdue: 'o', storeProblem: 's', nextRunAt: 'n', neverDecrypted: 'd' },
    ...{ running: true, damaged: ['x'], conflicts: ['x'], pruneRefused: { message: 'p', hint: undefined } },
    ...{
      storeEmpty: { severity: 'error', message: 'm' },
      progress: { bytes: 1, estimatedBytes: 2, tables: undefined },
    },
    lacking: { unread: ['u'] } as unknown as BackupState['lacking'],
    schedules: [
      {
        ...noSchedule('daily'),
        running: true,
        lastSuccessId: 'x',
        lastError: 'e',
        retryAt: 'r',
        overdue: 'o',
        nextRunAt: 'n',
      },
    ],
  })
  gone.restoreTest = { ...gone.restoreTest, failed: 'f', overdue: 'o', nextRunAt: 'n' }
  const { active, allEnded } = planList({ active: [gone], ended: [] }, [], new Set())
  expect(active).toEqual([])
  const nothing = { neverDecrypted: null, conflicts: [], pruneRefused: null, storeEmpty: null, progress: null }
  const schedules = [{ ...noSchedule('daily'), lastSuccessId: 'x' }]
  expect(allEnded).toEqual([state('gone', { lastSuccessId: 'x', ended: true, ...nothing, schedules })])
  expect(backupConditions(allEnded, [], 'now')).toEqual([])
})

test('one that comes back goes on with what is known of it', () => {
  const ended = [state('shop', { lastSuccessId: 'x', ended: true }), state('other', { ended: true })]
  const { active, allEnded, met } = planList({ active: [], ended }, ['shop'], new Set())
  expect(active).toEqual([state('shop', { lastSuccessId: 'x', ended: false })])
  expect([names(allEnded), names(met)]).toEqual([['other'], ['shop']])
})

test('one that is named stays, even if the server does not have it', () => {
  const { active } = planList({ active: [state('named'), state('matched')], ended: [] }, [], new Set(['named']))
  expect(names(active)).toEqual(['named'])
})
