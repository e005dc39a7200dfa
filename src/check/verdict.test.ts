import { describe, expect, test } from 'vitest'
import { type ConditionName, conditionCatalogue, conditionNames } from './condition-catalogue.ts'
import { verdictOf, worstFirst } from './verdict.ts'

const of = (name: ConditionName, severity: 'error' | 'warning' = conditionCatalogue[name].severity) => ({
  name,
  severity,
  since: '2026-03-01T00:00:00.000Z',
})

describe('the verdict', () => {
  test('is SAFE only when nothing is open and everything was looked at', () => {
    expect(verdictOf([])).toBe('SAFE')
    expect(verdictOf([], ['the store'])).toBe('UNKNOWN')
  })

  test('of every condition alone', () => {
    const by = Object.groupBy(conditionNames, (name) => verdictOf([of(name)]))
    expect(by).toMatchInlineSnapshot(`
      {
        "AT RISK": [
          "database-in-recovery",
          "up-failed",
          "migrations-pending",
          "migration-failed",
          "history-problem",
          "schema-drift",
          "invalid-index",
          "role-drift",
          "app-locked-out",
          "backup-shrank",
          "backup-incomplete",
          "verify-overdue",
          "restore-test-overdue",
          "prune-refused",
          "secret-changed",
          "secret-unreadable",
          "password-expiring",
          "connections-near-limit",
          "slot-retains-wal",
          "long-transaction",
          "clock-skew",
          "notify-failing",
          "configuration-changed",
          "store-beside-database",
          "replaced-database-waits",
          "held-after-restore",
          "never-decrypted",
        ],
        "NOT SAFE": [
          "objects-missing",
          "assertion-violated",
          "backup-overdue",
          "backup-failed",
          "backup-damaged",
          "restore-test-failed",
          "store-empty",
          "store-full",
          "client-missing",
          "xid-age",
          "store-not-persistent",
          "two-servers-one-series",
        ],
        "UNKNOWN": [
          "database-unreachable",
          "database-refused",
          "store-unreadable",
        ],
      }
    `)
  })

  test('is NOT SAFE also while other things are not known', () => {
    expect(verdictOf([of('store-unreadable'), of('objects-missing')], ['the store'])).toBe('NOT SAFE')
  })

  test('is UNKNOWN rather than AT RISK when something could not be looked at', () => {
    expect(verdictOf([of('up-failed'), of('database-unreachable')])).toBe('UNKNOWN')
    expect(verdictOf([of('up-failed')], ['the store'])).toBe('UNKNOWN')
  })

  test('of an empty store is AT RISK until its first backup is overdue', () => {
    expect(verdictOf([of('store-empty', 'warning')])).toBe('AT RISK')
    expect(verdictOf([of('store-empty', 'error')])).toBe('NOT SAFE')
  })

  test('comes from the condition that is listed first', () => {
    const names = worstFirst([
      of('notify-failing'),
      { ...of('up-failed'), since: '2026-03-02T00:00:00.000Z' },
      of('role-drift'),
      of('store-unreadable'),
      of('backup-overdue'),
    ]).map(({ name }) => name)
    expect(names).toEqual(['backup-overdue', 'store-unreadable', 'role-drift', 'up-failed', 'notify-failing'])
  })
})
