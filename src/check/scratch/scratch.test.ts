import { expect, test } from 'vitest'
import type { Model } from './model.ts'
import { isScratch, type ScratchStory, scratchName, scratchPattern } from './name.ts'
import { accessStatements, createStatements, publicStatements, settingStatements } from './statements.ts'

const model: Model = {
  name: "o'clock",
  owner: 'shop_owner',
  encoding: 'UTF8',
  locale_provider: 'icu',
  collate: 'C.UTF-8',
  ctype: 'C.UTF-8',
  locale: 'de-DE',
  icu_rules: null,
  privileges: [
    { grantee: 'PUBLIC', privilege: 'CONNECT' },
    { grantee: 'PUBLIC', privilege: 'TEMPORARY' },
    { grantee: 'the app', privilege: 'CREATE' },
  ],
  settings: [
    { name: 'search_path', own: false },
    { name: 'app.key', own: true },
  ],
  public: { owner: 'pg_database_owner', privileges: [{ grantee: 'PUBLIC', privilege: 'USAGE' }] },
  user: { name: 'deploy', superuser: false, mayCreate: true, mayActAsOwner: true },
}
const story: ScratchStory = {
  pgbosun: 'shadow',
  id: '0123abcd',
  of: "o'clock",
  run: 'r',
  started_at: '2026-03-01T04:00:00Z',
}

test('a name fits into 63 bytes, and the comment alone shows that the database is ours', () => {
  const long = 'ü'.repeat(40)
  expect(scratchName(long, '0123abcd')).toBe(`${'ü'.repeat(20)}__shadow_0123abcd`)
  expect(scratchName('shop', '0123abcd')).toMatch(new RegExp(scratchPattern))
  const comment = JSON.stringify(story)
  expect(isScratch("o'clock__shadow_0123abcd", comment)).toBe(true)
  expect(isScratch("o'clock__shadow_0123abce", comment)).toBe(false)
  expect(isScratch("o'clock__shadow_0123abcd", comment.replace('shadow', 'restore'))).toBe(false)
  for (const other of [null, '', 'null', 'mine', '"shadow"']) expect(isScratch('a__shadow_0123abcd', other)).toBe(false)
})

test('it is created closed, with its comment, and like the live database', () => {
  const [create, comment, revoke] = createStatements('s', model, story, 160000)
  expect(create).toBe(
    `create database "s" template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' locale_provider icu icu_locale 'de-DE'`,
  )
  expect(comment).toContain(`comment on database "s" is '{"pgbosun":"shadow","id":"0123abcd","of":"o''clock"`)
  expect(revoke).toBe('revoke connect on database "s" from public')
  expect(createStatements('s', model, story, 140000)[0]).not.toContain('locale_provider')
})

test('settings are copied within the server, including those of the session user', () => {
  const [first, second] = settingStatements('s', model)
  expect(first).toMatchObject({
    name: 'search_path',
    sql: expect.stringContaining('alter database "s" set "search_path" from current'),
  })
  expect(second?.sql).toContain('alter role "deploy" in database "s" set "app"."key" from current')
})

test('its owner is that of the live database if possible, and nobody else may connect', () => {
  expect(accessStatements('s', model).split('; ')).toEqual([
    'alter database "s" owner to "shop_owner"',
    'set local role "shop_owner"',
    'revoke all on database "s" from public',
    'grant connect on database "s" to "deploy"',
    'grant TEMPORARY on database "s" to public',
    'grant CREATE on database "s" to "the app"',
  ])
  const stranger = { ...model, user: { ...model.user, mayActAsOwner: false } }
  expect(accessStatements('s', stranger)).toMatch(/^revoke all/)
})

test('schema public is changed only where it differs', () => {
  const found = { owner: 'postgres', privileges: [{ grantee: 'PUBLIC', privilege: 'CREATE' }] }
  expect(publicStatements(model.public, structuredClone(model.public), 'shop_owner')).toBeUndefined()
  expect(publicStatements(null, found, undefined)).toBeUndefined()
  expect(publicStatements(model.public, found, 'shop_owner')).toBe(
    'set local role "shop_owner"; alter schema public owner to "pg_database_owner"; revoke all on schema public from public; grant USAGE on schema public to public',
  )
  expect(publicStatements({ ...found, privileges: [] }, found, undefined)).toBe(
    'revoke all on schema public from public',
  )
})
