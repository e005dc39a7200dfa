import { describe, expect, test } from 'vitest'
import { findRefusals, type Guarded, refusal, type TargetServer } from './guard.ts'

const manifest: Guarded = {
  id: '20260301T030000Z-00000001',
  server_version: '15.20',
  server_version_num: 150020,
  roles: ['reader', 'shop_owner'],
  extensions: [
    { name: 'plpgsql', version: '1.0' },
    { name: 'pg_trgm', version: '1.6' },
  ],
  database: { owner: 'shop_owner' },
}
const good: TargetServer = {
  serverVersion: 150018,
  user: 'me',
  superuser: false,
  mayCreateDatabases: true,
  exists: false,
  roles: ['reader', 'shop_owner'],
  superusers: [],
  tablespaces: ['fast', 'slow'],
  usableTablespaces: ['fast'],
  extensions: ['pg_trgm', 'plpgsql'],
  mayActAsOwner: true,
}
const asItIs = { noOwner: false, noTablespaces: false }
const found = (target: Partial<TargetServer>, noOwner = false, backup = manifest) =>
  findRefusals(backup, { into: 'copy', noOwner, noTablespaces: false }, { ...good, ...target }).map(
    ({ kind, reason, hint }) => `${kind}: ${reason} -> ${hint}`,
  )

describe('nothing is refused', () => {
  test.for<[string, Partial<TargetServer>]>([
    ['when everything is there', {}],
    ['on a newer server', { serverVersion: 180001 }],
    ['on an older minor version', { serverVersion: 150001 }],
    ['to a superuser', { superuser: true, mayCreateDatabases: false, mayActAsOwner: false }],
  ])('%s', ([, target]) => expect(found(target)).toEqual([]))
  test('for missing roles when owners and privileges are left out', () =>
    expect(found({ roles: [], mayActAsOwner: false }, true)).toEqual([]))
})

describe('tablespaces', () => {
  const found = (tablespaces: string[], noTablespaces = false) =>
    findRefusals({ ...manifest, tablespaces }, { into: 'copy', noOwner: false, noTablespaces }, good)

  test('that are missing are named, all of them, with what to do', () => {
    expect(found(['archive', 'fast', 'gone'])).toEqual([
      {
        kind: 'restore',
        reason: '2 tablespaces in this backup do not exist here: archive, gone',
        hint: `create them (create tablespace "archive" location '…'; create tablespace "gone" location '…'), or pass --no-tablespaces to load everything into the default one`,
        report: { missing_tablespaces: ['archive', 'gone'] },
      },
    ])
  })
  test('in which the user may create nothing are a missing privilege', () => {
    expect(found(['fast', 'slow'])).toEqual([
      {
        kind: 'refused',
        reason: 'the user me may not create anything in the tablespace slow',
        hint: 'grant create on tablespace "slow" to "me" with grant option, or pass --no-tablespaces to load everything into the default one',
      },
    ])
  })
  test('are not needed with --no-tablespaces', () => expect(found(['gone'], true)).toEqual([]))
})

describe('refused is', () => {
  test('a name with a line break, which a server refuses from 19 on', () => {
    const reasons = (serverVersion: number) =>
      findRefusals(manifest, { into: 'a\nb', ...asItIs }, { ...good, serverVersion }).map(({ reason }) => reason)
    expect(reasons(180001)).toEqual([])
    expect(reasons(190000)).toEqual(['the name "a\\nb" has a line break, which PostgreSQL 19 does not accept'])
  })

  test.for<[string, Partial<TargetServer>, string]>([
    [
      'a name that is taken',
      { exists: true },
      'restore: the database copy already exists -> choose another name for --into',
    ],
    [
      'a user without CREATEDB',
      { mayCreateDatabases: false },
      'refused: the user me may not create databases -> alter role "me" createdb, or connect as another user',
    ],
    [
      'an older server',
      { serverVersion: 140012 },
      'restore: the backup was made by PostgreSQL 15, but this server is 14: an older server cannot read it -> restore it to a server of version 15 or newer',
    ],
    [
      'a missing role',
      { roles: ['shop_owner'] },
      'restore: 1 role in this backup does not exist here: reader -> create it (create role "reader") or pass --create-roles, or pass --no-owner to leave out owners and privileges',
    ],
    [
      'a role that owned what only a superuser may own, and is none here',
      { roles: ['reader', 'root', 'shop_owner'] },
      'restore: only a superuser may own what root owned in this backup: event triggers, foreign-data wrappers, publications of all tables or a schema, or, up to PostgreSQL 15, subscriptions -> alter role "root" superuser, or pass --no-owner to leave out owners and privileges',
    ],
    [
      'such a role that is missing',
      { roles: ['reader', 'shop_owner'] },
      'restore: 1 role in this backup does not exist here: root -> create it (create role "root" superuser) or pass --create-roles, or pass --no-owner to leave out owners and privileges',
    ],
    [
      'an owner that we cannot act as',
      { mayActAsOwner: false },
      'refused: the user me may not act as shop_owner, which owned the database -> grant "shop_owner" to "me", connect as a superuser, or pass --no-owner',
    ],
    [
      'a missing extension',
      { extensions: ['plpgsql'] },
      'restore: this server does not have the extension pg_trgm -> install the packages of these extensions on the server, or pass --into and --skip-extension to leave one out with what needs it',
    ],
  ])('%s', ([, target, expected]) => {
    const withSuperuser = { ...manifest, roles: [...manifest.roles, 'root'], superusers: ['root'] }
    const owned = expected.includes('root') ? withSuperuser : manifest
    expect(found(target, false, owned)).toEqual([expected])
  })
})

test.for<[string, Partial<TargetServer>, string | undefined]>([
  ['nothing', {}, undefined],
  ['a name that is taken', { exists: true }, 'restore'],
  ['a missing privilege', { mayCreateDatabases: false }, 'refused'],
  ['two missing privileges', { mayCreateDatabases: false, mayActAsOwner: false }, 'refused'],
  ['a missing privilege beside a name that is taken', { mayCreateDatabases: false, exists: true }, 'restore'],
  ['two that are no privileges', { exists: true, extensions: [] }, 'restore'],
])('the exit code says whether it is only about privileges: %s', ([, target, kind]) => {
  const refusals = findRefusals(manifest, { into: 'copy', ...asItIs }, { ...good, ...target })
  expect(refusal(refusals, { id: manifest.id, into: 'copy' })?.kind).toBe(kind)
})

test('several reasons are said at once', () => {
  const refusals = findRefusals(
    manifest,
    { into: 'copy', ...asItIs },
    { ...good, exists: true, extensions: [], roles: [] },
  )
  expect(refusals.map(({ reason }) => reason)).toEqual(
    ['copy already exists', 'reader, shop_owner', 'plpgsql, pg_trgm'].map((words) => expect.stringContaining(words)),
  )
  expect(refusal(refusals, { id: manifest.id, into: 'copy' })).toMatchObject({
    kind: 'restore',
    hint: refusals[0]?.hint,
    message: 'backup 20260301T030000Z-00000001 cannot be restored into copy for 3 reasons; nothing was changed',
    excerpt: refusals.map(({ reason, hint }) => `  ${reason}\n    ${hint}`).join('\n'),
  })
})

test('one reason is the whole message, with its own hint', () => {
  const one = { kind: 'refused', reason: 'it may not', hint: 'let it' } as const
  expect(refusal([one], { id: 'x', into: 'y' })).toMatchObject({
    message: expect.stringMatching(/^it may not;/),
    hint: 'let it',
    excerpt: undefined,
  })
})
