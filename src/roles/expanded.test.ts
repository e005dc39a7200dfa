import { describe, expect, test } from 'vitest'
import { parse, stringify as write } from 'yaml'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'
import { expandedConfig } from './expanded.ts'
import { freshDatabase } from './fresh.ts'
import { planCluster } from './plan-cluster.ts'
import { planDatabase } from './plan-database.ts'
import { planGrants } from './plan-grants.ts'
import { clusterSql, databaseSql } from './statements.ts'
import type { CurrentCluster, CurrentObject, DesiredRoles } from './types.ts'

const stringify = (value: unknown) => write(value, { aliasDuplicateObjects: false })
const session = { name: 'postgres', superuser: true, createRole: true, createDatabase: true }

/** A server on which everything is different, so that what is managed shows. */
function cluster(major: number, names: string[]): CurrentCluster {
  const role = { login: true, superuser: false, inherits: false, bypassRls: true, connectionLimit: 77 }
  return {
    major,
    session,
    scramIterations: 4096,
    roles: ['pg_monitor', 'pg_read_all_data', 'ext', ...names].map((name) => ({
      ...{ ...role, createRole: true, createDb: true, replication: true, validUntil: 1 },
      name,
    })),
    verifiers: new Map(),
    memberships: [],
    settings: [],
    databases: ['postgres', ...(names.includes('there') ? ['there'] : [])].map((name) => ({
      ...{ name, owner: 'shop_owner', connectionLimit: 3, encoding: 'UTF8', collate: 'C', localeProvider: 'libc' },
      icuLocale: null,
      acl: ['PUBLIC', ...names].map((grantee) => ({
        ...{ grantee, grantor: 'shop_owner', privilege: 'TEMPORARY', grantable: true },
      })),
    })),
    leftovers: [],
  }
}

const objects = (schemas: string[], names: string[]): CurrentObject[] =>
  schemas.flatMap((schema) =>
    (['schema', 'table', 'sequence', 'routine', 'type'] as const).map((kind) => ({
      ...{ kind, schema, name: kind === 'schema' ? schema : 'x', column: null, owner: 'somebody' },
      arguments: kind === 'routine' ? '' : null,
      acl: ['PUBLIC', ...names].map((grantee) => ({
        ...{ grantee, grantor: 'somebody', privilege: kind === 'table' ? 'TRUNCATE' : 'USAGE', grantable: false },
      })),
    })),
  )

function sqlOf(desired: DesiredRoles, major: number, names: string[]): string[] {
  const plan = planCluster(desired, cluster(major, names), new Map(), (size) => Buffer.alloc(size))
  const inside = desired.databases.flatMap(({ name }) => {
    const schemas = ['public', 'app']
    const current = {
      ...freshDatabase(session, { major, owner: 'somebody' }),
      schemas: schemas.map((schema) => ({ name: schema, owner: 'somebody', publicMayCreate: true })),
      objects: objects(schemas, names),
    }
    return [planDatabase(desired, name, current), planGrants(desired, name, current)].flatMap(({ actions }) =>
      actions.flatMap(({ payload }) => databaseSql(payload)).map((statement) => `${name}: ${statement}`),
    )
  })
  return [...plan.actions.flatMap(({ payload }) => clusterSql(payload)), ...inside].sort()
}

