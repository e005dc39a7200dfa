import { expect, test } from 'vitest'
import { nextVersion } from './new.ts'
import { planMigrations } from './plan.ts'
import type { Applied, Migration } from './types.ts'
import { refuseProblems } from './verify.ts'

const file = (version: number, extra: Partial<Migration> = {}): Migration => ({
  version: BigInt(version),
  name: `${version}_x`,
  path: `migrations/${version}_x.sql`,
  sha256: `sha of ${version}`,
  text: '',
  transactional: true,
  ...extra,
})

const row = (version: number, extra: Partial<Applied> = {}): Applied => ({
  seq: version,
  version: BigInt(version),
  name: `${version}_x`,
  sha256: `sha of ${version}`,
  status: 'applied',
  appliedAt: '2026-01-01T00:00:00.000Z',
  durationMs: 1,
  appliedBy: 'app',
  toolVersion: '0.1.0',
  ...extra,
})

const strict = { outOfOrder: 'error', ahead: 'warn' } as const
const codesOf = (files: Migration[], history: Applied[], policy: Parameters<typeof planMigrations>[2] = strict) =>
  planMigrations(files, history, policy).problems.map(({ code, name }) => `${code} ${name}`)

test('plans what is not applied yet, and says why', () => {
  const plan = planMigrations([file(1), file(2), file(3, { transactional: false })], [row(1)], strict)
  expect(plan.steps.map(({ name, reason }) => [name, reason])).toEqual([
    ['2_x', 'not applied yet'],
    ['3_x', 'not applied yet, outside a transaction'],
  ])
  expect(plan).toMatchObject({ problems: [], warnings: [], currentVersion: '1_x', lastSeq: 1 })
})

test('plans nothing for an empty folder and an empty history', () => {
  expect(planMigrations([], [], strict)).toEqual({
    steps: [],
    problems: [],
    warnings: [],
    currentVersion: undefined,
    lastSeq: 0,
  })
})

test('compares versions as numbers', () => {
  expect(codesOf([file(9), file(10)], [row(9, { name: '09_x' })])).toEqual([])
  expect(planMigrations([file(9), file(10)], [row(9)], strict).steps.map(({ name }) => name)).toEqual(['10_x'])
})

test('finds edited, missing, late and interrupted migrations', () => {
  expect(codesOf([file(1, { sha256: 'other' }), file(2)], [row(1), row(2)])).toEqual(['edited 1_x'])
  expect(codesOf([file(1), file(3)], [row(1), row(2)])).toEqual(['missing 2_x'])
  expect(codesOf([file(1), file(2), file(3)], [row(1), row(3)])).toEqual(['out-of-order 2_x'])
  expect(codesOf([file(1), file(2, { sha256: 'other' })], [row(1), row(2, { status: 'started' })])).toEqual([
    'interrupted 2_x',
  ])
})

test('applies late files when told to, and says so', () => {
  const plan = planMigrations([file(1), file(2), file(3)], [row(1), row(3, { seq: 2 })], {
    ...strict,
    outOfOrder: 'apply',
  })
  expect(plan.problems).toEqual([])
  expect(plan.steps.map(({ reason }) => reason)).toEqual(['not applied yet, older than 3_x'])
  expect(plan.lastSeq).toBe(2)
})

test('treats a database ahead of the files as told', () => {
  const history = [row(1), row(2), row(3)]
  expect(planMigrations([file(1)], history, strict)).toMatchObject({
    problems: [],
    warnings: ['the database is ahead of the files: 2_x, 3_x'],
    currentVersion: '3_x',
  })
  expect(planMigrations([file(1)], history, { ...strict, ahead: 'ok' }).warnings).toEqual([])
  expect(codesOf([file(1)], history, { ...strict, ahead: 'error' })).toEqual(['ahead 2_x', 'ahead 3_x'])
})

test('an interrupted migration ends with 21 and the SQL for both ways out', () => {
  const { problems } = planMigrations([file(1)], [row(1, { status: 'started' })], strict)
  expect(() => refuseProblems(problems)).toThrow(
    expect.objectContaining({
      kind: 'history',
      message: '1_x was started outside a transaction and did not finish',
      hint: expect.stringMatching(
        /update pgbosun.migrations set status = 'applied' where version = 1;.*delete from pgbosun.migrations where version = 1/,
      ),
    }),
  )
})

test('numbers a new file like those before it', () => {
  const now = new Date('2026-03-04T05:06:07Z')
  const named = (...digits: string[]) =>
    digits.map((text) => ({ file: `${text}_x.sql`, digits: text, version: BigInt(text), down: false }))
  expect(nextVersion([], now)).toBe('20260304050607')
  expect(nextVersion(named('001', '002'), now)).toBe('003')
  expect(nextVersion(named('9', '10'), now)).toBe('11')
  expect(nextVersion(named('20250101000000'), now)).toBe('20260304050607')
  expect(nextVersion(named('20260304050607'), now)).toBe('20260304050608')
})
