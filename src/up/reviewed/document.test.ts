import { describe, expect, test } from 'vitest'
import { parsePlan, reviewedChange } from './document.ts'

const plan = {
  schema_version: 1,
  pgbosun_version: '1.0.0',
  planned_at: '2026-11-30T11:00:00Z',
  system_identifier: null,
  database: 'shop',
  server_major: 18,
  configuration_sha256: 'c',
  migrations: [{ name: '001_a', sha256: 'a' }],
  seeds: [],
  steps: [{ name: 'ensure', deferred: false, changes: [{ action: 'create', object: 'role a', reason: 'r' }] }],
}

describe('the file of a plan', () => {
  test('is read as it was written', () => {
    expect(parsePlan(JSON.stringify(plan))).toEqual(plan)
  })

  for (const [field, value] of Object.entries({
    pgbosun_version: 1,
    planned_at: 'yesterday',
    system_identifier: 7,
    database: null,
    server_major: '18',
    configuration_sha256: undefined,
    migrations: [{ name: '001_a' }],
    seeds: {},
    steps: [
      { name: 'ensure', deferred: false, changes: [{ action: 'create', object: 'x', reason: 'r', sql: 'drop' }] },
    ],
  }))
    test(`is refused when its ${field} is not what it should be`, () => {
      expect(parsePlan(JSON.stringify({ ...plan, [field]: value }))).toBe(`has no valid ${field}`)
    })

  test('is refused when it is something else, or of another version', () => {
    for (const text of ['[]', 'null', '{"schema_version":1}', '{"steps":[]}'])
      expect(parsePlan(text)).toBe('is not a plan of pgbosun')
    expect(parsePlan('{')).toBe('is not JSON, or not all of it is there')
    expect(parsePlan(JSON.stringify({ ...plan, schema_version: 3 }))).toMatch(/^has version 3/)
  })

  test('has nothing of a change but what is reviewed', () => {
    const change = { action: 'grant', object: 'x', reason: 'r' }
    expect(reviewedChange({ ...change, atoms: [], implied: true })).toEqual(change)
  })
})
