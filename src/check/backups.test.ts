import { describe, expect, test } from 'vitest'
import { type BackupFacts, judgeBackups } from './backups.ts'

const now = new Date('2026-03-02T12:00:00Z')
const none: BackupFacts = {
  database: 'shop',
  store: 'file:///backups',
  newest: undefined,
  lastVerifiedAt: undefined,
  damaged: [],
  newestSlot: undefined,
  nextRunAt: undefined,
  since: undefined,
}
const at = (text: string) => new Date(`2026-03-${text}Z`)
const backup = (startedAt: Date, slot: Date | null = null) => ({ id: 'x', startedAt, slot })

test.each<[string, Partial<BackupFacts>, number | undefined, string[]]>([
  ['no backup without a schedule or a limit is fine', {}, undefined, []],
  [
    'no backup with a limit is an error',
    {},
    3_600_000,
    ['backup of shop: there is none in file:///backups: is the store mounted here?'],
  ],
  [
    'no backup before the first slot has passed is fine',
    { newestSlot: at('02T03:00:00'), since: at('02T08:00:00') },
    undefined,
    [],
  ],
  [
    'no backup after the first slot is an error',
    { newestSlot: at('02T03:00:00'), since: at('01T08:00:00') },
    undefined,
    ['backup of shop: there is none in file:///backups: is the store mounted here?'],
  ],
  [
    'no backup in a store of ours may be in another one',
    { newestSlot: at('02T03:00:00'), since: at('01T08:00:00'), marked: true },
    undefined,
    ['backup of shop: there is none in file:///backups: is the right store mounted here?'],
  ],
  [
    'the newest slot is covered',
    { newest: backup(at('02T03:00:01'), at('02T03:00:00')), newestSlot: at('02T03:00:00'), since: at('01T03:00:00') },
    undefined,
    [],
  ],
  [
    'the newest slot is missing',
    {
      newest: backup(at('01T03:00:01'), at('01T03:00:00')),
      newestSlot: at('02T03:00:00'),
      since: at('01T03:00:01'),
    },
    undefined,
    ['backup of shop: the one scheduled for 2026-03-02T03:00:00.000Z is missing; the newest is 1 d 8 h old'],
  ],
  [
    'older than the limit',
    { newest: backup(at('01T03:00:00')) },
    26 * 3_600_000,
    ['backup of shop: the newest is 1 d 9 h old, but check.backupMaxAge is 26h'],
  ],
  ['younger than the limit', { newest: backup(at('02T03:00:00')) }, 26 * 3_600_000, []],
])('%s', (_, facts, maxAgeMs, errors) => {
  expect(judgeBackups([{ ...none, ...facts }], { maxAgeMs, now }).errors).toEqual(errors)
})

test('before the first slot of a schedule, no backup is a warning', () => {
  const facts = { ...none, since: at('02T08:00:00'), nextRunAt: at('03T03:00:00') }
  expect(judgeBackups([facts], { maxAgeMs: undefined, now })).toMatchObject({
    errors: [],
    warnings: [
      'file:///backups has no backup of shop: the first is due at 2026-03-03T03:00:00.000Z; is the store mounted here?',
    ],
  })
})

test('when it is not known since when slots count, no backup is a warning', () => {
  const facts = { ...none, newestSlot: at('02T03:00:00'), nextRunAt: at('03T03:00:00') }
  expect(judgeBackups([facts], { maxAgeMs: undefined, now })).toMatchObject({
    errors: [],
    entries: [{ ok: null, problem: null, last_id: null }],
    lines: ['backups      shop: none in file:///backups; next 2026-03-03T03:00:00.000Z'],
    warnings: [
      'file:///backups has no backup of shop: the next is due at 2026-03-03T03:00:00.000Z; is the store mounted here?',
    ],
  })
})

test('a backup that starts in the future is a warning', () => {
  expect(judgeBackups([{ ...none, fromFuture: ['x'] }], { maxAgeMs: undefined, now }).warnings).toEqual([
    'the backup x of shop starts in the future and does not count: a clock was or is wrong',
  ])
})

