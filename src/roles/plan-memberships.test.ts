import { describe, expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'
import { planMemberships, refuseOptions } from './plan-memberships.ts'
import { clusterSql } from './statements.ts'
import type { CurrentCluster, CurrentMembership } from './types.ts'

const session = { name: 'postgres', superuser: true, createRole: true, createDatabase: true }
const cluster = (major: number, memberships: CurrentMembership[]): CurrentCluster => ({
  major,
  session,
  scramIterations: 4096,
  roles: [],
  verifiers: new Map(),
  memberships,
  settings: [],
  databases: [],
  leftovers: [],
})
const row = (text: string, more: Partial<CurrentMembership> = {}): CurrentMembership => {
  const options = new Set(text.split(' '))
  return {
    role: 'g',
    member: 'm',
    grantor: 'postgres',
    grantedByBootstrap: true,
    admin: options.has('admin'),
    inherit: options.has('inherit'),
    set: options.has('set'),
    ...more,
  }
}
const desired = (membership: unknown, manage = 'declared') =>
  desiredRoles(
    configSchema.parse({ manage: { privileges: manage }, roles: { g: null, m: { memberOf: [membership] } } }),
  )
const plan = (membership: unknown, rows: CurrentMembership[], { major = 18, manage = 'declared' } = {}) =>
  planMemberships(desired(membership, manage), cluster(major, rows)).map(
    ({ change, payload }) => `${clusterSql(payload)}: ${change.reason}`,
  )

describe('from PostgreSQL 16 on', () => {
  test.for([
    ['g', [], ['grant "g" to "m" with admin false, inherit true, set true: is not a member']],
    [
      { role: 'g', admin: true, inherit: false },
      [],
      ['grant "g" to "m" with admin true, inherit false, set true: is not a member'],
    ],
    [{ role: 'g', admin: true, inherit: false }, [row('admin set')], []],
    [
      { role: 'g', admin: true, inherit: false },
      [row('set')],
      ['grant "g" to "m" with admin true, inherit false, set true: the membership lacks ADMIN'],
    ],
    [
      { role: 'g', set: false },
      [row('inherit set admin')],
      [
        'grant "g" to "m" with admin false, inherit true, set false granted by "postgres": the admin and set options are not declared',
      ],
    ],
    [
      { role: 'g', inherit: false },
      [row('inherit set', { grantor: 'x', grantedByBootstrap: false }), row('set')],
      ['grant "g" to "m" with admin false, inherit false, set true granted by "x": the inherit option is not declared'],
    ],
    // what PostgreSQL gives to the creator of a role is all that is declared
    [{ role: 'g', admin: true, inherit: false, set: false }, [row('admin')], []],
    [{ role: 'g', admin: false, inherit: false, set: false }, [row('')], []],
  ] satisfies [unknown, CurrentMembership[], string[]][])('%j with %j', ([membership, rows, sql]) => {
    expect(plan(membership, rows)).toEqual(sql)
  })

  test('additive only adds options, and keeps those that are there', () => {
    const additive = { manage: 'additive' }
    expect(plan({ role: 'g', inherit: false }, [row('admin inherit set')], additive)).toEqual([])
    expect(plan({ role: 'g', admin: true, inherit: false }, [row('inherit set')], additive)).toEqual([
      'grant "g" to "m" with admin true, inherit true, set true: the membership lacks ADMIN',
    ])
  })
})

describe('up to PostgreSQL 15', () => {
  test('ADMIN is the only option', () => {
    const old = { major: 15 }
    expect(plan({ role: 'g', admin: true }, [], old)).toEqual(['grant "g" to "m" with admin option: is not a member'])
    expect(plan({ role: 'g', admin: true }, [row('set inherit')], old)).toEqual([
      'grant "g" to "m" with admin option: the membership lacks ADMIN',
    ])
    expect(plan({ role: 'g', admin: true }, [row('set admin')], old)).toEqual([])
    expect(plan('g', [row('set admin inherit')], old)).toEqual([
      'revoke admin option for "g" from "m": the admin option is not declared',
    ])
  })

  test.for(['inherit', 'set'])('%s: false is refused', (option) => {
    const declared = desired({ role: 'g', [option]: false })
    expect(() => refuseOptions(declared, 16)).not.toThrow()
    expect(() => refuseOptions(declared, 15)).toThrow(
      `the membership of m in g is declared with ${option}: false, which PostgreSQL 15 does not have`,
    )
  })
})

test('members is the same as memberOf on the other side; two declarations must agree', () => {
  const of = (config: object) => desiredRoles(configSchema.parse(config)).memberships
  expect(of({ roles: { g: { members: ['a', { role: 'b', admin: true }] } }, users: { a: {}, b: {} } })).toEqual([
    { role: 'g', member: 'a' },
    { role: 'g', member: 'b', admin: true },
  ])
  const both = (memberOf: unknown) => ({ roles: { g: { members: ['a'] } }, users: { a: { memberOf: [memberOf] } } })
  expect(of(both('g'))).toEqual([{ role: 'g', member: 'a' }])
  expect(() => of(both({ role: 'g', admin: true }))).toThrow(
    'the membership of a in g is declared twice, with different options',
  )
  expect(() => of({ roles: { g: { members: ['nobody'] } } })).toThrow('roles.g.members refers to the role nobody')
})

test('a user that acts as a role need not inherit from it, but be able to SET ROLE', () => {
  const of = (membership: object) =>
    desiredRoles(configSchema.parse({ roles: { g: null }, users: { a: { actsAs: 'g', memberOf: [membership] } } }))
      .memberships
  expect(of({ role: 'g', inherit: false })).toEqual([{ role: 'g', member: 'a', inherit: false }])
  expect(() => of({ role: 'g', set: false })).toThrow('declared twice')
})
