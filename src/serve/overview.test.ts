import { expect, test } from 'vitest'
import type { Backup } from '../archive/backup.ts'
import { keyOf } from './overview.ts'

const now = new Date('2026-03-01T12:00:00Z')
const old = { id: '20260227T030000Z-aaaaaaaa', pinned: false } as Backup
const newest = { id: '20260228T030000Z-bbbbbbbb', pinned: false } as Backup

test.each<[string, Backup[]]>([
  ['is new', [old, newest, { ...newest, id: '20260301T030000Z-cccccccc' }]],
  ['is deleted', [newest]],
  [
    'is found damaged, although it is not the newest',
    [{ ...old, verification: { at: now, ok: false } } as Backup, newest],
  ],
  ['could not be restored for a test', [old, { ...newest, restoreTest: { at: now, ok: false } } as Backup]],
  ['is pinned', [{ ...old, pinned: true }, newest]],
  ['is in another store', [old, { ...newest, stores: ['s3://backups'] }]],
  ['cannot be read any more', [{ ...old, problem: 'damaged' }, newest]],
])('the page shows at once that a backup %s', (_, after) => {
  expect(keyOf(after, now)).not.toBe(keyOf([old, newest], now))
  expect(keyOf([{ ...old }, { ...newest }], now)).toBe(keyOf([old, newest], now))
})
