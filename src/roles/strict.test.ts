import { expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'
import { freshDatabase } from './fresh.ts'
import { planGrants } from './plan-grants.ts'
import { databaseSql } from './statements.ts'
import { lossesOf, unaccepted } from './strict.ts'
import type { CurrentDatabase, CurrentObject } from './types.ts'

const session = { name: 'admin', superuser: true, createRole: true, createDatabase: true }
const fresh = freshDatabase(session, { major: 18, owner: 'd_owner' })
const current: CurrentDatabase = {
  ...fresh,
  schemas: [
    { name: 'public', owner: 'pg_database_owner', publicMayCreate: false },
    { name: 's', owner: 's_owner', publicMayCreate: false },
  ],
}

const object = (kind: CurrentObject['kind'], acl: string[], more: Partial<CurrentObject> = {}): CurrentObject => ({
  kind,
  schema: 's',
  name: kind === 'schema' ? 's' : 'x',
  arguments: kind === 'routine' ? '' : null,
  column: null,
  owner: 'd_owner',
  acl: acl.map((text) => {
    const [grantee, privilege, grantor = 'd_owner'] = text.split(' ') as [string, string, string?]
    return { grantee, privilege, grantor, grantable: privilege === privilege.toLowerCase() }
  }),
  ...more,
})

const desired = (grants: object[] = [], manage: object = {}) =>
  desiredRoles(
    configSchema.parse({
      manage: { privileges: 'strict', ...manage },
      roles: { a: null, ext: { external: true } },
      databases: { d: { owner: 'd_owner', schemas: { s: { grants } } } },
    }),
  )
const plan = (objects: CurrentObject[], declared = desired(), more: Partial<CurrentDatabase> = {}) =>
  planGrants(declared, 'd', { ...current, ...more, objects })
const sql = (...given: Parameters<typeof plan>) => plan(...given).actions.flatMap(({ payload }) => databaseSql(payload))

test('whoever the file does not name has nothing in declared schemas', () => {
  expect(sql([object('table', ['bi SELECT', 'a SELECT', 'PUBLIC SELECT'])])).toEqual([
    'revoke SELECT on table "s"."x" from "bi"',
    'revoke SELECT on table "s"."x" from "a"',
    'revoke SELECT on table "s"."x" from public',
  ])
})

test.for(['declared', 'additive'])('that is so only with strict, not with %s', (privileges) => {
  expect(sql([object('table', ['bi SELECT', 'PUBLIC SELECT'])], desired([], { privileges }))).toEqual([])
})

test.for([
  [
    'a role of a hosted service',
    object('table', ['rds_superuser SELECT', 'cloudsqladmin SELECT', 'azure_pg_admin SELECT']),
  ],
  ['a predefined role', object('table', ['pg_monitor SELECT'])],
  ['an external role', object('table', ['ext SELECT'])],
  ['the owner of the schema', object('table', ['s_owner SELECT'])],
  ['the owner of the database', object('table', ['d_owner SELECT'], { owner: 'other' })],
  ['the user that we connect as', object('table', ['admin SELECT'])],
  ['what PostgreSQL gives to PUBLIC on routines', object('routine', ['PUBLIC EXECUTE'])],
  ['what PostgreSQL gives to PUBLIC on types', object('type', ['PUBLIC USAGE'])],
  ['a schema that is not declared', object('table', ['bi SELECT'], { schema: 'other' })],
  ['what is in no schema', object('language', ['bi USAGE'], { schema: null })],
] satisfies [string, CurrentObject][])('left alone: %s', ([, one]) => {
  expect(sql([one])).toEqual([])
})

test('what PostgreSQL gives to PUBLIC goes where the file says what PUBLIC shall have of that kind', () => {
  const some = desired([{ to: 'PUBLIC', on: 'routine', names: ['y'], privileges: ['EXECUTE'] }])
  expect(
    sql(
      [
        object('routine', ['PUBLIC EXECUTE']),
        object('routine', ['PUBLIC EXECUTE'], { name: 'y' }),
        object('type', ['PUBLIC USAGE']),
      ],
      some,
    ),
  ).toEqual(['revoke EXECUTE on routine "s"."x"() from public'])
})

test('default privileges of the schema go, those of the whole database stay', () => {
  const row = { creator: 'd_owner', kind: 'table' as const, grantee: 'bi', privilege: 'SELECT', grantable: false }
  expect(
    sql([], desired(), {
      defaults: [
        { ...row, schema: 's' },
        { ...row, schema: null },
      ],
    }),
  ).toEqual(['alter default privileges for role "d_owner" in schema "s" revoke SELECT on tables from "bi"'])
})

test('who would lose something, and is not accepted, is named; what is declared absent is no surprise', () => {
  const objects = [object('table', ['bi SELECT', 'cdc SELECT', 'a SELECT']), object('routine', ['PUBLIC EXECUTE'])]
  const absent = [{ to: 'PUBLIC', on: 'routine', privileges: ['EXECUTE'], ensure: 'absent' }]
  const losses = (manage: object) => {
    const declared = desired(absent, manage)
    return lossesOf(declared, plan(objects, declared))
  }
  expect([...losses({}).keys()]).toEqual(['bi', 'cdc'])
  expect([...losses({ strictAccept: ['bi', 'cdc'] }).keys()]).toEqual([])
  expect(unaccepted(losses({ strictAccept: ['cdc'] }))).toMatchObject({
    kind: 'roles',
    message: 'manage.privileges: strict takes privileges from a role that the file does not name: bi (1 change)',
    hint: expect.stringContaining('manage.strictAccept: [bi]'),
  })
})
