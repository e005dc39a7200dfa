import { describe, expect, test } from 'vitest'
import { commandsIn } from './answers.ts'
import { backupConditions } from './backup-conditions.ts'
import { backupFindings } from './backup-findings.ts'
import type { BackupFacts } from './backups.ts'
import { type DatabaseFindings, databaseConditionNames, databaseConditions } from './health-conditions.ts'
import { verdictOf } from './verdict.ts'

const now = new Date('2026-03-05T08:30:00.000Z')
const seen = now.toISOString()
const findings = { errors: [], warnings: [] } as unknown as NonNullable<DatabaseFindings['findings']>
const fine: DatabaseFindings = {
  ...{ findings, pending: [], problems: [], drift: [], lockedOut: [], assertions: [], leftovers: [] },
}
const broken = {
  'migrations-pending': { pending: ['2_b'] },
  'history-problem': { problems: [{ name: '1_a', detail: 'changed after it was applied' }] },
  'objects-missing': { findings: { ...findings, errors: ['table users is missing'] } },
  'invalid-index': { findings: { ...findings, warnings: ['index public.i of t is invalid'] } },
  'role-drift': { drift: [{ action: 'grant', object: 'select on t to app', reason: 'missing' }] },
  'app-locked-out': { lockedOut: ['app may not use the schema public'] },
  'schema-drift': { shadow: { errors: ['table t has a column too many'] } },
  'client-missing': { clientMissing: { message: 'no pg_dump of 18', hint: 'install it' } },
  'clock-skew': { skew: 'the clock of this machine is 1h behind that of the server' },
} satisfies Record<string, Partial<DatabaseFindings>>

describe('the conditions of a database', () => {
  test('are none when it is as declared', () => {
    expect(databaseConditions(fine, () => seen)).toEqual([])
  })

  test.each(Object.entries(broken))('are %s', (name, part) => {
    const found = databaseConditions({ ...fine, ...part }, () => seen)
    expect(found.map((one) => [one.name, one.since])).toEqual([[name, seen]])
    expect(found[0]!.hint).not.toBe('')
    expect(databaseConditionNames).toContain(name)
  })

  test('have the instant of the run that failed, and of the restore that holds', () => {
    const found = databaseConditions(
      {
        ...{ ...fine, pending: ['2_b'], failedRun: { at: '2026-03-04T00:00:00.000Z', error: 'migration 2_b failed' } },
        held: { text: 'shop is held', since: '2026-03-03T00:00:00.000Z' },
      },
      () => seen,
    )
    expect(found.map(({ name, since, hint }) => [name, since.slice(0, 10), commandsIn(hint)])).toEqual([
      ['migration-failed', '2026-03-04', ['pgbosun up']],
      ['migrations-pending', '2026-03-05', ['pgbosun up --after-restore']],
      ['held-after-restore', '2026-03-03', ['pgbosun restore --release']],
    ])
  })

  test('are as bad as the worst assertion that does not hold', () => {
    const of = (...levels: ('error' | 'warning')[]) =>
      databaseConditions(
        { ...fine, assertions: levels.map((level) => ({ name: level, level, ok: false, rows: 1 }) as never) },
        () => seen,
      )
    expect([of('warning'), of('error', 'warning')].map((all) => all.map(({ severity }) => severity))).toEqual([
      ['warning'],
      ['error'],
    ])
    expect(verdictOf(of('warning'))).toBe('AT RISK')
    expect(verdictOf(of('error'))).toBe('NOT SAFE')
  })
})

describe('the conditions of backups in check', () => {
  const slot = new Date('2026-03-05T02:00:00.000Z')
  const newest = { id: '20260304T020000Z-1cb84ba0', startedAt: new Date('2026-03-04T02:00:00.000Z'), slot: null }
  const fact: BackupFacts = {
    ...{ database: 'shop', store: 'file:///b', newest, lastVerifiedAt: newest.startedAt, firstAt: newest.startedAt },
    ...{ newestSlot: undefined, nextRunAt: now, damaged: [], since: newest.startedAt },
    schedules: [{ name: '', newest, newestSlot: newest.startedAt, nextRunAt: now, since: newest.startedAt }],
  }
  const of = (more: Partial<BackupFacts>, maxAgeMs?: number) =>
    backupConditions([backupFindings({ ...fact, ...more }, maxAgeMs, now)], [], seen).map((one) => [
      one.name,
      one.severity,
      one.since,
    ])
  const late = { name: '', newest, newestSlot: slot, nextRunAt: now, since: newest.startedAt }
  const record = { slot: slot.toISOString(), state: 'failed' as const, id: null, size_bytes: null, duration_ms: null }

  test.each<[string, Partial<BackupFacts>, number | undefined, string[][]]>([
    ['none when all is well', {}, undefined, []],
    ['overdue since the slot', { schedules: [late] }, undefined, [['backup-overdue', 'error', slot.toISOString()]]],
    ['overdue since the newest was too old', {}, 3_600_000, [['backup-overdue', 'error', '2026-03-04T03:00:00.000Z']]],
    [
      'failed since the slot that failed',
      { schedules: [{ ...fact.schedules![0]!, slots: [{ ...record, problem: 'why' }] }] },
      undefined,
      [['backup-failed', 'error', slot.toISOString()]],
    ],
    [
      'damaged since that was found',
      { damaged: [newest.id], damagedAt: slot },
      undefined,
      [['backup-damaged', 'error', slot.toISOString()]],
    ],
    [
      'shrunk since the backup that did',
      { shrank: { id: 'x', at: slot, sizeBytes: 1, usualBytes: 9 } },
      undefined,
      [['backup-shrank', 'warning', slot.toISOString()]],
    ],
    [
      'not read back for two weeks',
      { lastVerifiedAt: new Date('2026-02-01T00:00:00.000Z') },
      undefined,
      [['verify-overdue', 'warning', '2026-02-15T00:00:00.000Z']],
    ],
    ['unreadable', { unreadable: 'why', newest: undefined }, undefined, [['store-unreadable', 'error', seen]]],
    [
      'of two servers since the backup that shows it',
      { conflicts: ['20260305T020000Z-1cb84ba0'] },
      undefined,
      [['two-servers-one-series', 'error', '2026-03-05T02:00:00.000Z']],
    ],
    [
      'a warning while the first is not due yet',
      {
        newest: undefined,
        firstAt: undefined,
        lastVerifiedAt: undefined,
        schedules: [{ ...late, newest: undefined, newestSlot: undefined }],
      },
      undefined,
      [['store-empty', 'warning', seen]],
    ],
  ])('are %s', (_, more, maxAgeMs, expected) => {
    expect(of(more, maxAgeMs)).toEqual(expected)
  })
})
