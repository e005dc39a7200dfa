import { expect, test } from 'vitest'
import type { Backup } from '../archive/backup.ts'
import { backupChoices } from './backup-choices.ts'

const backup = (change: Partial<Backup>): Backup => ({
  ...{
    id: 'a',
    database: 'shop',
    startedAt: new Date('2026-03-01T12:00:00.123Z'),
    takenAt: new Date('2026-03-01T12:00:00Z'),
  },
  ...{
    series: undefined,
    problem: undefined,
    slot: null,
    pinned: false,
    leases: [],
    sizeBytes: 8_200_000,
    dumpSizeBytes: undefined,
  },
  verification: { ok: true } as Backup['verification'],
  ...change,
})

test('a table of what can be restored, newest first', () => {
  const now = new Date('2026-03-02T12:00:00Z')
  const choices = backupChoices(
    [
      backup({
        id: 'old',
        startedAt: new Date('2026-02-01T12:00:00Z'),
        takenAt: new Date('2026-02-01T12:00:00Z'),
        pinned: true,
      }),
      backup({ id: 'unreadable', problem: 'manifest.json cannot be read' }),
      backup({ id: 'new', sizeBytes: 12, verification: undefined, partial: true }),
      backup({
        id: 'bad',
        takenAt: new Date('2026-03-01T11:00:00Z'),
        verification: { ok: false } as Backup['verification'],
      }),
    ],
    now,
  )
  expect(choices).toEqual([
    { value: 'new', label: '2026-03-01 12:00:00Z  shop  12 B    not verified  1 d ago      partial' },
    { value: 'bad', label: '2026-03-01 12:00:00Z  shop  8.2 MB  DAMAGED       1 d 1 h ago' },
    { value: 'old', label: '2026-02-01 12:00:00Z  shop  8.2 MB  verified      29 d ago     pinned' },
  ])
  expect(backupChoices([], now)).toEqual([])
})
