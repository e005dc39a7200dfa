import { expect, test } from 'vitest'
import { isSameButLineEndings, isSameDefinition } from './drift-text.ts'

// Both as PostgreSQL wrote them: in the original database, and in the one restored from its dump.
const made = `CHECK (((size)::text = ANY ((ARRAY['s'::character varying, 'm''], s'::character varying])::text[])))`
const restored = `CHECK (((size)::text = ANY (ARRAY[('s'::character varying)::text, ('m''], s'::character varying)::text])))`

test('a list of values reads the same before and after a restore', () => {
  expect(isSameDefinition(made, restored)).toBe(true)
  expect(isSameDefinition(restored, made)).toBe(true)
  expect(isSameDefinition(made, restored.replace("('s'", "('S'"))).toBe(false)
  expect(isSameDefinition(made, restored.replace('size', 'other'))).toBe(false)
})

test('everything else is compared exactly', () => {
  expect(isSameDefinition('a', 'a')).toBe(true)
  expect(isSameDefinition(null, null)).toBe(true)
  expect(isSameDefinition('a', 'A')).toBe(false)
  expect(isSameDefinition('', null)).toBe(false)
})

test('texts that differ only in line endings are recognised', () => {
  expect(isSameButLineEndings('a\nb\n', 'a\r\nb\r')).toBe(true)
  expect(isSameButLineEndings('a\nb', 'a\nb')).toBe(false)
  expect(isSameButLineEndings('a\nb', 'a\r\nc')).toBe(false)
  expect(isSameButLineEndings('a\n', null)).toBe(false)
})