test('an encrypted backup that nobody decrypts, and one that nothing proves to be ours, are warnings', () => {
  const fact = { ...none, newest: backup(at('02T03:00:00')), unproven: ['b', 'c'] }
  const decryptions = { since: new Date('2026-01-01T00:00:00Z'), decryptedAt: undefined }
  const { errors, warnings } = judgeBackups([{ ...fact, decryptions }], { maxAgeMs: undefined, now })
  expect(errors).toEqual([])
  expect(warnings.flat()).toEqual([
    'the backup b of shop is not signed with backup.sign.secret, and does not count',
    'the backup c of shop is not signed with backup.sign.secret, and does not count',
    'no backup of shop was ever decrypted, and they have been encrypted for 60 days: nothing shows that their identity still exists: run `pgbosun backup verify latest` where backup.encrypt.identity is set',
  ])
})

describe('several schedules', () => {
  const hourly = { name: 'hourly', newest: backup(at('02T11:00:01'), at('02T11:00:00')), newestSlot: at('02T11:00:00') }
  const weekly = { name: 'weekly', newest: undefined, newestSlot: at('01T00:00:00') }
  const next = { nextRunAt: at('02T13:00:00'), since: at('01T08:00:00') }
  const both = (change: object = {}) => ({
    ...none,
    newest: hourly.newest,
    schedules: [
      { ...hourly, ...next },
      { ...weekly, ...next, ...change },
    ],
  })
  const judge = (fact: BackupFacts, maxAgeMs?: number) => judgeBackups([fact], { maxAgeMs, now })

  test('are each judged by their own backups', () => {
    expect(judge(both())).toMatchObject({
      errors: [],
      entries: [{ ok: true, schedules: [{ ok: true }, { ok: null }] }],
    })
    expect(judge(both({ since: new Date(0) }))).toMatchObject({
      errors: [
        'backup of shop: schedule weekly: the one scheduled for 2026-03-01T00:00:00.000Z is missing, and there is no other',
      ],
      entries: [
        {
          ok: false,
          schedules: [
            { name: 'hourly', ok: true, problem: null, last_id: 'x' },
            { name: 'weekly', ok: false, last_id: null, next_run_at: '2026-03-02T13:00:00.000Z' },
          ],
        },
      ],
    })
    const old = backup(at('01T00:00:00'))
    expect(judge(both({ newest: old, newestSlot: at('02T00:00:00') })).errors).toEqual([
      'backup of shop: schedule weekly: the one scheduled for 2026-03-02T00:00:00.000Z is missing; the newest is 1 d 12 h old',
    ])
  })

  test('share the limit of the age, and a store without any backup is said once', () => {
    expect(judge(both({ since: new Date(0) }), 60_000).errors).toHaveLength(2)
    expect(
      judge({
        ...none,
        schedules: both({ since: new Date(0) }).schedules.map((one) => ({ ...one, newest: undefined })),
      }).errors,
    ).toEqual(['backup of shop: there is none in file:///backups: is the store mounted here?'])
  })

  test('are named where the next of each is shown', () => {
    expect(judge(both()).lines).toEqual([
      'backups      shop: x, 59 min 59 s old, not verified; next hourly 2026-03-02T13:00:00.000Z; next weekly 2026-03-02T13:00:00.000Z',
    ])
  })
})

test('one that the server does not have any more is never overdue, and shown as ended', () => {
  const newest = backup(at('01T03:00:00'))
  const fact = { ...none, newest, newestSlot: at('02T03:00:00'), since: at('01T03:00:00') }
  expect(judgeBackups([fact], { maxAgeMs: 1, now }).errors).toHaveLength(1)
  const { errors, entries, lines } = judgeBackups([{ ...fact, ended: true }], { maxAgeMs: 1, now })
  expect(errors).toEqual([])
  expect(entries).toMatchObject([{ ok: true, ended: true, last_id: 'x' }])
  expect(lines[0]).toMatch(/; ended: the server does not have it any more$/)
  expect(judgeBackups([fact], { maxAgeMs: 1, now }).entries[0]).not.toHaveProperty('ended')
})

test('one that may have been created a moment ago may be without a backup', () => {
  expect(judgeBackups([none], { maxAgeMs: 1, now }).errors).toHaveLength(1)
  expect(judgeBackups([{ ...none, maybeNew: true }], { maxAgeMs: 1, now }).errors).toEqual([])
})
