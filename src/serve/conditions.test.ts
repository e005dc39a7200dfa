import { describe, expect, test } from 'vitest'
import type { Condition } from '../check/condition-catalogue.ts'
import type { Log } from '../log.ts'
import { isKnown, newsOf, replaceConditions } from './conditions.ts'
import { type BackupState, newBackupState, type ServeState } from './state.ts'

const since = '2026-03-01T00:00:00Z'
const condition = (more: Partial<Condition> & Pick<Condition, 'name'>): Condition => ({
  severity: 'warning',
  roles: [],
  message: 'it is so',
  hint: 'do that',
  since,
  ...more,
})
const secret = condition({ name: 'secret-changed', roles: ['app'] })
const overdue = condition({ name: 'backup-overdue', database: 'shop' })

describe('the log of conditions', () => {
  test.for([
    ['has nothing about unchanged ones', [secret, overdue], [secret, overdue], [], []],
    ['has new ones', [], [secret, overdue], [secret, overdue], []],
    ['has those that are over', [secret, overdue], [], [], [secret, overdue]],
    [
      'has those with other roles',
      [secret],
      [{ ...secret, roles: ['app', 'ro'] }],
      [{ ...secret, roles: ['app', 'ro'] }],
      [],
    ],
    [
      'has those with another message',
      [secret],
      [{ ...secret, message: 'more' }],
      [{ ...secret, message: 'more' }],
      [],
    ],
    ['has nothing about the growing age of a backup', [overdue], [{ ...overdue, message: 'it is older' }], [], []],
    [
      'has those of another database',
      [overdue],
      [{ ...overdue, database: 'b' }],
      [{ ...overdue, database: 'b' }],
      [overdue],
    ],
  ] as [string, Condition[], Condition[], Condition[], Condition[]][])('is %s', ([, before, after, opened, closed]) => {
    expect(newsOf(before, after)).toEqual({ opened, closed })
  })

  test('has one line for each, except for the start of those already logged as errors; conditions of other watchers stay', () => {
    const lines: [string, object, string][] = []
    const log = {
      warn: (fields: object, text: string) => lines.push(['warn', fields, text]),
      info: (fields: object, text: string) => lines.push(['info', fields, text]),
    } as unknown as Log
    const state = { conditions: [secret], looked: new Set() } as unknown as ServeState
    const failed = condition({ name: 'backup-failed', database: 'shop' })
    const now = new Date('2026-03-01T00:01:00Z')
    const names = ['backup-overdue', 'backup-failed'] as const
    replaceConditions(state, names, [overdue, failed], { log, now, told: ['backup-failed'] })
    expect(state.conditions).toEqual([secret, overdue, failed])
    replaceConditions(state, names, [], { log, now, told: ['backup-failed'] })
    expect(state.conditions).toEqual([secret])
    const over = { condition_ms: 60_000, database: 'shop' }
    expect(lines).toEqual([
      ['warn', { condition: 'backup-overdue', database: 'shop', hint: 'do that' }, 'it is so'],
      ['info', { condition: 'backup-overdue', ...over }, 'backup-overdue is over'],
      ['info', { condition: 'backup-failed', ...over }, 'backup-failed is over'],
    ])
  })
})

describe('that a condition is over', () => {
  const stateOf = (...backups: Partial<BackupState>[]): Pick<ServeState, 'looked' | 'backups'> => ({
    looked: new Set(['backup-overdue', 'prune-refused', 'xid-age']),
    backups: backups.map((one) => ({ ...newBackupState('shop'), ...one })),
  })

  test.for<[string, Partial<BackupState>[], Pick<Condition, 'name' | 'database'>, boolean]>([
    ['is known of what was looked at', [], { name: 'xid-age' }, true],
    ['is not known of what was not', [], { name: 'clock-skew' }, false],
    [
      'is known of a database whose store was read',
      [{ looked: true }],
      { name: 'backup-overdue', database: 'shop' },
      true,
    ],
    ['is not known before that', [{}], { name: 'backup-overdue', database: 'shop' }, false],
    [
      'is known of a database that is not backed up any more',
      [{ looked: true }],
      { name: 'backup-overdue', database: 'old' },
      true,
    ],
    [
      'is not known of any other while nobody knows what a pattern stands for',
      [{ database: 'sh*' }],
      { name: 'backup-overdue', database: 'shop' },
      false,
    ],
    [
      'is not known of retention before a backup',
      [{ looked: true }],
      { name: 'prune-refused', database: 'shop' },
      false,
    ],
    [
      'is known of retention after one',
      [{ looked: true, pruneRefused: null }],
      { name: 'prune-refused', database: 'shop' },
      true,
    ],
  ])('%s', ([, backups, about, known]) => {
    expect(isKnown(stateOf(...backups), about)).toBe(known)
  })
})
