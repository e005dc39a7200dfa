import { expect, test } from 'vitest'
import type { CurrentObject, CurrentRole } from '../types.ts'
import { generatedConfig } from './config.ts'
import type { Found } from './types.ts'
import { asYaml } from './write.ts'

const role = (name: string, more: Partial<CurrentRole> = {}): CurrentRole => ({
  name,
  login: false,
  superuser: false,
  inherits: true,
  bypassRls: false,
  createRole: false,
  createDb: false,
  replication: false,
  connectionLimit: -1,
  validUntil: 'infinity',
  ...more,
})
const user = (name: string, more: Partial<CurrentRole> = {}) => role(name, { login: true, ...more })
const session = { name: 'postgres', superuser: true, createRole: true, createDatabase: true }
const entry = (grantee: string, privilege: string, more = {}) => ({
  grantee,
  grantor: 'own',
  privilege,
  grantable: false,
  ...more,
})
const object = (kind: CurrentObject['kind'], name: string, acl: CurrentObject['acl'], more = {}): CurrentObject => ({
  kind,
  schema: 'app',
  name,
  arguments: null,
  column: null,
  owner: 'own',
  acl,
  ...more,
})

/** A server with a database `shop` of the role `own`, and a schema `app`. */
function found({
  roles = [],
  inside = {},
  cluster = {},
  ...more
}: {
  roles?: CurrentRole[]
  inside?: Partial<Found['inside']>
  cluster?: Partial<Found['cluster']>
} & Partial<Omit<Found, 'inside' | 'cluster'>>): Found {
  return {
    database: 'shop',
    cluster: {
      major: 18,
      session,
      scramIterations: 4096,
      roles: [role('own'), user('postgres', { superuser: true }), ...roles],
      memberships: [],
      settings: [],
      databases: [
        {
          name: 'shop',
          owner: 'own',
          connectionLimit: -1,
          encoding: 'UTF8',
          collate: 'C',
          localeProvider: 'libc',
          icuLocale: null,
          acl: [entry('PUBLIC', 'CONNECT'), entry('PUBLIC', 'TEMPORARY')],
        },
      ],
      leftovers: [],
      ...cluster,
    },
    inside: {
      major: 18,
      session,
      owner: 'own',
      publicMayConnect: true,
      schemas: [{ name: 'app', owner: 'own', publicMayCreate: false }],
      extensions: [{ name: 'plpgsql', schema: 'pg_catalog', version: '1.0' }],
      extensionsWithSchema: [],
      unwantedExtensions: [],
      objects: [],
      defaults: [],
      changedDefaults: [],
      ...inside,
    },
    passwords: new Set(),
    extensionSchemas: [],
    largeObjects: 0,
    ...more,
  }
}

type Sections = Record<'databases' | 'roles' | 'users', Record<string, Record<string, unknown>>>
const sections = (of: Found) => generatedConfig(of).config as Sections
const appOf = (of: Found) => (sections(of).databases.shop!.schemas as Record<string, object>).app
const notesOf = (of: Found) => generatedConfig(of).notes.map(({ text }) => text)

test('a superuser, a role of the provider and the user that we connect as are external where they are named', () => {
  const server = found({
    roles: [user('app'), role('rds_superuser'), role('cloudsqlsuperuser'), user('me')],
    cluster: {
      session: { ...session, name: 'me', superuser: false },
      memberships: ['rds_superuser', 'me', 'postgres'].map((of) => ({
        role: of,
        member: 'app',
        grantor: 'own',
        grantedByBootstrap: false,
        admin: false,
        inherit: true,
        set: true,
      })),
    },
  })
  const { roles, users } = sections(server)
  expect(roles).toEqual({
    own: {},
    postgres: { external: true },
    rds_superuser: { external: true },
    me: { external: true },
  })
  expect(users).toEqual({ app: { memberOf: ['rds_superuser', 'me', 'postgres'] } })
})

test.for([
  ['shop', 'SHOP_PASSWORD'],
  ['postgres2', 'ROLE_POSTGRES2_PASSWORD'],
  ['pgbosun_x', 'ROLE_PGBOSUN_X_PASSWORD'],
  ['database', 'ROLE_DATABASE_PASSWORD'],
  ['1a', 'ROLE_1A_PASSWORD'],
  ['é', 'ROLE_PASSWORD'],
  ['a b', 'A_B_PASSWORD'],
] as const)('the password of %s is in %s', ([name, variable]) => {
  const server = found({ roles: [user(name)], passwords: new Set([name]) })
  expect(sections(server).users[name]).toEqual({ password: { env: variable } })
})

