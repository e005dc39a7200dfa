import { describe, expect, test } from 'vitest'
import { type ClusterAction, type DatabaseAction, planned } from './actions.ts'
import { adminScript, adminStatements } from './admin-script.ts'
import { divide, type Item, rightsQuestion } from './capable.ts'
import { withJoins } from './joining.ts'
import type { Rights, RoleRights } from './rights.ts'
import type { CurrentDatabase } from './types.ts'

const role = (name: string, more: Partial<RoleRights> = {}): RoleRights => ({
  name,
  superuser: false,
  replication: false,
  admin: false,
  acts: false,
  above: false,
  own: false,
  ...more,
})
const rights = (major: number, more: Partial<Rights> = {}): Rights => ({
  major,
  user: { name: 'me', superuser: false, createRole: true, createDatabase: true, bypassRls: false, inherits: true },
  roles: [
    role('postgres', { superuser: true }),
    role('other'),
    role('mine', { admin: true }),
    role('act', { acts: true }),
  ],
  databases: [{ name: 'shop', owner: 'act', mayCreate: true, mayCopy: true }],
  settings: ['work_mem'],
  extensions: [
    { name: 'hstore', allowed: true },
    { name: 'postgres_fdw', allowed: false },
  ],
  ...more,
})
const current: CurrentDatabase = {
  major: 16,
  session: { name: 'me', superuser: false, createRole: true, createDatabase: true },
  owner: 'act',
  publicMayConnect: true,
  schemas: [
    { name: 'public', owner: 'pg_database_owner', publicMayCreate: false },
    { name: 'old', owner: 'postgres', publicMayCreate: false },
  ],
  extensions: [],
  extensionsWithSchema: [],
  unwantedExtensions: [],
  objects: [
    { kind: 'table', schema: 'public', name: 't', arguments: null, column: null, owner: 'act', acl: [] },
    { kind: 'table', schema: 'public', name: 'theirs', arguments: null, column: null, owner: 'postgres', acl: [] },
    { kind: 'table', schema: 'old', name: 't', arguments: null, column: null, owner: 'act', acl: [] },
  ],
  defaults: [],
  changedDefaults: [],
}
const onServer = (payload: ClusterAction): Item => ({
  database: null,
  planned: planned<ClusterAction>(payload, 'do', payload.do, 'x'),
})
const inShop = (payload: DatabaseAction): Item => ({
  database: 'shop',
  planned: planned<DatabaseAction>(payload, 'do', payload.do, 'x'),
})
const divided = (items: Item[], server: Rights) =>
  divide({
    desired: { databases: [] },
    rights: server,
    items,
    databases: new Map([['shop', { current, rights: { usable: ['public'], extensions: [] } }]]),
  })
/** What an administrator has to do, with why; `join` where we join a role first; else nothing. */
const verdict = (item: Item, server: Rights) => {
  const { theirs, joins } = divided([item], server)
  return theirs[0]?.why ?? (joins.size > 0 ? `join ${[...joins.values()].flat()}` : undefined)
}

const set = (to: Partial<{ role: string | null; database: string | null; name: string }>): ClusterAction => ({
  do: 'set',
  setting: { role: null, database: null, name: 'work_mem', value: '1', ...to },
})
const grantRole = (of: string, grantor: string | null = null): ClusterAction => ({
  do: 'grant role',
  role: of,
  member: 'x',
  grantor,
  withOptions: true,
  admin: false,
  inherit: true,
  set: true,
})
const limit = (of: string): ClusterAction => ({ do: 'limit role', role: of, connectionLimit: 1 })
const password = (of: string): ClusterAction => ({
  do: 'set password',
  role: of,
  sent: 'SCRAM-SHA-256$secret',
  plain: false,
})
const noAttributes = { ...rights(16).user, createRole: false, createDatabase: false }
const revokeRole = (grantor: string, impossible = false): ClusterAction => ({
  do: 'revoke role',
  role: 'mine',
  member: 'x',
  grantor,
  adminOnly: false,
  cascade: false,
  impossible,
})

test('no password is in what the server is asked', () => {
  const question = rightsQuestion({ major: 16, items: [onServer(password('mine'))], databases: new Map() })
  expect(question.names).toContain('mine')
  expect(JSON.stringify(question)).not.toContain('secret')
})

