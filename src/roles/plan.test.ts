import { expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { makeVerifier } from '../postgres/scram.ts'
import { desiredRoles } from './desired.ts'
import { isConcurrentChange } from './errors.ts'
import { planCluster } from './plan-cluster.ts'
import { planDatabase } from './plan-database.ts'
import { planGrants } from './plan-grants.ts'
import { clusterSql, databaseSql } from './statements.ts'
import type { AclEntry, CurrentCluster, CurrentDatabase, CurrentObject } from './types.ts'

const desired = desiredRoles(
  configSchema.parse({
    users: { ann: { password: { env: 'X' }, validUntil: '2030-01-01T00:00:00Z' } },
    databases: {
      shop: {
        connectionLimit: 9,
        create: { encoding: 'LATIN1' },
        users: { app: { preset: 'app' }, ro: { preset: 'readonly' } },
      },
    },
  }),
)
const secrets = new Map([['ann', { password: 'pencil', prepared: 'pencil' }]])
const zeros = (size: number) => Buffer.alloc(size)
const session = { name: 'postgres', superuser: true, createRole: true, createDatabase: true }
const nothing: CurrentCluster = {
  major: 18,
  session,
  scramIterations: 4096,
  roles: [],
  verifiers: new Map(),
  memberships: [],
  settings: [],
  databases: [],
  leftovers: ['shop__create_0a1b2c3d', 'shop__create_0a1b2c3de', 'shopping__create_0a1b2c3d'],
}

test('an empty server gets everything, in an order that works', () => {
  const plan = planCluster(desired, nothing, secrets, zeros)
  expect(plan.actions.flatMap(({ payload }) => clusterSql(payload))).toMatchInlineSnapshot(`
    [
      "drop database if exists "shop__create_0a1b2c3d" with (force)",
      "create role "shop_owner" nologin",
      "create role "ann" login",
      "alter role "ann" valid until '2030-01-01T00:00:00.000Z'",
      "create role "app" login",
      "create role "ro" login",
      "grant "shop_owner" to "app" with admin false, inherit true, set true",
      "alter role "ann" password 'SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$cYb24178IFPJfwkjIWWOe5UyMYsPha0jpvVheOzD7fM=:VwyhxkJCO8QGAizhocQO03bRswvgJ9KCi+BMFMz6uvY='",
      "create database "shop__create_00000000" owner "shop_owner" template "template0" encoding 'LATIN1'",
      "revoke all on database "shop__create_00000000" from public; alter database "shop__create_00000000" rename to "shop"",
      "alter database "shop" connection limit 9",
      "grant CONNECT on database "shop" to "ro"",
      "alter role "app" set "role" to 'shop_owner'",
      "alter role "ro" set "default_transaction_read_only" to 'on'",
      "alter role "ro" set "statement_timeout" to '5min'",
      "alter role "ro" set "idle_in_transaction_session_timeout" to '5min'",
    ]
  `)
})

test('what is as declared is not changed, and what cannot be changed is a warning', () => {
  const verifier = makeVerifier('pencil', { salt: Buffer.alloc(16, 1), iterations: 5000 })
  const role = (name: string, login: boolean) => ({
    name,
    login,
    inherits: true,
    bypassRls: false,
    createRole: false,
    createDb: false,
    replication: false,
    superuser: false,
    connectionLimit: -1,
    validUntil: 'infinity' as const,
  })
  const plan = planCluster(
    desired,
    {
      ...nothing,
      leftovers: [],
      roles: [
        role('shop_owner', true),
        { ...role('ann', true), validUntil: Date.parse('2030-01-01') },
        role('app', true),
        role('ro', true),
      ],
      verifiers: new Map([['ann', verifier]]),
      memberships: [
        {
          role: 'shop_owner',
          member: 'app',
          grantor: 'postgres',
          grantedByBootstrap: true,
          admin: false,
          inherit: true,
          set: true,
        },
        // The membership that PostgreSQL 16 gives the creator of a role.
        {
          role: 'ro',
          member: 'ann',
          grantor: 'postgres',
          grantedByBootstrap: true,
          admin: true,
          inherit: false,
          set: false,
        },
      ],
      settings: desired.settings.map(({ role, database, name, value }) => ({
        role,
        database,
        name,
        value: [value].flat().join(', '),
      })),
      databases: [
        {
          name: 'shop',
          owner: 'shop_owner',
          connectionLimit: 9,
          encoding: 'UTF8',
          collate: 'C',
          localeProvider: 'libc',
          icuLocale: null,
          acl: [{ grantee: 'ro', grantor: 'shop_owner', privilege: 'CONNECT', grantable: false }],
        },
      ],
    },
    secrets,
    zeros,
  )
  expect(plan.changes).toEqual([])
  expect(plan.warnings).toEqual([
    'database shop has encoding UTF8, declared LATIN1: that cannot be changed after creation',
  ])
})

test('a password that some clients would send differently is a warning', () => {
  const unusual = new Map([['ann', { password: 'ﬁsh', prepared: 'fish' }]])
  expect(planCluster(desired, nothing, unusual, zeros).warnings).toEqual([
    'the password of role ann has characters that SASLprep changes: clients that skip it cannot log in',
  ])
})

test('memberships are converged one grantor at a time', () => {
  const row = { role: 'shop_owner', member: 'app', grantedByBootstrap: false, admin: false, inherit: true, set: true }
  const memberships = [
    { ...row, grantor: 'x', admin: true },
    { ...row, role: 'ro', grantor: 'x' },
    { ...row, role: 'ro', grantor: 'y' },
  ]
  const sql = (major: number) =>
    planCluster(desired, { ...nothing, major, memberships, leftovers: [] }, new Map(), zeros)
      .actions.filter(
        ({ payload }) => (payload.do.endsWith('e role') && 'member' in payload) || payload.do === 'grant role',
      )
      .flatMap(({ payload }) => clusterSql(payload))
  expect(sql(16)).toEqual([
    'revoke "ro" from "app" granted by "x"',
    'revoke "ro" from "app" granted by "y"',
    'grant "shop_owner" to "app" with admin false, inherit true, set true granted by "x"',
  ])
  expect(sql(15).at(-1)).toBe('revoke admin option for "shop_owner" from "app"')
})

test('an external role, and a role of a later version of PostgreSQL, must exist', () => {
  const of = (configuration: object) => () =>
    planCluster(desiredRoles(configSchema.parse(configuration)), { ...nothing, major: 13 }, new Map(), zeros)
  expect(of({ roles: { rds_iam: { external: true } } })).toThrow(
    'the role rds_iam does not exist on this server (PostgreSQL 13)',
  )
  expect(of({ users: { a: { memberOf: ['pg_read_all_data'] } } })).toThrow('the role pg_read_all_data does not exist')
  expect(of({ users: { a: { configIn: { gone: { jit: false } } } } })).toThrow('a.configIn names the database gone')
})

test('a new name with a line break is refused where the server refuses it: from 19 on', () => {
  const odd = desiredRoles(configSchema.parse({ roles: { 'a\nb': {} }, databases: { 'c\rd': { owner: 'e' } } }))
  const plan = (current: Partial<CurrentCluster>) => planCluster(odd, { ...nothing, ...current }, new Map(), zeros)
  expect(() => plan({ major: 18 })).not.toThrow()
  const what = (name: string) => `the name of the ${name} has a line break, which PostgreSQL 19 does not accept`
  expect(() => plan({ major: 19 })).toThrow(expect.objectContaining({ kind: 'usage', message: what('role "a\\nb"') }))
  // It was made by an older server.
  const roles = odd.roles.map(({ name }) => builtIn(name))
  expect(() => plan({ major: 19, roles })).toThrow(what('database "c\\rd"'))
})

test('passwords that may not be compared are refused', () => {
  expect(() => planCluster(desired, { ...nothing, verifiers: undefined }, secrets, zeros)).toThrow(
    expect.objectContaining({ kind: 'refused', message: expect.stringContaining('postgres may not read pg_authid') }),
  )
})

const acl = (grantee: string, privilege: string, grantor = 'shop_owner', grantable = false): AclEntry => ({
  grantee,
  privilege,
  grantor,
  grantable,
})
const object = (
  kind: CurrentObject['kind'],
  name: string,
  entries: AclEntry[],
  more: Partial<CurrentObject> = {},
): CurrentObject => ({
  kind,
  schema: 'public',
  name,
  arguments: null,
  column: null,
  owner: 'shop_owner',
  acl: entries,
  ...more,
})
const database: CurrentDatabase = {
  major: 14,
  session,
  owner: 'shop_owner',
  publicMayConnect: false,
  schemas: [{ name: 'public', owner: 'postgres', publicMayCreate: true }],
  extensions: [],
  extensionsWithSchema: [],
  unwantedExtensions: [],
  objects: [],
  defaults: [],
  changedDefaults: [],
}

test('in a database that we created, the owner gets schema public, and nobody else may create objects there', () => {
  const sql = (current: CurrentDatabase) =>
    planDatabase(desired, 'shop', current).actions.flatMap(({ payload }) => databaseSql(payload))
  expect(sql(database)).toEqual([
    'alter schema "public" owner to "shop_owner"',
    'revoke create on schema "public" from public',
  ])
  expect(sql({ ...database, publicMayConnect: true })).toEqual(['alter schema "public" owner to "shop_owner"'])
  expect(
    sql({ ...database, schemas: [{ name: 'public', owner: 'pg_database_owner', publicMayCreate: false }] }),
  ).toEqual([])
})

test('grants come before revokes, in as few statements as possible, each revoke by its grantor', () => {
  const plan = planGrants(desired, 'shop', {
    ...database,
    objects: [
      object('schema', 'public', [acl('ro', 'USAGE'), acl('stranger', 'CREATE'), acl('PUBLIC', 'USAGE')]),
      object('table', 'a', []),
      object('table', 'b', [acl('ro', 'INSERT'), acl('ro', 'UPDATE', 'middle'), acl('stranger', 'SELECT')]),
      object('table', 'b', [acl('ro', 'UPDATE')], { column: 'x' }),
      object('table', 'c', [acl('ro', 'SELECT', 'shop_owner', true)]),
      object('table', 'own', [], { owner: 'ro' }),
      object('routine', 'f', [acl('ro', 'EXECUTE'), acl('PUBLIC', 'EXECUTE')], { arguments: 'integer' }),
    ],
    defaults: [
      { creator: 'shop_owner', schema: 'public', kind: 'table', grantee: 'ro', privilege: 'SELECT', grantable: false },
      { creator: 'shop_owner', schema: null, kind: 'table', grantee: 'ro', privilege: 'INSERT', grantable: false },
      { creator: 'stranger', schema: null, kind: 'table', grantee: 'ro', privilege: 'INSERT', grantable: false },
    ],
  })
  expect(plan.actions.flatMap(({ payload }) => databaseSql(payload))).toMatchInlineSnapshot(`
    [
      "grant SELECT on table "public"."a", "public"."b" to "ro"",
      "alter default privileges for role "shop_owner" in schema "public" grant SELECT on sequences to "ro"",
      "set local role "middle"",
      "revoke UPDATE on table "public"."b" from "ro"",
      "set local role none",
      "revoke UPDATE ("x") on table "public"."b" from "ro"",
      "revoke INSERT on table "public"."b" from "ro"",
      "revoke grant option for SELECT on table "public"."c" from "ro"",
      "revoke EXECUTE on routine "public"."f"(integer) from "ro"",
      "alter default privileges for role "shop_owner" revoke INSERT on tables from "ro"",
    ]
  `)
  expect(plan.changes.map(({ action, object, reason }) => `${action} ${object}: ${reason}`)).toMatchInlineSnapshot(`
    [
      "grant SELECT on 2 tables in public to ro: is missing on a, b",
      "grant SELECT on future sequences of shop_owner in public to ro: is missing",
      "revoke UPDATE on table public.b from ro: is not declared",
      "revoke UPDATE on column x of table public.b from ro: is not declared",
      "revoke INSERT on table public.b from ro: is not declared",
      "revoke the grant option of SELECT on table public.c from ro: is not declared",
      "revoke EXECUTE on routine public.f(integer) from ro: is not declared",
      "revoke INSERT on future tables of shop_owner from ro: is not declared",
    ]
  `)
  expect(plan.warnings).toEqual([
    'stranger may create objects in schema public, but no default privileges are declared for them: add stranger to `creators`',
  ])
})

test.each([
  [{ code: 'XX000', message: 'tuple concurrently updated' }, true],
  [{ code: 'XX000', message: 'cache lookup failed' }, false],
  [{ code: '23505', constraint_name: 'pg_authid_rolname_index' }, true],
  [{ code: '23505', constraint_name: 'users_pkey' }, false],
  [{ code: '40P01' }, true],
  [{ code: '42501' }, false],
  [new Error('x', { cause: { code: '42710' } }), true],
  [new Error('x'), false],
])('errors after which to plan again are recognised: %#', (error, concurrent) => {
  expect(isConcurrentChange(error)).toBe(concurrent)
})

const visiting = desiredRoles(
  configSchema.parse({
    users: { keeper: { preset: 'backup' }, watch: { preset: 'monitor' } },
    databases: { shop: { users: { app: { preset: 'app' } } } },
  }),
)
const maintenance = {
  name: 'postgres',
  owner: 'postgres',
  connectionLimit: -1,
  encoding: 'UTF8',
  collate: 'C',
  localeProvider: 'libc',
  icuLocale: null,
  acl: [],
}
const builtIn = (name: string) => ({
  name,
  login: false,
  inherits: true,
  bypassRls: false,
  createRole: false,
  createDb: false,
  replication: false,
  superuser: false,
  connectionLimit: -1,
  validUntil: 'infinity' as const,
})

test.for([
  [13, ['pg_monitor'], []],
  [
    18,
    ['pg_monitor', 'pg_read_all_data'],
    ['grant "pg_read_all_data" to "keeper" with admin false, inherit true, set true'],
  ],
  [
    19,
    ['pg_monitor', 'pg_read_all_data'],
    ['grant "pg_read_all_data" to "keeper" with admin false, inherit true, set true'],
  ],
] as const)('presets for the whole server, on PostgreSQL %i', ([major, existing, membership]) => {
  const current = { ...nothing, leftovers: [], major, roles: existing.map(builtIn), databases: [maintenance] }
  const statements = planCluster(visiting, current, new Map(), zeros).actions.flatMap(({ payload }) =>
    clusterSql(payload),
  )
  expect(statements.filter((statement) => /keeper/.test(statement))).toEqual([
    'create role "keeper" login',
    'alter role "keeper" bypassrls',
    ...membership,
    'grant CONNECT on database "shop" to "keeper"',
    'grant CONNECT on database "postgres" to "keeper"',
    // From 19 on, pg_read_all_data covers large objects.
    ...(major < 19 ? ['alter role "keeper" set "lo_compat_privileges" to \'on\''] : []),
    'alter role "keeper" set "default_transaction_read_only" to \'on\'',
  ])
  expect(
    statements.filter((statement) => /watch/.test(statement)).map((one) => one.replace(/ with admin.*/, '')),
  ).toEqual([
    'create role "watch" login',
    'alter role "watch" connection limit 5',
    'grant "pg_monitor" to "watch"',
    'grant CONNECT on database "shop" to "watch"',
    'grant CONNECT on database "postgres" to "watch"',
    'alter role "watch" set "statement_timeout" to \'10s\'',
    'alter role "watch" set "default_transaction_read_only" to \'on\'',
    'alter role "watch" set "search_path" to \'pg_catalog\', \'public\'',
  ])
})

test('on PostgreSQL 13, roles that read everything get grants in every schema; nothing is revoked in undeclared ones', () => {
  const objects: CurrentObject[] = ['legacy', 'public'].flatMap((schema) => [
    { kind: 'schema', schema, name: schema, arguments: null, column: null, owner: 'postgres', acl: [] },
    {
      kind: 'table',
      schema,
      name: 'items',
      arguments: null,
      column: null,
      owner: 'postgres',
      acl: [{ grantee: 'watch', grantor: 'postgres', privilege: 'SELECT', grantable: false }],
    },
    { kind: 'sequence', schema, name: 'items_id_seq', arguments: null, column: null, owner: 'postgres', acl: [] },
  ])
  const current: CurrentDatabase = {
    major: 13,
    session,
    owner: 'shop_owner',
    publicMayConnect: false,
    schemas: ['legacy', 'public'].map((name) => ({ name, owner: 'postgres', publicMayCreate: false })),
    extensions: [],
    extensionsWithSchema: [],
    unwantedExtensions: [],
    objects,
    defaults: [],
    changedDefaults: [],
  }
  const statements = planGrants(visiting, 'shop', current).actions.flatMap(({ payload }) => databaseSql(payload))
  expect(statements).toEqual([
    'grant USAGE on schema "legacy" to "keeper"',
    'grant SELECT on table "legacy"."items" to "keeper"',
    'grant SELECT on sequence "legacy"."items_id_seq" to "keeper"',
    'grant USAGE on schema "public" to "keeper"',
    'grant SELECT on table "public"."items" to "keeper"',
    'grant SELECT on sequence "public"."items_id_seq" to "keeper"',
    'revoke SELECT on table "public"."items" from "watch"',
  ])
  expect(planGrants(visiting, 'shop', { ...current, major: 14 }).actions).toHaveLength(1)
})
