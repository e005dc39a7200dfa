import { describe, expect, test } from 'vitest'
import { storedOn as backup, damaged } from '../../test/support/stored.ts'
import type { Backup } from '../archive/backup.ts'
import { planCopies } from './copy-plan.ts'

const plan = (all: Backup[], there: Backup[]) =>
  planCopies(
    all,
    there,
    {
      name: 'default',
      keep: { within: 0, last: 3, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 },
      schedules: undefined,
      timezone: 'UTC',
    },
    new Date('2026-11-30T00:00:00Z'),
  ).map(({ id }) => id)

describe('what is copied to a store', () => {
  test('is what its rules keep and it lacks, newest first', () => {
    const all = [1, 2, 3, 4].map((day) => backup(day))
    expect(plan(all, [])).toEqual(['4', '3', '2'])
    expect(plan(all, [backup(3)])).toEqual(['4', '2'])
    expect(plan(all, all)).toEqual([])
    expect(plan([backup(1, { pinned: true }), ...all.slice(1)], all.slice(1))).toEqual(['1'])
  })

  test('is also what is damaged or not whole there, if another store has it whole', () => {
    const all = [backup(1), backup(2)]
    expect(plan(all, [backup(1, damaged), backup(2)])).toEqual(['1'])
    expect(plan(all, [backup(1, { verification: undefined }), backup(2)])).toEqual(['1'])
    const nowhereWhole = [backup(1, { verification: undefined })]
    expect(plan(nowhereWhole, nowhereWhole)).toEqual([])
    expect(plan([backup(1, damaged)], [])).toEqual([])
  })
})
