import { expect, test } from 'vitest'
import type { Backup } from '../archive/backup.ts'
import { goodBackups, ofName, seriesFacts, storedFacts } from './facts.ts'

const now = new Date('2026-03-10T12:00:00Z')

const backup = (id: string, takenAt: string, change: Partial<Backup> = {}): Backup => ({
  id,
  database: 'shop',
  startedAt: new Date(takenAt),
  takenAt: new Date(takenAt),
  series: { name: 'default', system_identifier: '1', database: 'shop', kind: 'logical' },
  problem: undefined,
  slot: null,
  pinned: false,
  leases: [],
  verification: { at: new Date(takenAt), ok: true, problem: null },
  sizeBytes: 1,
  dumpSizeBytes: 1,
  ...change,
})

const bad = { verification: { at: now, ok: false, problem: 'damaged' } }

test('nothing is known without a backup', () => {
  expect(seriesFacts([], now)).toEqual({ damaged: [], fromFuture: [] })
})

test('the newest is the last good one; a damaged one and one from the future are told', () => {
  const backups = [
    backup('a', '2026-03-08T03:00:00Z'),
    backup('b', '2026-03-09T03:00:00Z'),
    backup('c', '2026-03-10T03:00:00Z', bad),
    backup('d', '2026-03-10T14:00:00Z'),
  ]
  const facts = seriesFacts(backups, now)
  expect([facts.first?.id, facts.newest?.id]).toEqual(['a', 'b'])
  expect(facts).toMatchObject({
    covered: new Date('2026-03-09T03:00:00Z'),
    lastVerifiedAt: new Date('2026-03-09T03:00:00Z'),
    damaged: ['c'],
    fromFuture: ['d'],
  })
})

test('a backup covers its slot, also one that it was started before', () => {
  const slot = new Date('2026-03-10T03:00:00Z')
  expect(seriesFacts([backup('a', '2026-03-10T02:59:58Z', { slot })], now).covered).toEqual(slot)
  expect(seriesFacts([backup('a', '2026-03-10T04:00:00Z', { slot })], now).covered).toEqual(
    new Date('2026-03-10T04:00:00Z'),
  )
})

test('clocks of machines may differ by five minutes', () => {
  const near = backup('a', '2026-03-10T12:04:59Z')
  const far = backup('b', '2026-03-10T12:05:01Z')
  expect(goodBackups([near, far], now)).toEqual([near])
})

test('a start in the future is none of the newest, even where the server’s clock says that it is not', () => {
  const odd = backup('a', '2026-03-10T11:00:00Z', { startedAt: new Date('2026-03-10T13:00:00Z') })
  expect(seriesFacts([odd], now)).toMatchObject({ fromFuture: ['a'] })
  expect(seriesFacts([odd], now).newest).toBeUndefined()
})

test('what cannot be read is of no series', () => {
  const unreadable = backup('a', '2026-03-10T03:00:00Z', { series: undefined, problem: 'damaged' })
  expect(ofName([unreadable, backup('b', '2026-03-10T03:00:00Z')], 'default').map(({ id }) => id)).toEqual(['b'])
})

test('the newest is the last in order, and what a backup covers is the latest, whatever the order', () => {
  const backups = [
    backup('a', '2026-03-09T03:00:00Z', { verification: undefined }),
    backup('b', '2026-03-08T03:00:00Z', {
      verification: { at: new Date('2026-03-09T09:00:00Z'), ok: true, problem: null },
    }),
  ]
  const facts = seriesFacts(backups, now)
  expect([facts.first?.id, facts.newest?.id]).toEqual(['a', 'b'])
  expect([facts.covered, facts.lastVerifiedAt]).toEqual([
    new Date('2026-03-09T03:00:00Z'),
    new Date('2026-03-09T09:00:00Z'),
  ])
})

test('one that nobody verified yet is good, and was verified at no time', () => {
  const fresh = backup('a', '2026-03-10T03:00:00Z', { verification: undefined })
  expect(goodBackups([fresh], now)).toEqual([fresh])
  expect(seriesFacts([fresh], now)).toMatchObject({ newest: { id: 'a' }, lastVerifiedAt: undefined, damaged: [] })
})

test('when a damaged one was verified is not when a backup was last seen to be good', () => {
  expect(seriesFacts([backup('a', '2026-03-10T03:00:00Z', bad)], now)).toEqual({
    damaged: ['a'],
    damagedAt: bad.verification.at,
    fromFuture: [],
  })
})

test('the scheduler is told of one series only', () => {
  const hourly = { name: 'hourly', system_identifier: '1', database: 'shop', kind: 'logical' } as const
  const newest = backup('c', '2026-03-09T03:00:00Z', { slot: new Date('2026-03-09T03:00:01Z') })
  const backups = [
    backup('a', '2026-03-08T03:00:00Z'),
    backup('b', '2026-03-08T15:00:00Z', bad),
    newest,
    backup('d', '2026-03-10T03:00:00Z', { series: hourly }),
  ]
  expect(storedFacts(backups, 'default', now)).toMatchObject({
    covered: new Date('2026-03-09T03:00:01Z'),
    newest,
    firstAt: new Date('2026-03-08T03:00:00Z'),
    lastVerifiedAt: new Date('2026-03-09T03:00:00Z'),
    damaged: ['b'],
    damagedAt: bad.verification.at,
  })
  expect(storedFacts(backups, 'weekly', now)).toMatchObject({ covered: undefined, newest: undefined, damaged: [] })
})

test('the scheduler is told of each schedule by itself, and of all together', () => {
  const of = (schedule?: string) => ({
    series: {
      ...{ name: 'default', system_identifier: '1', database: 'shop', kind: 'logical' as const },
      ...(schedule !== undefined && { schedule }),
    },
  })
  const backups = [
    backup('a', '2026-03-08T03:00:00Z', of('daily')),
    backup('b', '2026-03-08T15:00:00Z', of('hourly')),
    backup('c', '2026-03-09T03:00:00Z', of()),
    backup('d', '2026-03-09T04:00:00Z', of('')),
    backup('e', '2026-03-09T05:00:00Z', of('no longer there')),
  ]
  const { newest, bySchedule } = storedFacts(backups, 'default', now, ['hourly', 'daily', 'weekly', ''])
  expect(newest?.id).toBe('e')
  expect([...bySchedule!].map(([name, facts]) => [name, facts.newest?.id])).toEqual([
    ['hourly', 'b'],
    ['daily', 'a'],
    ['weekly', undefined],
    ['', 'd'],
  ])
})

test('tens of thousands are no problem', () => {
  const many = Array.from({ length: 150_000 }, (_, i) =>
    backup(`${i}`, new Date(now.getTime() - i * 1000).toISOString()),
  ).reverse()
  expect(seriesFacts(many, now).covered).toEqual(now)
})

test('whether somebody decrypts them matters while the newest one is encrypted', () => {
  const since = new Date('2026-03-01T03:00:00Z')
  const encryption = { recipients: [], since, decryptedAt: undefined }
  const old = backup('a', '2026-03-08T03:00:00Z', { encryption: { ...encryption, decryptedAt: since } })
  const newest = backup('b', '2026-03-09T03:00:00Z', { encryption })
  expect(storedFacts([old, newest], 'default', now).decryptions).toEqual({ since, decryptedAt: since })
  expect(seriesFacts([old, backup('c', '2026-03-09T03:00:00Z')], now).decryptions).toBeUndefined()
})
