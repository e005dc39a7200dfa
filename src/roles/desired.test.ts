import { expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'

const desired = (configuration: object) => desiredRoles(configSchema.parse(configuration))

test('a small configuration is written out in full', () => {
  expect(
    desired({
      databases: {
        shop: {
          users: {
            shop: { preset: 'app', password: { env: 'A' } },
            ro: { preset: 'readonly', config: { statement_timeout: '30s' } },
          },
        },
      },
    }),
  ).toMatchInlineSnapshot(`
    {
      "absent": [],
      "connects": [],
      "databases": [
        {
          "access": [
            {
              "grantee": "ro",
              "privileges": [
                "CONNECT",
              ],
            },
          ],
          "apps": [
            "shop",
          ],
          "closed": false,
          "covered": [
            "public",
          ],
          "create": {},
          "defaults": [
            {
              "creators": null,
              "grantee": "ro",
              "kind": "table",
              "privileges": [
                "SELECT",
              ],
              "schema": "public",
            },
            {
              "creators": null,
              "grantee": "ro",
              "kind": "sequence",
              "privileges": [
                "SELECT",
              ],
              "schema": "public",
            },
          ],
          "extensions": [],
          "grants": [
            {
              "grantee": "ro",
              "kind": "schema",
              "names": null,
              "privileges": [
                "USAGE",
              ],
              "schema": "public",
            },
            {
              "grantee": "ro",
              "kind": "table",
              "names": null,
              "privileges": [
                "SELECT",
              ],
              "schema": "public",
            },
            {
              "grantee": "ro",
              "kind": "sequence",
              "names": null,
              "privileges": [
                "SELECT",
              ],
              "schema": "public",
            },
          ],
          "name": "shop",
          "owner": "shop_owner",
          "ownerFixed": true,
          "presets": [
            {
              "preset": "readonly",
              "user": "ro",
            },
          ],
          "schemas": [
            {
              "implied": true,
              "name": "public",
              "owner": null,
            },
          ],
        },
      ],
      "memberships": [
        {
          "member": "shop",
          "role": "shop_owner",
        },
      ],
      "mode": "declared",
      "readAll": [],
      "roles": [
        {
          "inherits": false,
          "kind": "implied",
          "name": "shop_owner",
        },
        {
          "inherits": true,
          "kind": "user",
          "name": "shop",
          "password": {
            "env": "A",
          },
        },
        {
          "inherits": false,
          "kind": "user",
          "name": "ro",
        },
      ],
      "settings": [
        {
          "database": null,
          "name": "role",
          "role": "shop",
          "value": "shop_owner",
        },
        {
          "database": null,
          "name": "default_transaction_read_only",
          "role": "ro",
          "value": "on",
        },
        {
          "database": null,
          "name": "statement_timeout",
          "role": "ro",
          "value": "30s",
        },
        {
          "database": null,
          "name": "idle_in_transaction_session_timeout",
          "role": "ro",
          "value": "5min",
        },
      ],
      "strictAccept": [],
    }
  `)
})

test('readonly covers the declared schemas instead of public', () => {
  const [shop] = desired({
    databases: { shop: { schemas: { app: { creators: ['shop_owner'] } }, users: { ro: { preset: 'readonly' } } } },
  }).databases
  expect(shop).toMatchObject({ covered: ['app'], ownerFixed: false })
  expect(shop?.grants.map(({ schema, kind }) => `${kind} ${schema}`)).toEqual([
    'schema app',
    'table app',
    'sequence app',
  ])
  expect(shop?.defaults.map(({ kind, creators }) => [kind, creators])).toEqual([
    ['table', ['shop_owner']],
    ['sequence', ['shop_owner']],
  ])
})

test('an owner that is not declared is needed only when the database has to be created', () => {
  expect(desired({ databases: { shop: null } }).roles).toEqual([
    { name: 'shop_owner', kind: 'implied', inherits: false, createdWith: 'shop' },
  ])
  expect(desired({ databases: { shop: { owner: 'o' } } }).roles).toEqual([
    { name: 'o', kind: 'implied', inherits: false },
  ])
  expect(desired({ roles: { o: null }, databases: { shop: { owner: 'o' } } }).roles).toEqual([
    { name: 'o', kind: 'group', inherits: false },
  ])
})

test('an app user who is the owner is not a member of itself', () => {
  const { memberships, settings } = desired({
    databases: { shop: { owner: 'shop', users: { shop: { preset: 'app' } } } },
  })
  expect({ memberships, settings }).toEqual({ memberships: [], settings: [] })
})

test('memberships come in the order in which they have to be granted', () => {
  const { memberships } = desired({
    users: { a: { memberOf: ['b', 'c'] } },
    roles: { c: { memberOf: ['d'] }, b: { memberOf: ['c'] }, d: null },
  })
  expect(memberships.map(({ role, member }) => `${role} > ${member}`)).toEqual(['d > c', 'c > b', 'b > a', 'c > a'])
})

test.each([
  [
    { roles: { a: { memberOf: ['b'] }, b: { memberOf: ['c'] }, c: { memberOf: ['b'] } } },
    'the memberships form a circle: b → c → b',
  ],
  [{ users: { a: { memberOf: ['nobody'] } } }, 'the role a refers to the role nobody, which is not declared'],
  [{ users: { a: { actsAs: 'nobody' } } }, 'the role a refers to the role nobody, which is not declared'],
  [
    { databases: { d: { schemas: { s: { access: { x: 'read' } } } } } },
    'databases.d.schemas.s refers to the role x, which is not declared',
  ],
  [
    { databases: { d: { schemas: { s: { owner: 'x' } } } } },
    'databases.d.schemas.s.owner refers to the role x, which is not declared',
  ],
  [{ roles: { a: null }, users: { a: {} } }, 'users.a is also declared under roles'],
  [{ roles: { a: { external: true, connectionLimit: 3 } } }, 'roles.a is external, but has other keys'],
  [
    { users: { a: { password: { env: 'X' } } }, databases: { d: { users: { a: { password: { env: 'Y' } } } } } },
    'users.a.password and databases.d.users.a.password differ',
  ],
  [{ users: { a: { validUntil: 'soon' } } }, 'users.a.validUntil is not an instant: soon'],
  [
    { databases: { ['d'.repeat(60)]: null } },
    `databases.${'d'.repeat(60)}: its owner would be ${'d'.repeat(60)}_owner, which is not a valid name in PostgreSQL`,
  ],
  [{ databases: { d: { schemas: { pgbosun: null } } } }, 'databases.d.schemas.pgbosun cannot be declared'],
  [
    { databases: { d: { extensions: { hstore: { schema: 'x' } } } } },
    'databases.d.extensions.hstore.schema is x, which is not declared',
  ],
  [
    { databases: { d: { extensions: { hstore: { ensure: 'absent', version: '1' } } } } },
    'databases.d.extensions.hstore is declared absent, but has version',
  ],
  [
    {
      roles: { a: null },
      databases: { d: { schemas: { s: { grants: [{ to: 'a', on: 'table', privileges: ['execute'] }] } } } },
    },
    'databases.d.schemas.s.grants[0]: a table has no privilege EXECUTE',
  ],
])('what cannot be meant is refused: %#', (configuration, message) => {
  expect(() => desired(configuration)).toThrow(expect.objectContaining({ kind: 'usage', message }))
})

test('a preset for the whole server and one in a database contradict each other', () => {
  const both = { users: { u: { preset: 'backup' } }, databases: { shop: { users: { u: { preset: 'readonly' } } } } }
  expect(() => desired(both)).toThrow('users.u.preset and databases.shop.users.u.preset contradict each other')
})

test('the configuration takes precedence over a preset', () => {
  const { roles, settings } = desired({
    users: { watch: { preset: 'monitor', connectionLimit: 9, config: { statement_timeout: '1min' } } },
  })
  expect(roles).toEqual([{ name: 'watch', kind: 'user', inherits: true, bypassRls: false, connectionLimit: 9 }])
  expect(settings.filter(({ name }) => name === 'statement_timeout')).toMatchObject([{ value: '1min' }])
})

test('create.owner owns a database that is made; an existing one keeps its owner, and that role gets all privileges on it', () => {
  const users = { shop: {} }
  const [database] = desired({ databases: { shop: { create: { owner: 'shop', encoding: 'UTF8' }, users } } }).databases
  expect(database).toMatchObject({
    owner: 'shop',
    ownerFixed: false,
    create: { encoding: 'UTF8' },
    access: [{ grantee: 'shop', privileges: ['CONNECT', 'CREATE', 'TEMPORARY'] }],
  })
  expect(database?.create).not.toHaveProperty('owner')
  expect(() => desired({ databases: { shop: { owner: 'shop', create: { owner: 'shop' }, users } } })).toThrow(
    'databases.shop has both owner and create.owner',
  )
})
