import { expect, test } from 'vitest'
import { compare, wantedFrom } from './conditions.ts'
import { type HealthInput, judgeHealth } from './health.ts'

const fine: HealthInput = {
  connectionError: null,
  findings: compare(wantedFrom({ tables: [], indexes: [], columns: {}, foreignKeys: [] }), {
    tables: [],
    columns: [],
    indexes: [],
    foreignKeys: [],
    notValidated: [],
    someTables: [],
  }),
  migrations: {
    initialized: true,
    appliedCount: 1,
    currentVersion: '001_create_initial_schema',
    pending: [],
    problems: [],
    warnings: [],
  },
  drift: [],
}

test('a database as declared is healthy', () => {
  const health = judgeHealth(fine)
  expect(health).toMatchObject({ healthy: true, failure: undefined, errors: [], warnings: [] })
  expect(health.lines.join('\n')).toMatchInlineSnapshot(`
    "connection   ok
    migrations   1 applied, at 001_create_initial_schema
    tables       ok
    columns      ok
    indexes      ok
    foreign keys ok
    roles        as declared"
  `)
})

test('the permanent fields have their names', () => {
  expect(judgeHealth(fine).fields).toMatchObject({
    initialized: true,
    current_version: '001_create_initial_schema',
    pending_migrations: [],
    applied_migrations: 1,
    schema_valid: true,
    schema_issues: [],
    connectivity: { ok: true, error: null },
    tables: { ok: true, missing: [] },
    indexes: { ok: true, missing: [] },
    overall_healthy: true,
  })
})

test('roles that could not be compared are not reported as declared', () => {
  const roles = (uncompared: string[]) =>
    judgeHealth({ ...fine, uncompared }).lines.find((line) => line.startsWith('roles'))
  expect(roles(['the password of app'])).toBe('roles        as declared; not compared: the password of app')
  expect(roles(['everything'])).toBe('roles        not compared')
})

test('every kind of difference is an error, but a warning is not', () => {
  const health = judgeHealth({
    ...fine,
    findings: {
      ...fine.findings!,
      tables: { ok: false, missing: ['users', 'games'] },
      errors: ['table users is missing', 'table games is missing'],
      warnings: ['index a of b is invalid'],
    },
    migrations: {
      ...fine.migrations,
      pending: ['002_b', '003_c'],
      problems: [{ code: 'edited', name: '001_a', detail: 'was changed after it was applied' }],
      warnings: ['the database is ahead'],
    },
    drift: [{ action: 'grant', object: 'select on users to reader', reason: 'declared' }],
  })
  expect(health).toMatchObject({
    healthy: false,
    failure: 'unhealthy',
    errors: [
      'table users is missing',
      'table games is missing',
      'migration 001_a was changed after it was applied',
      '2 migrations pending: 002_b, 003_c',
      'roles: grant select on users to reader (declared)',
    ],
    warnings: ['the database is ahead', 'index a of b is invalid'],
    fields: {
      schema_valid: false,
      schema_issues: ['table users is missing', 'table games is missing'],
      migrations: { ok: false },
      roles: { ok: false },
      overall_healthy: false,
    },
  })
  expect(health.lines.join('\n')).toMatchInlineSnapshot(`
    "connection   ok
    migrations   1 applied, at 001_create_initial_schema; 2 pending: 002_b, 003_c; 001_a was changed after it was applied
    tables       missing: users, games
    columns      ok
    indexes      ok
    foreign keys ok
    roles        1 difference: grant select on users to reader"
  `)
  expect(judgeHealth({ ...fine, migrations: { ...fine.migrations, warnings: ['ahead'] } }).healthy).toBe(true)
})

test('without a connection nothing is reported as fine', () => {
  const health = judgeHealth({
    connectionError: 'connection refused',
    findings: undefined,
    migrations: { ...fine.migrations, initialized: false, appliedCount: 0, currentVersion: undefined },
    drift: [],
  })
  expect(health.fields).toMatchObject({
    current_version: null,
    schema_valid: false,
    connectivity: { ok: false, error: 'connection refused' },
    tables: { ok: false, missing: [] },
    indexes: { ok: false, missing: [] },
    migrations: { ok: false },
    roles: { ok: false },
    overall_healthy: false,
  })
  expect(health.lines).toEqual(['connection   failed: connection refused'])
})