test('what the plan gives REPLICATION is out of reach up to 15, with all that is planned for it', () => {
  const replicating: ClusterAction = { do: 'alter role', role: 'r', attribute: 'replication', value: true }
  const items = [{ do: 'create role', role: 'r', login: true } as const, replicating, limit('r'), password('r')].map(
    onServer,
  )
  const theirs = (major: number) => divided(items, rights(major)).theirs.map(({ planned: { payload } }) => payload.do)
  expect(theirs(15)).toEqual(['create role', 'alter role', 'limit role', 'set password'])
  expect(theirs(16)).toEqual(['create role', 'alter role'])
})

describe('on the server', () => {
  test.each<[string, ClusterAction, Rights, string | undefined]>([
    ['creates roles with CREATEROLE', { do: 'create role', role: 'a', login: true }, rights(16), undefined],
    [
      'and not without',
      { do: 'create role', role: 'a', login: true },
      rights(16, { user: noAttributes }),
      'it lacks CREATEROLE',
    ],
    ['alters any role up to 15', limit('other'), rights(15), undefined],
    ['from 16 on those it has ADMIN on', limit('mine'), rights(16), undefined],
    ['and no others', limit('other'), rights(16), 'it lacks ADMIN on other'],
    ['never a superuser', limit('postgres'), rights(15), 'postgres is a superuser'],
    [
      'up to 15 none with REPLICATION',
      limit('r'),
      rights(15, { roles: [role('r', { replication: true })] }),
      'r has REPLICATION',
    ],
    ['not itself from 16 on', limit('me'), rights(16), 'it lacks ADMIN on me'],
    ['its own password always', password('me'), rights(16, { user: noAttributes }), undefined],
    ['its own settings always', set({ role: 'me' }), rights(16, { user: noAttributes }), undefined],
    [
      'BYPASSRLS never up to 15',
      { do: 'alter role', role: 'mine', attribute: 'bypassrls', value: true },
      rights(15),
      'only a superuser may: BYPASSRLS takes it up to PostgreSQL 15',
    ],
    [
      'BYPASSRLS from 16 on with it',
      { do: 'alter role', role: 'mine', attribute: 'bypassrls', value: true },
      rights(16, { user: { ...rights(16).user, bypassRls: true } }),
      undefined,
    ],
    ['grants any role up to 15', grantRole('pg_monitor'), rights(15, { roles: [role('pg_monitor')] }), undefined],
    [
      'from 16 on with ADMIN',
      grantRole('pg_monitor'),
      rights(16, { roles: [role('pg_monitor')] }),
      'it lacks ADMIN on pg_monitor',
    ],
    ['revokes what it can act as the grantor of', revokeRole('act'), rights(16), undefined],
    ['not what a superuser granted', revokeRole('postgres'), rights(16), 'it cannot act as postgres'],
    ['what nobody can revoke stays', revokeRole('postgres', true), rights(16), undefined],
    ['stores settings in its databases', set({ database: 'shop' }), rights(16), undefined],
    [
      'not those of superusers',
      set({ database: 'shop', name: 'log_statement' }),
      rights(16),
      'only a superuser may: the setting log_statement takes it',
    ],
    [
      'creates databases for roles that it can become',
      { do: 'create database', database: 'd', temporary: 't', owner: 'mine', create: {} },
      rights(16),
      'join mine',
    ],
    [
      'not for others',
      { do: 'create database', database: 'd', temporary: 't', owner: 'other', create: {} },
      rights(16),
      'it cannot act as other',
    ],
    [
      'up to 15 for anybody',
      { do: 'create database', database: 'd', temporary: 't', owner: 'other', create: {} },
      rights(15),
      'join other',
    ],
    [
      'but not as a NOINHERIT role',
      { do: 'create database', database: 'd', temporary: 't', owner: 'other', create: {} },
      rights(15, { user: { ...rights(15).user, inherits: false } }),
      'it cannot act as other',
    ],
    [
      'not for its own members',
      { do: 'create database', database: 'd', temporary: 't', owner: 'up', create: {} },
      rights(15, { roles: [role('up', { above: true })] }),
      'it cannot act as up',
    ],
    [
      'leaves what it does not know to a superuser',
      { do: 'something new' } as unknown as ClusterAction,
      rights(16),
      'only a superuser may: it is not known who else may',
    ],
  ])('%s', (_, action, server, expected) => {
    expect(verdict(onServer(action), server)).toBe(expected)
  })
})