const files: [string, object][] = [
  ...['app', 'owner', 'rw', 'readonly'].map((preset): [string, object] => [
    preset,
    { databases: { shop: { users: { u: { preset, password: { env: 'U' } } } } } },
  ]),
  ...['backup', 'monitor', 'replication'].map((preset): [string, object] => [
    preset,
    { databases: { shop: { owner: 'shop_owner' } }, users: { u: { preset, password: { file: '/run/u' } } } },
  ]),
  [
    'several presets of one user, and what the file says instead',
    {
      databases: {
        shop: { users: { u: { preset: 'app', config: { statement_timeout: '1s' } }, v: { preset: 'readonly' } } },
        there: { users: { u: { preset: 'readonly' } }, schemas: { app: null } },
        closed: { schemas: {}, public: { connect: 'revoke', temporary: 'grant' } },
      },
      users: { u: { connectionLimit: 4, configIn: { there: { jit: false } } } },
    },
  ],
  ['an owner that is a user', { databases: { shop: { owner: 'u', users: { u: { preset: 'app' } } } } }],
  [
    'everything else',
    {
      manage: { privileges: 'strict', strictAccept: ['u', 'PUBLIC'] },
      roles: {
        a: { members: ['b', { role: 'c', admin: true }], connect: ['postgres', 'shop'], createDb: true },
        b: { config: { search_path: 'x, "Y z"' }, inherit: false },
        ext: { external: true },
        gone: { ensure: 'absent', reassignTo: { role: 'a', definer: true }, terminate: true },
      },
      users: {
        c: { validUntil: '2030-01-01T00:00:00Z', memberOf: [{ role: 'ext', set: true }], actsAs: 'b' },
        old: { ensure: 'absent' },
      },
      databases: {
        shop: {
          owner: 'a',
          create: { encoding: 'LATIN1', locale: 'C' },
          connectionLimit: 5,
          config: { work_mem: '4MB' },
          extensions: { pg_trgm: null, citext: { schema: 'app', version: '1' }, hstore: { ensure: 'absent' } },
          schemaCreate: 'revoke',
          reassign: ['b'],
          grants: [
            { to: 'b', on: 'foreignDataWrapper', privileges: ['USAGE'] },
            { to: 'b', on: 'database', privileges: ['TEMP'], grantOption: true },
          ],
          schemas: {
            app: {
              owner: 'b',
              creators: ['a', 'b'],
              access: { c: 'write', ext: 'read', a: 'create' },
              grants: [
                { to: 'c', on: 'table', names: ['x'], columns: ['id'], privileges: ['SELECT'] },
                { to: 'PUBLIC', on: 'routine', privileges: ['EXECUTE'], ensure: 'absent' },
              ],
              defaultPrivileges: [
                { to: 'PUBLIC', on: 'routine', scope: 'database', privileges: ['EXECUTE'], ensure: 'absent' },
                { to: 'c', on: 'type', creator: 'a', privileges: ['ALL'] },
              ],
            },
          },
        },
      },
    },
  ],
]

describe.for([13, 15, 18])('on PostgreSQL %i, what a file stands for plans the same:', (major) => {
  test.for(files)('%s', ([, file]) => {
    const short = desiredRoles(configSchema.parse(file))
    const text = stringify(expandedConfig(short, major))
    const long = desiredRoles(configSchema.parse(parse(text)))
    for (const names of [[], ['u', 'v', 'a', 'b', 'c', 'there']])
      expect(sqlOf(long, major, names)).toEqual(sqlOf(short, major, names))
    expect(long.absent).toEqual(short.absent)
    expect(long.databases.map(({ reassign }) => reassign)).toEqual(short.databases.map(({ reassign }) => reassign))
    // What is spelled out stands for itself.
    expect(stringify(expandedConfig(long, major))).toEqual(text)
  })
})

test('a short file is spelled out', () => {
  const file = {
    databases: { shop: { users: { shop: { preset: 'app', password: { env: 'PW' } }, ro: { preset: 'rw' } } } },
  }
  expect(stringify(expandedConfig(desiredRoles(configSchema.parse(file)), 18))).toMatchInlineSnapshot(`
    "manage:
      privileges: declared
    databases:
      shop:
        owner: shop_owner
        grants:
          - to: ro
            on: database
            privileges:
              - CONNECT
        schemas:
          public:
            grants:
              - to: ro
                on: schema
                privileges:
                  - USAGE
              - to: ro
                on: table
                privileges:
                  - SELECT
                  - INSERT
                  - UPDATE
                  - DELETE
              - to: ro
                on: sequence
                privileges:
                  - USAGE
                  - SELECT
              - to: ro
                on: routine
                privileges:
                  - EXECUTE
            defaultPrivileges:
              - on: table
                to: ro
                privileges:
                  - SELECT
                  - INSERT
                  - UPDATE
                  - DELETE
              - on: sequence
                to: ro
                privileges:
                  - USAGE
                  - SELECT
              - on: routine
                to: ro
                privileges:
                  - EXECUTE
    users:
      shop:
        password:
          env: PW
        memberOf:
          - shop_owner
        config:
          role: shop_owner
      ro: {}
    "
  `)
})
