import { expect, test } from 'vitest'
import type { Manifest } from '../archive/manifest.ts'
import { createStatements, finishStatements } from './database.ts'
import type { Label } from './name.ts'

const plain: Manifest['database'] = {
  name: 'shop',
  owner: 'shop_owner',
  encoding: 'UTF8',
  locale_provider: 'libc',
  collate: 'C.UTF-8',
  ctype: 'C.UTF-8',
  locale: null,
  icu_rules: null,
  connection_limit: -1,
  acl: null,
  settings: [],
  comment: null,
  size_bytes: 1,
}
const story: Label = {
  pgbosun: 'restore',
  id: '0123abcd',
  into: 'it"s',
  backup: 'b',
  database: "o'clock",
  run: 'r',
  started_at: '2026-03-01T04:00:00Z',
}

test('a database is created closed, with its story', () => {
  expect(createStatements('it"s__restore_0123abcd', plain, story, { serverVersion: 150000 })).toMatchInlineSnapshot(`
    [
      "create database "it""s__restore_0123abcd" template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' locale_provider libc",
      "comment on database "it""s__restore_0123abcd" is  E'{"pgbosun":"restore","id":"0123abcd","into":"it\\\\"s","backup":"b","database":"o''clock","run":"r","started_at":"2026-03-01T04:00:00Z"}'",
      "revoke connect on database "it""s__restore_0123abcd" from public",
    ]
  `)
})

test('the locale is given as the server knows it', () => {
  const create = (properties: Partial<Manifest['database']>, version: number) =>
    createStatements('x', { ...plain, ...properties }, story, { serverVersion: version })[0]
  expect(create({}, 140000)).toBe(
    `create database "x" template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'`,
  )
  expect(create({ locale_provider: 'icu', locale: 'de-DE', icu_rules: '&a < g' }, 160000)).toMatch(
    / locale_provider icu icu_locale 'de-DE' icu_rules '&a < g'$/,
  )
  expect(create({ locale_provider: 'builtin', locale: 'C.UTF-8' }, 170000)).toMatch(
    / locale_provider builtin builtin_locale 'C.UTF-8'$/,
  )
})

test('it lies in the tablespace of the original, unless that is left out or the default one', () => {
  const create = (properties: { tablespace?: string } = {}, noTablespaces = false) =>
    createStatements('x', { ...plain, ...properties }, story, { serverVersion: 150000, noTablespaces })[0]
  expect(create({ tablespace: 'fast "disk"' })).toMatch(/ tablespace "fast ""disk"""$/)
  for (const other of [create(), create({ tablespace: 'pg_default' }), create({ tablespace: 'fast' }, true)])
    expect(other).not.toContain('tablespace')
})

const rich: Manifest['database'] = {
  ...plain,
  connection_limit: 7,
  comment: "the shop's",
  acl: [
    { grantee: 'shop_owner', privilege: 'CREATE', grantable: false },
    { grantee: 'PUBLIC', privilege: 'TEMPORARY', grantable: false },
    { grantee: 'odd "one"', privilege: 'CONNECT', grantable: true },
  ],
  settings: [
    { role: null, name: 'search_path', value: '"$user", app, "a, b"' },
    { role: null, name: 'app.tenant', value: 'a, b' },
    { role: 'reader', name: 'work_mem', value: '64MB' },
  ],
}

test('in the end it becomes what the backup says, and its name comes in the same transaction', () => {
  expect(finishStatements('w', 'copy', rich, { noOwner: false, sessionUser: 'postgres' })).toMatchInlineSnapshot(`
    [
      "alter database "w" rename to "copy"",
      "comment on database "copy" is 'the shop''s'",
      "alter database "copy" set "search_path" to '$user', 'app', 'a, b'",
      "alter database "copy" set "app"."tenant" to 'a, b'",
      "alter role "reader" in database "copy" set "work_mem" to '64MB'",
      "alter database "copy" connection limit 7",
      "alter database "copy" owner to "shop_owner"",
      "set local role "shop_owner"",
      "revoke all on database "copy" from public, "shop_owner"",
      "grant CREATE on database "copy" to "shop_owner"",
      "grant TEMPORARY on database "copy" to public",
      "grant CONNECT on database "copy" to "odd ""one""" with grant option",
    ]
  `)
})

test('without owners it belongs to the session user, and PUBLIC has what PostgreSQL gives it', () => {
  expect(finishStatements('w', 'copy', rich, { noOwner: true, sessionUser: 'me' })).toMatchInlineSnapshot(`
    [
      "alter database "w" rename to "copy"",
      "comment on database "copy" is 'the shop''s'",
      "alter database "copy" set "search_path" to '$user', 'app', 'a, b'",
      "alter database "copy" set "app"."tenant" to 'a, b'",
      "alter database "copy" connection limit 7",
      "grant connect, temporary on database "copy" to public",
    ]
  `)
})

test('what belongs to a login is handed over, and the login goes, in the same transaction', () => {
  const login = 'pgbosun_restore_00000000_0123abcd'
  expect(createStatements('w', plain, story, { serverVersion: 150000, login }).at(-1)).toBe(
    `alter database "w" owner to "${login}"`,
  )
  const finish = (noOwner: boolean, sessionUser: string, closed = false) =>
    finishStatements('w', 'copy', plain, { noOwner, sessionUser, login, closed }).slice(2)
  expect(finish(false, 'postgres')).toEqual([
    'alter database "copy" owner to "shop_owner"',
    `drop role "${login}"`,
    'set local role "shop_owner"',
    'grant connect, temporary on database "copy" to public',
  ])
  expect(finish(true, 'postgres', true)).toEqual(['alter database "copy" owner to "postgres"', `drop role "${login}"`])
  expect(finish(true, 'postgres')).toEqual([
    'alter database "copy" owner to "postgres"',
    `drop role "${login}"`,
    'grant connect, temporary on database "copy" to public',
  ])
})
