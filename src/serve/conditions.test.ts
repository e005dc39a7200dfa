import { describe, expect, test } from 'vitest'
import type { Log } from '../log.ts'
import { newsOf, replaceConditions } from './conditions.ts'
import type { Condition, ServeState } from './state.ts'

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

describe('what is told of conditions', () => {
  test.for([
    ['nothing that is the same', [secret, overdue], [secret, overdue], [], []],
    ['what is new', [], [secret, overdue], [secret, overdue], []],
    ['what is over', [secret, overdue], [], [], [secret, overdue]],
    ['other roles', [secret], [{ ...secret, roles: ['app', 'ro'] }], [{ ...secret, roles: ['app', 'ro'] }], []],
    ['other words', [secret], [{ ...secret, message: 'more' }], [{ ...secret, message: 'more' }], []],
    ['not the age of a backup, which grows', [overdue], [{ ...overdue, message: 'it is older' }], [], []],
    ['another database', [overdue], [{ ...overdue, database: 'b' }], [{ ...overdue, database: 'b' }], [overdue]],
  ] as [string, Condition[], Condition[], Condition[], Condition[]][])('is %s', ([, before, after, opened, closed]) => {
    expect(newsOf(before, after)).toEqual({ opened, closed })
  })

  test('is one line each, but for those that were errors when they began; others of the list stay', () => {
    const lines: [string, object, string][] = []
    const log = {
      warn: (fields: object, text: string) => lines.push(['warn', fields, text]),
      info: (fields: object, text: string) => lines.push(['info', fields, text]),
    } as unknown as Log
    const state = { conditions: [secret] } as unknown as ServeState
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
