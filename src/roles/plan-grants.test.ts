import { describe, expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'
import { freshDatabase } from './fresh.ts'
import { planGrants } from './plan-grants.ts'
import { databaseSql } from './statements.ts'
import type { AclEntry, CurrentDatabase, CurrentDefault, CurrentObject } from './types.ts'

const session = { name: 'postgres', superuser: true, createRole: true, createDatabase: true }
const fresh = freshDatabase(session, { major: 18, owner: 'd_owner' })
const entry = (text: string): AclEntry => {
  const [grantee, privilege, option] = text.split(' ') as [string, string, string?]
  return { grantee, privilege, grantor: 'd_owner', grantable: option !== undefined }
}
const object = (kind: CurrentObject['kind'], name: string, acl: string[], more: Partial<CurrentObject> = {}) => ({
  kind,
  schema: 's',
  name,
  arguments: null,
  column: null,
  owner: 'd_owner',
  acl: acl.map(entry),
  ...more,
})
const desired = (schema: object, more: object = {}, privileges = 'declared') =>
  desiredRoles(
    configSchema.parse({
      manage: { privileges },
      roles: { a: null },
      databases: { d: { owner: 'd_owner', schemas: { s: schema }, ...more } },
    }),
  )
const planned = (declared: ReturnType<typeof desired>, current: Partial<CurrentDatabase>) =>
  planGrants(declared, 'd', {
    ...fresh,
    schemas: [{ name: 's', owner: 'd_owner', publicMayCreate: false }],
    ...current,
  })
const sql = (...[declared, current]: Parameters<typeof planned>) =>
  planned(declared, current).actions.flatMap(({ payload }) => databaseSql(payload))

describe('columns', () => {
  const columns = { to: 'a', on: 'table', names: ['t'], columns: ['x', 'y'], privileges: ['SELECT'] }
  const [table, x, y] = [
    (acl: string[]) => object('table', 't', acl),
    (acl: string[]) => object('table', 't', acl, { column: 'x' }),
    (acl: string[]) => object('table', 't', acl, { column: 'y' }),
  ]

  test('are granted where they are missing, and nothing is done where they are there', () => {
    const declared = desired({ grants: [columns] })
    expect(sql(declared, { objects: [table([]), x([]), y(['a SELECT'])] })).toEqual([
      'grant SELECT ("x") on table "s"."t" to "a"',
    ])
    expect(sql(declared, { objects: [table([]), x(['a SELECT']), y(['a SELECT'])] })).toEqual([])
  })

  test('are granted again after the table as a whole was revoked, which revokes them too', () => {
    const objects = [table(['a SELECT']), x(['a SELECT']), y([])]
    expect(sql(desired({ grants: [columns] }), { objects })).toEqual([
      'revoke SELECT on table "s"."t" from "a"',
      'grant SELECT ("x") on table "s"."t" to "a"',
      'grant SELECT ("y") on table "s"."t" to "a"',
    ])
  })

  test('may be granted of a table whose privilege as a whole is absent', () => {
    const absent = { to: 'a', on: 'table', names: ['t'], privileges: ['SELECT'], ensure: 'absent' }
    const declared = desired({ access: { a: 'read' }, grants: [absent, columns] }, {}, 'additive')
    expect(sql(declared, { objects: [table(['a SELECT']), x(['a SELECT']), y(['a SELECT'])] })).toEqual([
      'alter default privileges for role "d_owner" in schema "s" grant SELECT on tables to "a"',
      'alter default privileges for role "d_owner" in schema "s" grant SELECT on sequences to "a"',
      'revoke SELECT on table "s"."t" from "a"',
      'grant SELECT ("x") on table "s"."t" to "a"',
      'grant SELECT ("y") on table "s"."t" to "a"',
    ])
  })

  test('that do not exist are a warning', () => {
    expect(planned(desired({ grants: [columns] }), { objects: [table([]), x([])] }).warnings).toEqual([
      'database d has no column y of table s.t, but a grant to a names it',
    ])
  })
})

describe('the grant option', () => {
  const declared = desired({ grants: [{ to: 'a', on: 'table', privileges: ['SELECT'], grantOption: true }] })
  test.for([
    [[], ['grant SELECT on table "s"."t" to "a" with grant option']],
    [['a SELECT'], ['grant SELECT on table "s"."t" to "a" with grant option']],
    [['a SELECT *'], []],
    [['a SELECT *', 'a INSERT *'], ['revoke INSERT on table "s"."t" from "a"']],
  ] satisfies [string[], string[]][])('with %j', ([acl, expected]) => {
    expect(sql(declared, { objects: [object('table', 't', acl)] })).toEqual(expected)
  })
})

describe('ensure: absent', () => {
  const absent = (to: string, on: string, privileges: string[], more = {}) =>
    desired({ grants: [{ to, on, privileges, ensure: 'absent', ...more }] }, {}, 'additive')

  test('is revoked from PUBLIC too, and nothing else is', () => {
    const f = object('routine', 'f', ['PUBLIC EXECUTE', 'b EXECUTE'], { arguments: '' })
    const { changes, actions } = planned(absent('PUBLIC', 'routine', ['EXECUTE']), { objects: [f] })
    expect(actions.flatMap(({ payload }) => databaseSql(payload))).toEqual([
      'revoke EXECUTE on routine "s"."f"() from public',
    ])
    expect(changes[0]?.reason).toBe('is declared absent')
    expect(sql(absent('PUBLIC', 'routine', ['EXECUTE']), { objects: [{ ...f, acl: [entry('b EXECUTE')] }] })).toEqual(
      [],
    )
  })

  test('is revoked with what was granted on columns', () => {
    const objects = [object('table', 't', []), object('table', 't', ['a SELECT', 'a INSERT'], { column: 'x' })]
    expect(sql(absent('a', 'table', ['SELECT']), { objects })).toEqual([
      'revoke SELECT ("x") on table "s"."t" from "a"',
    ])
  })

  test('is an exception from an access level', () => {
    const declared = desired({
      access: { a: 'read' },
      grants: [{ to: 'a', on: 'table', names: ['secret'], privileges: ['ALL'], ensure: 'absent' }],
    })
    const objects = [object('table', 'open', []), object('table', 'secret', ['a SELECT'])]
    const statements = sql(declared, { objects }).filter((one) => !one.startsWith('alter'))
    expect(statements).toEqual([
      'grant SELECT on table "s"."open" to "a"',
      'revoke SELECT on table "s"."secret" from "a"',
    ])
  })
})

test('objects that are in no schema have privileges', () => {
  const kinds = [
    ['language', 'plpgsql', 'USAGE'],
    ['foreignServer', 'erp', 'USAGE'],
    ['foreignDataWrapper', 'postgres_fdw', 'USAGE'],
  ]
  const grants = [
    ...kinds.map(([on, name, privilege]) => ({ to: 'a', on, names: [name], privileges: [privilege] })),
    { to: 'a', on: 'largeObject', names: [4711], privileges: ['ALL'] },
  ]
  const none = { schema: null }
  const objects = [
    object('foreign data wrapper', 'postgres_fdw', [], none),
    object('foreign server', 'erp', ['a USAGE'], none),
    object('foreign server', 'other', ['a USAGE'], none),
    object('language', 'plpgsql', ['PUBLIC USAGE'], none),
    object('large object', '4711', [], none),
  ]
  expect(sql(desired({}, { grants }), { objects })).toEqual([
    'grant USAGE on foreign data wrapper "postgres_fdw" to "a"',
    'grant USAGE on language "plpgsql" to "a"',
    'grant SELECT, UPDATE on large object 4711 to "a"',
    'revoke USAGE on foreign server "other" from "a"',
  ])
})

describe('default privileges for the whole database', () => {
  const noExecute = { on: 'routine', scope: 'database', to: 'PUBLIC', privileges: ['EXECUTE'], ensure: 'absent' }
  const declared = desired({ defaultPrivileges: [noExecute] })
  const revoke = 'alter default privileges for role "d_owner" revoke EXECUTE on routines from public'
  const row = (grantee: string): CurrentDefault => ({
    creator: 'd_owner',
    schema: null,
    kind: 'routine',
    grantee,
    privilege: 'EXECUTE',
    grantable: false,
  })
  const changedDefaults = [{ creator: 'd_owner', kind: 'routine' as const }]

  test('without an entry, those that are built in apply', () => {
    expect(sql(declared, {})).toEqual([revoke])
    expect(sql(declared, { changedDefaults: [{ creator: 'd_owner', kind: 'table' }] })).toEqual([revoke])
    expect(sql(declared, { changedDefaults })).toEqual([])
    expect(sql(declared, { changedDefaults, defaults: [row('PUBLIC')] })).toEqual([revoke])
  })

  test('what is built in need not be granted, and comes back where it was taken away', () => {
    const { ensure: _, ...execute } = noExecute
    const back = desired({ defaultPrivileges: [execute] })
    expect(sql(back, {})).toEqual([])
    expect(sql(back, { changedDefaults })).toEqual([
      'alter default privileges for role "d_owner" grant EXECUTE on routines to public',
    ])
  })

  test('schemas and large objects have them; large objects from PostgreSQL 18 on', () => {
    const defaultPrivileges = [
      { on: 'schema', scope: 'database', to: 'a', privileges: ['USAGE'] },
      { on: 'largeObject', scope: 'database', to: 'a', privileges: ['SELECT'] },
    ]
    expect(sql(desired({ defaultPrivileges }), {})).toEqual([
      'alter default privileges for role "d_owner" grant USAGE on schemas to "a"',
      'alter default privileges for role "d_owner" grant SELECT on large objects to "a"',
    ])
    expect(() => sql(desired({ defaultPrivileges }), { major: 17 })).toThrow(
      'there are no default privileges on large objects in PostgreSQL 17',
    )
  })
})

test.for([
  [{ grants: [{ to: 'a', on: 'routine', columns: ['x'], privileges: ['EXECUTE'] }] }, 'a routine has no columns'],
  [{ grants: [{ to: 'a', on: 'table', columns: ['x'], privileges: ['DELETE'] }] }, 'a column has no privilege DELETE'],
  [{ grants: [{ to: 'public', on: 'table', privileges: ['ALL'], grantOption: true }] }, 'PUBLIC cannot have it'],
  [{ defaultPrivileges: [{ to: 'a', on: 'schema', privileges: ['USAGE'] }] }, 'a schema is in no schema'],
  [
    { defaultPrivileges: [{ to: 'PUBLIC', on: 'routine', privileges: ['EXECUTE'], ensure: 'absent' }] },
    'what PUBLIC has on every new routine cannot be made absent in one schema',
  ],
] satisfies [object, string][])('what cannot be meant is refused: %j', ([schema, message]) => {
  expect(() => desired(schema)).toThrow(message)
})

test.for([
  [{ to: 'a', on: 'database', names: ['d'], privileges: ['CONNECT'] }, 'a grant on the database has no names'],
  [{ to: 'a', on: 'largeObject', names: ['x'], privileges: ['SELECT'] }, 'a large object has a number, not a name'],
  [{ to: 'nobody', on: 'database', privileges: ['CONNECT'] }, 'refers to the role nobody'],
] satisfies [object, string][])('of the database, too: %j', ([grant, message]) => {
  expect(() => desired({}, { grants: [grant] })).toThrow(message)
})

test('20,000 tables and a grant that names half of them are planned in seconds', { timeout: 5_000 }, () => {
  const objects = Array.from({ length: 20_000 }, (_, i) => object('table', `t${i}`, i % 2 === 0 ? ['a SELECT'] : []))
  const names = objects.filter((_, i) => i % 2 === 0).map(({ name }) => name)
  const declared = desired({ grants: [{ to: 'a', on: 'table', names: [...names, 'gone'], privileges: ['SELECT'] }] })
  const { actions, warnings } = planned(declared, { objects })
  expect(actions).toEqual([])
  expect(warnings).toEqual(['database d has no table s.gone, but a grant to a names it'])
})
