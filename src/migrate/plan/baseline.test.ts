import { expect, test } from 'vitest'
import { file, flyways, ours, row } from '../../../test/support/migrations.ts'
import type { Applied } from '../../formats/types.ts'
import { planBaseline } from './baseline.ts'

const files = [
  ...['1', '2', '3'].map((id) => file(id, { native: { version: id } })),
  file('R:v', { kind: 'repeatable' }),
]
const historyOf = (applied: Applied[]) => ({ applied, repeated: [], lastSeq: applied.length, lastDetail: 0 })

const steps = (applied: Applied[], version: string) =>
  planBaseline(files, historyOf(applied), { policy: ours, marks: false }, version).plan.steps.map(
    ({ name, fake }) => `${name}${fake ? ' faked' : ''}`,
  )
const mark = (applied: Applied[], version: string) =>
  planBaseline(files, historyOf(applied), { policy: flyways, marks: true }, version).mark?.native.version

test('records everything up to the version, also the newest, and nothing that runs again', () => {
  expect(steps([], '002')).toEqual(['1_x faked', '2_x faked'])
  expect(steps([], '3_x')).toEqual(['1_x faked', '2_x faked', '3_x faked'])
})

test('records what is missing among what is recorded', () => {
  expect(steps([row('2')], '2')).toEqual(['1_x faked'])
  expect(planBaseline(files, historyOf([row('2')]), { policy: ours, marks: false }, '2').plan.problems).toEqual([])
  expect(steps([row('1'), row('2')], '2')).toEqual([])
})

test('keeps other problems', () => {
  const edited = row('1', { checksum: 'other', sha256: 'other' })
  const { plan } = planBaseline(files, historyOf([edited]), { policy: ours, marks: false }, '2')
  expect(plan.problems).toMatchObject([{ code: 'edited', name: '1_x' }])
})

test.each([
  [[row('3')], '2', 'history', '3_x, which is newer than 2_x, is already applied'],
  [[row('1', { status: 'started' })], '2', 'history', '1_x was started and did not finish'],
  [[row('1', { status: 'failed' })], '2', 'history', '1_x was started and did not finish'],
  [[], '9', 'usage', 'there is no migration 9'],
  [[], 'R:v', 'usage', 'there is no migration R:v'],
] as const)('refuses: %#', (applied, version, kind, message) => {
  expect(() => steps([...applied], version)).toThrow(
    expect.objectContaining({ kind, message, hint: expect.any(String) }),
  )
})

test('a tool with a mark of its own gets that, also for a version without a file', () => {
  expect(mark([], '2')).toBe('2')
  expect(mark([], '2_5')).toBe('2.5')
  expect(mark([row('2', { status: 'baseline' })], '2.0')).toBe(undefined)
})

test.each([
  [[row('1')], '2', 'the history of flyway is not empty: 1_x is recorded'],
  [[row('1', { status: 'baseline' })], '2', 'the history of flyway is not empty: 1_x is recorded'],
  [[row('2', { status: 'baseline' }), row('3')], '2', 'the history of flyway is not empty: 2_x is recorded'],
  [[], 'abc', 'there is no migration abc'],
  [[], '1'.repeat(51), `there is no migration ${'1'.repeat(51)}`],
] as const)('no mark: %#', (applied, version, message) => {
  expect(() => mark([...applied], version)).toThrow(expect.objectContaining({ message, hint: expect.any(String) }))
})
