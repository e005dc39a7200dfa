import { expect, test } from 'vitest'
import type { Backup } from '../archive/backup.ts'
import type { Manifest } from '../archive/manifest.ts'
import { AppError } from '../errors.ts'
import { describeLeftOut, leftOutWarning, refusePartial, warningsOf } from './left-out.ts'

const series: Manifest['series'] = { name: 'default', system_identifier: '7', database: 'shop', kind: 'logical' }
const patterns = { schemas: [], tables: [], table_data: [] }
const now = new Date('2026-03-02T00:00:00Z')

const backup = (id: string, more: Partial<Backup> = {}): Backup => ({
  ...{ id, database: 'shop', startedAt: new Date('2026-03-01T00:00:00Z'), takenAt: new Date('2026-03-01T00:00:00Z') },
  ...{ series, problem: undefined, slot: null, verification: undefined, pinned: false, leases: [] },
  ...{ sizeBytes: 1, dumpSizeBytes: 1 },
  ...more,
})

test('what is missing is named, whole things before rows', () => {
  expect(describeLeftOut({})).toBeUndefined()
  expect(describeLeftOut({ left_out: { schemas: [], tables: [], table_data: [], patterns } })).toBeUndefined()
  const all = {
    ...{
      schemas: ['tmp'],
      tables: ['public.a', 'public.b', 'public.c', 'public.d'],
      table_data: ['public."x\u202ey"'],
    },
    patterns,
  }
  expect(leftOutWarning({ id: 'b', left_out: all })).toBe(
    'backup b is partial: backup.exclude left out 1 schema (tmp), 4 tables (public.a, public.b, public.c and 1 more), the rows of 1 table (public."x\\u202ey")',
  )
})

const refused = (backups: Backup[], left_out: Manifest['left_out']) => {
  try {
    refusePartial({ id: 'chosen', series, left_out }, { into: 'shop', now }, backups)
  } catch (error) {
    return error as AppError
  }
  return undefined
}

test('what a backup warned of is one visible line each', () => {
  expect(warningsOf({ id: 'X', warnings: [] })).toEqual([])
  expect(warningsOf({ id: 'X', warnings: ['one', 'two\nlines'] })).toEqual([
    'when backup X was made: one',
    'when backup X was made: two\\u000alines',
  ])
})

test('a whole backup may replace a database, another is refused with the newest whole one', () => {
  const partial = { schemas: [], tables: ['public.a'], table_data: [], patterns }
  expect(refused([], undefined)).toBeUndefined()
  const error = refused(
    [
      backup('old'),
      backup('whole'),
      backup('damaged', { verification: { at: now, ok: false, problem: 'x' } }),
      backup('unreadable', { problem: 'x' }),
      backup('partial', { partial: true }),
      backup('elsewhere', { series: { ...series, system_identifier: '8' } }),
      backup('before', { series: { ...series, kind: 'before-restore' } }),
      backup('future', { startedAt: new Date('2027-01-01T00:00:00Z') }),
    ],
    partial,
  )
  expect(error).toBeInstanceOf(AppError)
  expect([error?.kind, error?.message]).toEqual([
    'usage',
    'backup chosen left something out, so it does not replace shop: it lacks 1 table (public.a); nothing was changed',
  ])
  expect(error?.hint).toContain('restore whole, the newest whole backup (started 2026-03-01T00:00:00.000Z)')
  expect(refused([backup('partial', { partial: true })], partial)?.hint).toContain('there is no whole backup of it')
})
