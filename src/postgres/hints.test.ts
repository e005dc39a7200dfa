import { expect, test } from 'vitest'
import { extensionFor, hintByCode } from './hints.ts'

const hint = (code: string, message = '', detail?: string) => hintByCode({ code, message, ...(detail && { detail }) })

test('names both columns and both types of a foreign key that does not fit', () => {
  const wanted = 'the types must match: column user_id is integer, column id is uuid; declare user_id as uuid'
  expect(hint('42804', '', 'Key columns "user_id" and "id" are of incompatible types: integer and uuid.')).toBe(wanted)
  const since18 =
    'Key columns "user_id" of the referencing table and "id" of the referenced table are of incompatible types: integer and uuid.'
  expect(hint('42804', '', since18)).toBe(wanted)
})

test('knows the extension of a well-known function, type or operator class', () => {
  expect(extensionFor({ code: '42883', message: 'function uuid_generate_v4() does not exist' })).toBe('uuid-ossp')
  expect(extensionFor({ code: '42883', message: 'function public.crypt(text, text) does not exist' })).toBe('pgcrypto')
  expect(extensionFor({ code: '42704', message: 'type "public.citext" does not exist' })).toBe('citext')
  expect(extensionFor({ code: '42704', message: 'type "vector(3)" does not exist' })).toBe('vector')
  expect(
    extensionFor({ code: '42704', message: 'operator class "gin_trgm_ops" does not exist for access method "gin"' }),
  ).toBe('pg_trgm')
  expect(extensionFor({ code: '42883', message: 'function my_own(integer) does not exist' })).toBeUndefined()
})

test('sends what cannot run in a transaction to a file of its own, and an enum value to the next', () => {
  expect(hint('25001')).toContain('-- pgbosun: no-transaction')
  expect(hint('55P04')).toContain('next file')
})

test('reads the quotation marks of other languages', () => {
  expect(extensionFor({ code: '42704', message: 'Typ »citext« existiert nicht' })).toBe('citext')
  expect(extensionFor({ code: '42704', message: 'le type « citext » n’existe pas' })).toBe('citext')
})

test('has nothing to say about a code it does not know', () => {
  expect(hint('XX000', 'boom')).toBeUndefined()
})
