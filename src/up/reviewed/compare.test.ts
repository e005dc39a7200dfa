import { describe, expect, test } from 'vitest'
import { differences, elsewhere } from './compare.ts'
import { planVersion, type ReviewedChange, type ReviewedPlan } from './document.ts'

const at = new Date('2026-11-30T12:00:00Z')
const create = (sql: string): ReviewedChange => ({
  action: 'create',
  object: 'role a',
  reason: 'does not exist',
  sql: [sql],
})
const file = { name: '001_a', sha256: 'a' }

const plan = (
  changes: ReviewedChange[] = [create('create role a')],
  more: Partial<ReviewedPlan> = {},
): ReviewedPlan => ({
  schema_version: planVersion,
  pgbosun_version: '1.0.0',
  planned_at: '2026-11-30T11:00:00Z',
  system_identifier: '1',
  database: 'shop',
  server_major: 18,
  configuration_sha256: 'c',
  migrations: [file],
  seeds: [],
  steps: [{ name: 'ensure', deferred: false, changes }],
  ...more,
})

const compared = (reviewed: ReviewedPlan, now = plan(), maxAgeMs = 86_400_000) =>
  differences(reviewed, now, { at, maxAgeMs })

describe('a plan and the one that was reviewed', () => {
  test('are the same although they were made at other times', () => {
    expect(compared(plan(), plan(undefined, { planned_at: at.toISOString() }))).toEqual([])
  })

  for (const [what, reviewed, expected] of [
    ['age', plan(undefined, { planned_at: '2026-11-29T11:59:59Z' }), /^it is 1 d old, and --plan-max-age is 1d$/],
    ['future', plan(undefined, { planned_at: '2026-11-30T12:06:00Z' }), /6 min in the future/],
    ['version', plan(undefined, { pgbosun_version: '0.9.0' }), /by pgbosun 0.9.0, this is 1.0.0/],
    ['major', plan(undefined, { server_major: 17 }), /for PostgreSQL 17, this is 18/],
    ['configuration', plan(undefined, { configuration_sha256: 'd' }), /^the configuration/],
    ['file', plan(undefined, { migrations: [{ ...file, sha256: 'b' }] }), /^migration 001_a has other content$/],
    ['lost file', plan(undefined, { seeds: [file] }), /^seed 001_a is gone$/],
    ['new file', plan(undefined, { migrations: [] }), /^migration 001_a is not in it$/],
    ['file of a database', plan(undefined, { migrations: [file, { ...file, database: 'x' }] }), /001_a in x is gone/],
    ['SQL', plan([create('create role a superuser')]), /^ensure: create role a .* what would be done is not the same$/],
    ['reason', plan([{ ...create('create role a'), reason: 'why not' }]), /for another reason: why not$/],
    ['number', plan([create('create role a'), create('create role a')]), /in another order or another number$/],
    ['step', plan(undefined, { steps: [...plan().steps, { name: 'x', deferred: false, changes: [] }] }), /no step x$/],
  ] as const)
    test(`differ by their ${what}`, () => {
      expect(compared(reviewed)).toEqual([expect.stringMatching(expected)])
    })

  test('differ by what is not needed any more, and by what is new', () => {
    expect(compared(plan(), plan([]))).toEqual(['ensure: create role a is not needed any more'])
    expect(compared(plan([]))).toEqual(['ensure: create role a (does not exist) is not in it'])
  })

  test('do not differ by the sizes in the reason of a backup', () => {
    const backUp = (reason: string) => plan([{ action: 'back up', object: 'database shop', reason }])
    expect(compared(backUp('1 MB'), backUp('2 MB'))).toEqual([])
  })

  test('may be for another server or database', () => {
    expect(elsewhere(plan(), plan())).toBeUndefined()
    expect(elsewhere(plan(undefined, { system_identifier: null }), plan())).toMatch(/another server.* unknown, .* 1$/)
    expect(elsewhere(plan(undefined, { database: 'b' }), plan())).toBe('it was made for the database b, not for shop')
  })
})
