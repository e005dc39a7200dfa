import { describe, expect, test } from 'vitest'
import { checksum } from '../../formats/checksum.ts'
import { flyway } from '../../formats/flyway.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import type { History } from '../types.ts'
import { type AdoptionOptions, planAdoption } from './adopt.ts'

const file = (id: string, extra: Partial<Migration> = {}): Migration => ({
  ...{ id, name: `V${id}__x`, kind: 'versioned', path: '', text: 'select 1', line: 1, transactional: true },
  ...{ sha256: `sha ${id}`, checksum: `sum ${id}`, native: { version: id, description: 'x' } },
  ...extra,
})

const row = (id: string, extra: Partial<Applied> = {}): Applied => ({
  ...{ seq: 0, id, name: `V${id}__x`, sha256: null, checksum: `sum ${id}`, progress: null, status: 'applied' },
  ...{ appliedAt: '2026-01-01T00:00:00.000Z', durationMs: 1, appliedBy: 'app', toolVersion: null },
  ...extra,
})

const historyOf = (applied: Applied[], repeated: Applied[] = []): History => ({
  applied,
  repeated,
  lastSeq: 0,
  lastDetail: 0,
})

const policy = { ...flyway.policy, ahead: 'warn', compare: flyway.compare, format: 'flyway', own: false } as const
const plan = (files: Migration[], history: History, extra: Partial<AdoptionOptions> = {}) =>
  planAdoption(files, history, { policy, own: historyOf([]), format: flyway, sourceOf: () => 'select 1', ...extra })
const brief = (...args: Parameters<typeof plan>) =>
  plan(...args).adopted.map(({ state, file }) => `${state} ${file.name}`)
const problems = (...args: Parameters<typeof plan>) => plan(...args).problems.map(({ code, name }) => `${code} ${name}`)

test('adopts what is applied, in the order in which it was, and leaves the rest pending', () => {
  const files = [file('1'), file('2'), file('3')]
  expect(brief(files, historyOf([row('2'), row('1')]))).toEqual(['adopt 2_x', 'adopt 1_x', 'pending 3_x'])
  expect(problems(files, historyOf([row('2'), row('1')]))).toEqual([])
})

test('what a baseline stands for is applied', () => {
  const marker = row('2', { status: 'baseline', checksum: null })
  expect(brief([file('1'), file('2'), file('3'), file('4')], historyOf([marker, row('3')]))).toEqual([
    ...['adopt 1_x', 'adopt 2_x', 'adopt 3_x', 'pending 4_x'],
  ])
})

test('a repeatable file is adopted unless it changed', () => {
  const native = { version: null, description: 'v' }
  const repeatable = file('R:v', { kind: 'repeatable', native })
  expect(brief([repeatable], historyOf([], [row('R:v')]))).toEqual(['adopt repeatable/v'])
  expect(brief([repeatable], historyOf([], [row('R:v', { checksum: 'older' })]))).toEqual(['pending repeatable/v'])
  expect(brief([{ ...repeatable, accepts: () => true }], historyOf([], [row('R:v', { checksum: 'older' })]))).toEqual([
    'adopt repeatable/v',
  ])
})

test('what is recorded already is not recorded again', () => {
  const sha256 = checksum('select 1')
  const own = { ...historyOf([row('1', { name: '1_x', sha256, checksum: sha256, status: 'adopted' })]), lastSeq: 1 }
  expect(brief([file('1'), file('2')], historyOf([row('1'), row('2')]), { own })).toEqual(['recorded 1_x', 'adopt 2_x'])
  expect(plan([file('1')], historyOf([row('1')]), { own })).toMatchObject({ lastSeq: 1, problems: [] })
})

describe('is refused where something would be lost', () => {
  test.each<[string, Migration[], Applied[], string[]]>([
    ['an edited file', [file('1', { checksum: 'other' })], [row('1')], ['edited V1__x']],
    [
      'an edited file, as only we know',
      [file('1', { checksum: null })],
      [row('1', { checksum: null, sha256: 'before' })],
      ['edited V1__x'],
    ],
    ['a missing file', [file('2')], [row('1'), row('2')], ['missing V1__x']],
    ['a database that is ahead', [file('1')], [row('1'), row('2')], ['ahead V2__x']],
    ['a late file', [file('1'), file('2')], [row('2')], ['out-of-order V1__x']],
    ['a failed one', [file('1')], [row('1', { status: 'failed' })], ['interrupted V1__x']],
    [
      'one that would go on',
      [file('1')],
      [row('1', { status: 'started', progress: { direction: 'up', done: 0, running: false, sha256: '' } })],
      ['interrupted V1__x'],
    ],
    [
      'one that is being undone',
      [file('1')],
      [row('1', { progress: { direction: 'down', done: 0, running: false, sha256: '' } })],
      ['interrupted V1__x'],
    ],
  ])('%s', (_, files, applied, expected) => {
    expect(problems(files, historyOf(applied), { policy: { ...policy, missing: 'warn', edited: 'warn' } })).toEqual(
      expected,
    )
  })

  test('a late file is none where such are applied', () => {
    expect(
      problems([file('1'), file('2')], historyOf([row('2')]), { policy: { ...policy, outOfOrder: 'apply' } }),
    ).toEqual([])
  })

  test('our history has something else', () => {
    const own = historyOf([row('1', { name: '001_other', sha256: 'x' }), row('7', { name: '007_more' })])
    expect(problems([file('1')], historyOf([row('1')]), { own })).toEqual(['ahead 001_other', 'ahead 007_more'])
  })
})