const on = (schema: string, name: string): DatabaseAction => ({
  do: 'grant',
  kind: 'table',
  targets: [{ schema, name, arguments: null }],
  grantee: 'x',
  privileges: ['SELECT'],
  column: null,
  withOption: false,
})
const reassign = (object: { type: string; schema: string | null; owner: string }): DatabaseAction => ({
  do: 'reassign',
  word: object.type,
  owner: 'act',
  objects: [{ ...object, classid: 1, oid: 1, print: null, identity: 'o', bound: false, definer: false }],
})

describe('in a database', () => {
  test.each<[string, DatabaseAction, string | undefined]>([
    ['creates schemas for roles that it can become', { do: 'create schema', schema: 'n', owner: 'mine' }, 'join mine'],
    ['takes `public` for the owner of the database', { do: 'close schema', schema: 'public' }, undefined],
    ['not schemas of a superuser', { do: 'own schema', schema: 'old', owner: 'act' }, 'it cannot act as postgres'],
    ['creates trusted extensions', { do: 'create extension', extension: 'hstore', schema: null }, undefined],
    [
      'not others',
      { do: 'create extension', extension: 'postgres_fdw', schema: null },
      'only a superuser may: the extension postgres_fdw is not a trusted one',
    ],
    [
      'tries those that the server does not have',
      { do: 'create extension', extension: 'absent', schema: null },
      undefined,
    ],
    [
      'never moves one',
      { do: 'move extension', extension: 'hstore', schema: 'x' },
      'only a superuser may: the objects of an extension belong to one',
    ],
    ['grants on what it can act as the owner of', on('public', 't'), undefined],
    ['not on what belongs to a superuser', on('public', 'theirs'), 'it cannot act as postgres'],
    ['not where it may not even name the object', on('old', 't'), 'it cannot act as postgres'],
    [
      'sets default privileges as their creator',
      {
        do: 'grant default',
        creator: 'mine',
        schema: null,
        kind: 'table',
        grantee: 'x',
        privileges: ['SELECT'],
        optionOnly: false,
      },
      'join mine',
    ],
    [
      'hands over into schemas of the new owner',
      reassign({ type: 'table', schema: 'public', owner: 'mine' }),
      'join mine',
    ],
    [
      'not into others',
      reassign({ type: 'table', schema: 'old', owner: 'mine' }),
      'only a superuser may: act may not create such objects there',
    ],
    ['hands over large objects', reassign({ type: 'large object', schema: null, owner: 'mine' }), 'join mine'],
    [
      'leaves what it does not know to a superuser',
      { do: 'something new' } as unknown as DatabaseAction,
      'only a superuser may: it is not known who else may',
    ],
  ])('%s', (_, action, expected) => {
    expect(verdict(inShop(action), rights(16))).toBe(expected)
  })
})

const create = (name: string) => onServer({ do: 'create role', role: name, login: true })

describe('an administrator’s part', () => {
  test('includes what it depends on, and ADMIN for us from 16 on, but no password', () => {
    const items = [
      create('a'),
      create('b'),
      onServer(grantRole('pg_monitor')),
      onServer({ ...grantRole('pg_monitor'), member: 'a' } as ClusterAction),
      onServer(password('a')),
    ]
    const server = rights(16, { roles: [role('pg_monitor')] })
    const division = divided(items, server)
    expect(division.ours.map(({ planned }) => planned)).toEqual([items[1]!.planned, items[4]!.planned])
    expect(adminStatements(division, server).map(({ sql }) => sql)).toEqual([
      'create role "a" login',
      'grant "a" to "me" with admin true, inherit false, set false',
      'grant "pg_monitor" to "x" with admin false, inherit true, set true',
      'grant "pg_monitor" to "a" with admin false, inherit true, set true',
    ])
  })

  test('gives us ADMIN for the password of a role that is there, and names by hand what it cannot hold', () => {
    const of = (server: Rights) => adminStatements(divided([onServer(password('other'))], server), server)
    expect(of(rights(16)).map(({ sql }) => sql)).toEqual([
      'grant "other" to "me" with admin true, inherit false, set false',
    ])
    const byHand = of(rights(16, { user: noAttributes }))
    expect(byHand).toEqual([
      expect.objectContaining({ sql: null, reason: expect.stringContaining('\\password "other"') }),
    ])
    expect(adminScript(byHand, { user: 'me', place: 'postgres' }).join('\n')).not.toContain('SCRAM')
  })

  test('makes us a member of a database’s owner, where we cannot do that ourselves', () => {
    const server = rights(16, { databases: [{ name: 'shop', owner: 'other', mayCreate: true, mayCopy: true }] })
    const division = divide({
      desired: { databases: [{ name: 'shop', owner: 'other', ownerFixed: true } as never] },
      rights: server,
      items: [onServer({ do: 'limit database', database: 'shop', connectionLimit: 1 })],
      databases: new Map(),
    })
    expect([division.theirs, division.lacking]).toEqual([[], ['other']])
    expect(adminStatements(division, server).map(({ sql }) => sql)).toEqual([
      'grant "other" to "me" with admin true, inherit true, set true',
    ])
  })
})

