import { describe, expect, test } from 'vitest'
import { file, ours, row } from '../../../test/support/migrations.ts'
import { nextVersion } from '../../formats/name.ts'
import type { Applied, Migration, Progress } from '../../formats/types.ts'
import { planMigrations, type WantedMigrations } from './plan.ts'
import { doneHash, refuseProblems } from './verify.ts'

const planOf = (files: Migration[], applied: Applied[], policy = ours, wanted?: WantedMigrations) =>
  planMigrations(
    files,
    { applied, repeated: [], lastSeq: Math.max(0, ...applied.map(({ seq }) => seq)), lastDetail: 0 },
    policy,
    wanted,
  )
const codesOf = (files: Migration[], history: Applied[], policy = ours) =>
  planOf(files, history, policy).problems.map(({ code, name }) => `${code} ${name}`)

test('plans what is not applied yet, and says why', () => {
  const plan = planOf([file(1), file(2), file(3, { transactional: false })], [row(1)], ours)
  expect(plan.steps.map(({ name, reason }) => [name, reason])).toEqual([
    ['2_x', 'not applied yet'],
    ['3_x', 'not applied yet, outside a transaction (the file asks for it)'],
  ])
  expect(plan).toMatchObject({ problems: [], warnings: [], currentVersion: '1_x', lastSeq: 1 })
})

test('plans nothing for an empty folder and an empty history', () => {
  expect(planOf([], [], ours)).toEqual({
    steps: [],
    problems: [],
    warnings: [],
    currentVersion: undefined,
    lastSeq: 0,
    lastDetail: 0,
  })
})

test('compares versions as numbers', () => {
  expect(codesOf([file(9), file(10)], [row(9, { name: '09_x' })])).toEqual([])
  expect(planOf([file(9), file(10)], [row(9)], ours).steps.map(({ name }) => name)).toEqual(['10_x'])
})

test('finds edited, missing, late and interrupted migrations', () => {
  expect(codesOf([file(1, { checksum: 'other' }), file(2)], [row(1), row(2)])).toEqual(['edited 1_x'])
  expect(codesOf([file(1), file(3)], [row(1), row(2)])).toEqual(['missing 2_x'])
  expect(codesOf([file(1), file(2), file(3)], [row(1), row(3)])).toEqual(['out-of-order 2_x'])
  expect(codesOf([file(1), file(2, { checksum: 'other' })], [row(1), row(2, { status: 'started' })])).toEqual([
    'interrupted 2_x',
  ])
})

test('applies late files when told to, and says so', () => {
  const plan = planOf([file(1), file(2), file(3)], [row(1), row(3, { seq: 2 })], {
    ...ours,
    outOfOrder: 'apply',
  })
  expect(plan.problems).toEqual([])
  expect(plan.steps.map(({ reason }) => reason)).toEqual(['not applied yet, older than 3_x'])
  expect(plan.lastSeq).toBe(2)
})

test.each<[WantedMigrations, string[]]>([
  [{}, ['2_x', '3_x', '4_x']],
  [{ steps: 2 }, ['2_x', '3_x']],
  [{ steps: 0 }, []],
  [{ to: '3' }, ['2_x', '3_x']],
  [{ to: '3_x' }, ['2_x', '3_x']],
  [{ to: '1' }, []],
  [{ to: '4', steps: 2 }, ['2_x', '3_x']],
  [{ to: '2', steps: 2 }, ['2_x']],
  [{ only: '3' }, ['3_x']],
])('of three that are not applied, %j chooses %j', (wanted, names) => {
  const { steps } = planOf([file(1), file(2), file(3), file(4)], [row(1)], ours, wanted)
  expect(steps.map(({ name }) => name)).toEqual(names)
})

test('refuses to go to a version that there is not', () => {
  expect(() => planOf([file(1)], [], ours, { to: '7' })).toThrow(expect.objectContaining({ kind: 'usage' }))
})

describe('a file that was interrupted', () => {
  const text = 'vacuum a; vacuum b; vacuum c'
  const stopped: Progress = { direction: 'up', done: 1, running: false, sha256: doneHash(text, 8) }
  const interrupted = { seq: 5, status: 'started', progress: stopped, sha256: 'sha of before' } as const

  test('resumes behind what it has done, also when its rest was changed since', () => {
    const { problems, steps } = planOf([file(1, { text: `${text}; vacuum d` })], [row(1, interrupted)])
    expect(problems).toEqual([])
    expect(steps).toMatchObject([{ name: '1_x', resume: { ...stopped, seq: 5 } }])
  })

  test('is named with the statement that comes next', () => {
    const { steps } = planOf([file(1, { text })], [row(1, interrupted)])
    expect(steps[0]?.reason).toMatch(/ statement 2, outside a transaction \(VACUUM\)$/)
  })

  test('starts again when it is repeatable and was changed since', () => {
    const repeatable = (sha256: string) => {
      const files = [file(1, { kind: 'repeatable', text, sha256 })]
      const history = { applied: [], repeated: [row(1, interrupted)], lastSeq: 5, lastDetail: 0 }
      return planMigrations(files, history, ours).steps[0]?.resume
    }
    expect(repeatable('sha of before')).toEqual({ ...stopped, seq: 5 })
    expect(repeatable('sha of now')).toEqual({ ...stopped, done: 0, sha256: doneHash('', 0), seq: 5 })
  })
})

test('treats a database ahead of the files as told', () => {
  const history = [row(1), row(2), row(3)]
  expect(planOf([file(1)], history, ours)).toMatchObject({
    problems: [],
    warnings: ['the database is ahead of the files: 2_x, 3_x'],
    currentVersion: '3_x',
  })
  expect(planOf([file(1)], history, { ...ours, ahead: 'ok' }).warnings).toEqual([])
  expect(codesOf([file(1)], history, { ...ours, ahead: 'error' })).toEqual(['ahead 2_x', 'ahead 3_x'])
})

test('an interrupted migration ends with 21 and the SQL for both ways out', () => {
  const { problems } = planOf([file(1)], [row(1, { status: 'started' })], ours)
  expect(() => refuseProblems(problems)).toThrow(
    expect.objectContaining({
      kind: 'history',
      message: '1_x was started outside a transaction and did not finish',
      hint: expect.stringMatching(/migrate repair --applied 1_x.*migrate repair --pending 1_x/),
    }),
  )
})

test('numbers a new file like those before it', () => {
  const now = new Date('2026-03-04T05:06:07Z')
  expect(nextVersion([], now)).toBe('20260304050607')
  expect(nextVersion(['001', '002'], now)).toBe('003')
  expect(nextVersion(['9', '10'], now)).toBe('11')
  expect(nextVersion(['20250101000000'], now)).toBe('20260304050607')
  expect(nextVersion(['20260304050607'], now)).toBe('20260304050608')
})

test('many warnings of one kind are told together, those of another beside them', () => {
  const numbers = [1, 2, 3, 4]
  const { warnings } = planOf(
    numbers.map((n) => file(n, { checksum: `edited ${n}` })),
    [...numbers, 5].map((n) => row(n)),
    { ...ours, edited: 'warn' },
  )
  expect(warnings).toEqual([
    'the database is ahead of the files: 5_x',
    numbers.map((n) => `${n}_x was changed after it was applied`),
  ])
})
