import { expect, test } from 'vitest'
import type { Applied, AppliedStatus, Migration } from '../../formats/types.ts'
import { planReplay } from './replay.ts'
import type { HistoryPolicy } from './verify.ts'

const policy: HistoryPolicy = {
  ...{ outOfOrder: 'error', ahead: 'warn', missing: 'error', edited: 'error', format: 'pgbosun', own: true },
  compare: (a, b) => Number(a) - Number(b),
}
const file = (id: string, kind: Migration['kind'] = 'versioned', checksum = 'x'): Migration => ({
  ...{ id, name: `${id}_name`, kind, sha256: checksum, checksum, native: {} },
  ...{ path: '', text: '', line: 1, transactional: true },
})
const row = (id: string, status: AppliedStatus = 'applied', checksum = 'x'): Applied => ({
  ...{ id, name: `${id}_name`, status, checksum, sha256: checksum, seq: 0 },
  ...{ appliedAt: null, durationMs: null, appliedBy: null, toolVersion: null, progress: null },
})
const replay = (files: Migration[], applied: Applied[], repeated: Applied[] = []) => {
  const { files: chosen, ...rest } = planReplay(files, { applied, repeated, lastSeq: 0, lastDetail: 0 }, policy)
  return { files: chosen.map(({ id }) => id), ...rest }
}

test('pending and unfinished files are left out, adopted ones are not', () => {
  const files = ['1', '2', '3', '4'].map((id) => file(id))
  expect(replay(files, [row('1'), row('2', 'adopted'), row('3', 'started')])).toEqual({
    files: ['1', '2'],
    withoutFile: [],
    changed: [],
    onlyRecorded: [],
  })
})

test('what was never run is made, and named', () => {
  const files = ['1', '2', '3', '4', '5'].map((id) => file(id))
  expect(replay(files, [row('2', 'baseline'), row('3', 'faked'), row('4')])).toMatchObject({
    files: ['1', '2', '3', '4'],
    onlyRecorded: ['3_name', '1_name', '2_name'],
  })
})

test('what has no file is named', () => {
  expect(replay([file('1')], [row('1'), row('7')], [row('view')])).toMatchObject({
    files: ['1'],
    withoutFile: ['7_name', 'view_name'],
  })
})

test('repeatable files count once they were applied; those that changed are named', () => {
  const files = [file('1'), file('a', 'repeatable'), file('b', 'repeatable', 'new'), file('c', 'repeatable')]
  expect(replay(files, [row('1')], [row('a'), row('b', 'applied', 'old')])).toEqual({
    files: ['1', 'a', 'b'],
    withoutFile: [],
    changed: ['b_name'],
    onlyRecorded: [],
  })
  const accepting = { ...file('b', 'repeatable', 'new'), accepts: (recorded: string) => recorded === 'old' }
  expect(replay([accepting], [], [row('b', 'applied', 'old')]).changed).toEqual([])
})