test('no two roles share a variable', () => {
  const names = ['a-b', 'a_b', 'a b', 'é', 'ü']
  const { users } = sections(found({ roles: names.map((name) => user(name)), passwords: new Set(names) }))
  const variables = Object.values(users).map(({ password }) => (password as { env: string }).env)
  expect(variables).toEqual(['A_B_PASSWORD', 'A_B_PASSWORD_2', 'A_B_PASSWORD_3', 'ROLE_PASSWORD', 'ROLE_PASSWORD_2'])
})

test.for([
  'app.jwt',
  'ssl_key_file',
  'my_secret',
  'api_TOKEN',
  'password_encryption',
])('the setting %s is left out, and only its name is told', (name) => {
  const settings = [{ role: 'u', database: null, name, value: 'hush' }]
  const server = found({ roles: [user('u')], cluster: { settings } })
  expect(JSON.stringify(generatedConfig(server))).not.toContain('hush')
  expect(notesOf(server)).toContain(`left out: the setting ${name}, which may be a secret`)
})

test('a value that is a URL is left out too', () => {
  const settings = [{ role: 'u', database: null, name: 'application_name', value: 'postgres://a:hush@b/c' }]
  expect(JSON.stringify(generatedConfig(found({ roles: [user('u')], cluster: { settings } })))).not.toContain('hush')
})

test('whoever reads everything, now and later, has the level read; later alone or now alone is a grant', () => {
  const usage = object('schema', 'app', [entry('a', 'USAGE'), entry('b', 'USAGE')])
  const tables = ['t', 'u'].map((name) => object('table', name, [entry('a', 'SELECT'), entry('b', 'SELECT')]))
  const later = (['table', 'sequence'] as const).map((kind) => ({
    creator: 'own',
    schema: 'app',
    kind,
    grantee: 'a',
    privilege: 'SELECT',
    grantable: false,
  }))
  const roles = [role('a'), role('b')]
  expect(appOf(found({ roles, inside: { objects: [usage, ...tables], defaults: later } }))).toEqual({
    access: { a: 'read', b: 'use' },
    grants: [{ to: 'b', on: 'table', names: ['t', 'u'], privileges: ['SELECT'] }],
  })
})

test('a table with one privilege more keeps the level, and has the rest as a grant', () => {
  const objects = [
    object('schema', 'app', [entry('a', 'USAGE'), entry('a', 'CREATE')]),
    object('table', 't', [entry('a', 'DELETE', { grantable: true })]),
  ]
  expect(appOf(found({ roles: [role('a')], inside: { objects } }))).toEqual({
    access: { a: 'create' },
    grants: [{ to: 'a', on: 'table', names: ['t'], privileges: ['DELETE'], grantOption: true }],
  })
})

test('default privileges with grant option make a role external: the file cannot say them', () => {
  const defaults = [
    { creator: 'own', schema: 'app', kind: 'table', grantee: 'a', privilege: 'SELECT', grantable: true } as const,
  ]
  const server = found({ roles: [role('a')], inside: { defaults } })
  expect(sections(server).roles.a).toEqual({ external: true })
  expect(notesOf(server)).toContain(
    'a is external: it has default privileges with the grant option, which the file cannot say',
  )
})

test('more than 50 tables are not named, and that is told', () => {
  const objects = Array.from({ length: 51 }, (_, i) => object('table', `t${i}`, [entry('a', 'SELECT')]))
  const server = found({ roles: [role('a')], inside: { objects } })
  expect(appOf(server)).toEqual({ grants: [{ to: 'a', on: 'table', privileges: ['SELECT'] }] })
  expect(notesOf(server)).toContain('the grant on all tables for a also means those that are created later')
})

test('a role called PUBLIC is refused', () => {
  expect(() => generatedConfig(found({ roles: [role('PUBLIC')] }))).toThrow(
    'a role has the name PUBLIC: its privileges cannot be told from those of everybody',
  )
})

test('a name with a newline cannot end a comment', () => {
  const settings = [{ role: 'u', database: null, name: 'x.y\nroles: { evil: {} }', value: '1' }]
  const text = asYaml(generatedConfig(found({ roles: [user('u')], cluster: { settings } })), 'title')
  expect(text).toContain('# left out: the setting x.y\\u000aroles: { evil: {} }, which may be a secret')
})
