import { describe, expect, test } from 'vitest'
import type { Applied, Migration } from '../../formats/types.ts'
import { planMigrations } from '../../migrate/plan/plan.ts'
import { noHistory } from '../../migrate/plan/replay.ts'
import type { HistoryPolicy } from '../../migrate/plan/verify.ts'
import { planRehearsal } from './plan.ts'

const file = (id: string, kind: Migration['kind'] = 'versioned', content = 'a'): Migration => ({
  ...{ id, name: kind === 'repeatable' ? `R_${id}` : `00${id}`, kind, sha256: content, checksum: content },
  ...{ path: `/m/${id}.sql`, text: 'select 1', line: 1, transactional: true, native: {} },
})

const row = (id: string, status: Applied['status'] = 'applied', checksum = 'a'): Applied => ({
  ...{ id, name: `00${id}`, checksum, sha256: checksum, status, seq: 1 },
  ...{ appliedAt: null, durationMs: null, appliedBy: null, toolVersion: null, progress: null },
})

const policy: HistoryPolicy = {
  ...{ outOfOrder: 'apply', ahead: 'warn', missing: 'error', edited: 'error', format: 'pgbosun', own: true },
  compare: (a, b) => Number(a) - Number(b),
}

const side = (files: Migration[], applied: Applied[], repeated: Applied[] = []) => {
  const history = { ...noHistory, applied, repeated }
  return { plan: planMigrations(files, history, policy), history }
}

const rehearse = (live: ReturnType<typeof side>, copy: ReturnType<typeof side>) => {
  const { plan, alreadyApplied } = planRehearsal(live, copy, 'B')
  return plan.steps.map((step) => `${step.name}${alreadyApplied.has(step) ? ' already' : ''}`)
}

const four = ['1', '2', '3', '4'].map((id) => file(id))

describe('a rehearsal', () => {
  test('runs the pending files', () => {
    const live = side(four, [row('1'), row('2')])
    expect(rehearse(live, live)).toEqual(['003', '004'])
  })

  test('first runs what was applied since the backup, in that order', () => {
    const live = side(four, [row('1'), row('4'), row('2')])
    expect(rehearse(live, side(four, [row('1')]))).toEqual(['004 already', '002 already', '003'])
  })

  test('runs a repeatable file that ran since the backup before the pending ones, and one that is pending last', () => {
    const files = [file('1'), file('2'), file('a', 'repeatable', 'new'), file('b', 'repeatable', 'new')]
    const live = side(files, [row('1')], [row('a', 'applied', 'new'), row('b', 'applied', 'old')])
    const copy = side(files, [row('1')], [row('a', 'applied', 'old'), row('b', 'applied', 'old')])
    expect(rehearse(live, copy)).toEqual(['R_a already', '002', 'R_b'])
  })

  test('is refused when a pending file was undone since the backup', () => {
    const live = side(four, [row('1'), row('2')])
    expect(() => rehearse(live, side(four, [row('1'), row('2'), row('3')]))).toThrow(
      expect.objectContaining({ kind: 'history', message: expect.stringContaining('003 is pending in the database') }),
    )
  })

  test.each<Applied['status']>([
    'faked',
    'adopted',
    'baseline',
  ])('is refused when a file was only recorded since the backup: %s', (status) => {
    expect(() => rehearse(side(four, [row('1'), row('2', status)]), side(four, [row('1')]))).toThrow(
      expect.objectContaining({ kind: 'history', message: expect.stringContaining('002 is recorded') }),
    )
  })

  test('is refused when a baseline since the backup covers files', () => {
    expect(() => rehearse(side(four, [row('3', 'baseline')]), side(four, []))).toThrow(
      expect.objectContaining({ message: expect.stringContaining('001, 002, 003 are recorded') }),
    )
  })
})