describe('the script', () => {
  const statement = (sql: string, more = {}) => ({
    database: null,
    sql,
    reason: 'why',
    alone: false,
    direct: true,
    ...more,
  })

  test('uses as few transactions as it can, and connects by a connection string', () => {
    const lines = adminScript(
      [
        statement('a'),
        statement('b', { reason: 'next' }),
        statement('create database', { alone: true, reason: 'base' }),
        statement('c', { database: `o'd"d=\\`, reason: 'in it' }),
      ],
      { user: 'me', place: 'postgres' },
    )
    expect(lines.slice(2).join('\n')).toMatchInlineSnapshot(`
      "\\set ON_ERROR_STOP on

      begin;
      set local search_path = pg_catalog, pg_temp;
      -- why
      a;
      -- next
      b;
      commit;

      -- base; this cannot be in a transaction
      create database;

      \\connect -reuse-previous=on "dbname='o\\'d""d=\\\\'"

      begin;
      set local search_path = pg_catalog, pg_temp;
      -- in it
      c;
      commit;
      "
    `)
  })

  test.each(['a\nb', 'a\u202eb', 'a\tb', '\u0085'])('is refused for %j in a statement', (name) => {
    expect(() => adminScript([statement(`create role "${name}"`)], { user: 'me', place: 'postgres' })).toThrow(
      expect.objectContaining({ kind: 'refused' }),
    )
  })

  test.each<Item>([
    inShop(reassign({ type: 'table', schema: 'a\nb', owner: 'postgres' })),
    onServer({ do: 'create role', role: 'a \n b', login: true }),
    onServer(set({ database: 'shop', name: 'x\ny' })),
  ])('never makes another name of one with a line break: %j', (item) => {
    const server = rights(16, { user: noAttributes })
    const statements = adminStatements(divided([item], server), server)
    expect(() => adminScript(statements, { user: 'me', place: 'postgres' })).toThrow(
      expect.objectContaining({ kind: 'refused' }),
    )
  })

  test('has no line breaks of ours within a statement', () => {
    const item = inShop(reassign({ type: 'table', schema: 'old', owner: 'postgres' }))
    const statements = adminStatements(divided([item], rights(16)), rights(16))
    expect(statements.map(({ sql }) => sql)).toEqual([
      expect.stringMatching(/^alter table o owner to "act"; select 1 [^\n]*$/),
    ])
  })

  test('shows invisible characters of a reason as escapes', () => {
    const lines = adminScript([statement('a', { reason: 'x\n\\! touch /tmp/x' })], { user: 'me', place: 'postgres' })
    expect(lines).toContain('-- x\\u000a\\! touch /tmp/x')
  })
})

describe('memberships of ours', () => {
  test('end with the transaction, except those in owners of databases', () => {
    const actions = [
      onServer(limit('a')),
      onServer(limit('b')),
      onServer({ do: 'create database', database: 'd', temporary: 't', owner: 'o', create: {} }),
      onServer(limit('c')),
    ].map(({ planned }) => planned)
    const division = {
      joins: new Map([
        [actions[0]!, ['x', 'o']],
        [actions[1]!, ['x']],
        [actions[3]!, ['x', 'had']],
      ]),
      kept: new Map([['o', 'd']]),
    }
    const able = withJoins(actions, division, rights(16, { roles: [role('had', { own: true })] }))
    expect(able.map(({ payload }) => [payload.do, 'role' in payload ? payload.role : '']).map(String)).toEqual([
      'join,x',
      'join,o',
      'limit role,a',
      'limit role,b',
      'leave,x',
      'create database,',
      'join,x',
      'join,had',
      'limit role,c',
      'leave,x',
    ])
  })
})
