import type { Backup } from '../../src/archive/backup.ts'

/** A good backup of 3:00 on a day of November 2026, whose id is that day, as a store has it. */
export const storedOn = (day: number | string, change: Partial<Backup> = {}): Backup => {
  const at = new Date(Date.UTC(2026, 10, Number(day), 3))
  return {
    id: String(day),
    database: 'shop',
    startedAt: at,
    takenAt: at,
    series: { name: 'default', system_identifier: '1', database: 'shop', kind: 'logical' },
    problem: undefined,
    slot: null,
    verification: { at, ok: true, problem: null },
    pinned: false,
    leases: [],
    sizeBytes: 1,
    dumpSizeBytes: 1,
    ...change,
  }
}

/** Change of one that was found damaged. */
export const damaged = { verification: { at: new Date(0), ok: false, problem: 'it is damaged' } }
