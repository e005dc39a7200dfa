import { expect, test } from 'vitest'
import { convertValue, escaped } from './convert.ts'
import { declaredType, parseType, parseTypeLine, typeOf } from './kinds.ts'
import { columnSql } from './sqlite/column-sql.ts'
import type { TargetColumn } from './types.ts'
import type { Value } from './values.ts'

const to = (type: string, value: Value, byLine = false) => {
  const line = parseTypeLine(type)!
  return convertValue({ ...line, byLine }, value)
}

test.each([
  ['smallint', 32767n, '32767'],
  ['smallint', 32768n, undefined],
  ['integer', 2147483648n, undefined],
  ['bigint', 9007199254740993n, '9007199254740993'],
  ['bigint', 3.0, '3'],
  ['bigint', 3.5, undefined],
  ['bigint', 1e300, undefined],
  ['bigint', '3', undefined],
  ['double precision', 0.1, '0.1'],
  ['double precision', 9007199254740993n, undefined],
  ['double precision', Number.POSITIVE_INFINITY, 'Infinity'],
  ['real', 0.5, '0.5'],
  ['real', 0.1, undefined],
  ['numeric(10,2)', 12.34, '12.34'],
  ['numeric(10,2)', 12.345, undefined],
  ['numeric', '12.34', undefined],
  ['boolean', 1n, 'true'],
  ['boolean', 'False', 'false'],
  ['boolean', 2n, undefined],
  ['boolean', 'yes', undefined],
  ['text', 'a\tb', 'a\tb'],
  ['text', 'a\0b', undefined],
  ['text', 5n, '5'],
  ['text', new Uint8Array([1]), undefined],
  ['varchar(2)', '😀é', '😀é'],
  ['varchar(2)', 'abc', undefined],
  ['bytea', new Uint8Array([1, 255]), '\\x01ff'],
  ['bytea', 'é', '\\xc3a9'],
  ['bytea', 5n, undefined],
  ['uuid', new Uint8Array(16), undefined],
  ['jsonb', '{"a":1}', '{"a":1}'],
  ['jsonb', '{a:1}', undefined],
  ['timestamp', 5n, undefined],
  ['timestamptz/s', 0n, '1970-01-01 00:00:00.000000'],
] as [string, Value, string | undefined][])('to %s: %s becomes %s', (type, value, expected) => {
  expect(to(type, value)).toBe(expected)
})

test('a line under `types` lets text become numbers and 16 bytes a UUID', () => {
  expect(to('numeric(10,2)', '12.30', true)).toBe('12.3')
  expect(to('numeric(10,2)', 'twelve', true)).toBeUndefined()
  expect(to('bigint', '12', true)).toBe('12')
  expect(to('double precision', '0.1', true)).toBe('0.1')
  expect(to('double precision', '0.10000000000000000001', true)).toBeUndefined()
  expect(to('uuid', new Uint8Array(16), true)).toBe('00000000-0000-0000-0000-000000000000')
})

test.each([
  ['INTEGER', 'bigint'],
  ['UNSIGNED BIG INT', 'bigint'],
  ['REAL', 'double precision'],
  ['DOUBLE', 'double precision'],
  ['BLOB', 'bytea'],
  ['', 'bytea'],
  ['BOOLEAN', 'boolean'],
  ['DATETIME', 'timestamp'],
  ['TIMESTAMP', 'timestamp'],
  ['DATE', 'date'],
  ['DECIMAL(10, 2)', 'numeric(10,2)'],
  ['NUMERIC', 'numeric'],
  ['VARCHAR(20)', 'varchar(20)'],
  ['NVARCHAR(160)', 'text'],
  ['TEXT', 'text'],
  ['STRING', 'numeric'],
])('what is declared as %s is %s', (declared, expected) => {
  expect(declaredType(declared).sql).toBe(expected)
})

test('only types that can be imported are read, and a unit only where there are instants', () => {
  expect(parseType('double  precision')?.sql).toBe('double precision')
  for (const wrong of ['inet', 'numeric(0)', 'numeric(2,3)', 'text(5)', 'text; drop table a', 'constructor'])
    expect(parseType(wrong)).toBeUndefined()
  expect(parseTypeLine('timestamptz/ms')).toMatchObject({ unit: 'ms', type: { kind: 'timestamptz' } })
  expect(parseTypeLine('uuid/ms')).toBeUndefined()
  expect(parseTypeLine('timestamptz/minutes')).toBeUndefined()
})

test('precision, scale and length are read from the catalog of PostgreSQL', () => {
  const column = (base: string, typmod: number) => typeOf({ base, typmod, enum: false, type: base } as TargetColumn)
  expect(column('numeric', ((10 << 16) | 2) + 4)).toMatchObject({ precision: 10, scale: 2 })
  expect(column('numeric', ((3 << 16) | (-2 & 0x7ff)) + 4)).toMatchObject({ precision: 3, scale: -2 })
  expect(column('varchar', 24)).toMatchObject({ kind: 'varchar', length: 20 })
  expect(column('inet', -1)).toMatchObject({ kind: 'other' })
})

test('fields are escaped for COPY, names for SQLite', () => {
  expect(escaped('a\\b\n\r\t\u0001')).toBe('a\\\\b\\n\\r\t\\\u0001')
  expect(columnSql({ type: parseType('text')!, unit: undefined, byLine: false }, 'a"b', 3).field).toContain('"a""b"')
})
