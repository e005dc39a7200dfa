import { expect, test } from 'vitest'
import { databaseObject } from '../postgres/lock-keys.ts'
import { type Label, lockOfLogin, loginName, loginPattern, readLabel, workName } from './name.ts'

test('the name of the work ends with the id of the restore and fits into 63 bytes', () => {
  expect(workName('shop', '0123abcd')).toBe('shop__restore_0123abcd')
  expect(workName('x'.repeat(63), '0123abcd')).toBe(`${'x'.repeat(40)}__restore_0123abcd`)
})

test('a name is never cut within a character', () => {
  expect(workName(`${'x'.repeat(39)}äöü`, '0123abcd')).toBe(`${'x'.repeat(39)}__restore_0123abcd`)
  expect(workName('🐘'.repeat(15), '0123abcd')).toBe(`${'🐘'.repeat(10)}__restore_0123abcd`)
})

const story: Label = {
  pgbosun: 'restore',
  id: '0123abcd',
  into: 'copy',
  backup: '20260301T030000Z-00000001',
  database: 'shop',
  run: 'r',
  started_at: '2026-03-01T04:00:00Z',
}

test('a leftover is recognised by its comment and its name together', () => {
  const comment = JSON.stringify(story)
  expect(readLabel('copy__restore_0123abcd', comment)).toEqual(story)
  expect(readLabel('copy', comment)).toBeUndefined()
  expect(readLabel('other__restore_0123abcd', comment)).toBeUndefined()
  expect(readLabel('copy__restore_0123abcd', null)).toBeUndefined()
  expect(readLabel('copy__restore_0123abcd', 'kept by hand')).toBeUndefined()
  expect(readLabel('copy__restore_0123abcd', '{"id":"0123abcd","into":"copy"}')).toBeUndefined()
})

test('a login tells whose lock guards it', () => {
  for (const into of ['copy', 'Copy "of" ñ', 'x'.repeat(63)]) {
    const name = loginName({ into, id: '0123abcd' })
    expect(name).toMatch(new RegExp(loginPattern))
    expect(lockOfLogin(name)).toBe(databaseObject(into))
  }
})
