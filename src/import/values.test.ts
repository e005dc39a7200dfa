import { expect, test } from 'vitest'
import type { Kind } from './kinds.ts'
import { decimalText, doubleText, fitsNumeric, timeText, uuidText } from './values.ts'

test.each([
  [12n, '12'],
  [9007199254740993n, '9007199254740993'],
  [12.5, '12.5'],
  [-0.1, '-0.1'],
  [1e21, '1000000000000000000000'],
  [1.5e-7, '0.00000015'],
  ['012.50', '12.5'],
  ['1.', '1'],
  ['-0', '0'],
  ['1e2', '100'],
  ['', undefined],
  ['12a', undefined],
  ['0x10', undefined],
  [Number.POSITIVE_INFINITY, undefined],
] as const)('the digits of %s are %s', (value, expected) => {
  expect(decimalText(value)).toBe(expected)
})

test.each([
  ['12.34', 10, 2, true],
  ['12.345', 10, 2, false],
  ['99999999.99', 10, 2, true],
  ['100000000', 10, 2, false],
  ['-0.5', 1, 1, true],
  ['1200', 2, -2, true],
  ['1250', 2, -2, false],
  ['12.345', undefined, 0, true],
] as const)('%s in numeric(%s,%s) without rounding: %s', (value, precision, scale, expected) => {
  expect(fitsNumeric(value, precision, scale)).toBe(expected)
})

test.each([
  ['2024-02-29', 'date', '2024-02-29'],
  ['2023-02-29', 'date', undefined],
  ['0000-01-01', 'date', undefined],
  ['2024-02-29 01:02', 'date', undefined],
  ['01:02:03.5', 'time', '01:02:03.500000'],
  ['25:00', 'time', undefined],
  ['2024-03-29 02:30:00', 'timestamp', '2024-03-29 02:30:00.000000'],
  ['2024-03-29T02:30', 'timestamp', '2024-03-29 02:30:00.000000'],
  ['2024-03-29', 'timestamp', '2024-03-29 00:00:00.000000'],
  ['2024-03-29 02:30:00.123456000', 'timestamp', '2024-03-29 02:30:00.123456'],
  ['2024-03-29 02:30:00.1234567', 'timestamp', undefined],
  ['2024-03-29 02:30:00Z', 'timestamp', undefined],
  ['2024-03-29T02:30:00Z', 'timestamptz', '2024-03-29 02:30:00.000000'],
  ['2024-03-29 02:30:00.5+02:00', 'timestamptz', '2024-03-29 00:30:00.500000'],
  ['2024-03-29 00:30:00-0130', 'timestamptz', '2024-03-29 02:00:00.000000'],
  ['2024-03-29 00:30:00', 'timestamptz', '2024-03-29 00:30:00.000000'],
  ['2024-03-29 00:30:00 +0000 UTC', 'timestamptz', undefined],
  ['now', 'timestamptz', undefined],
  ['', 'timestamp', undefined],
  [1704164645n, 'timestamptz', undefined],
  [1704164645.5, 'timestamptz', undefined],
] as [bigint | number | string, Kind, string | undefined][])('%s as %s is %s', (value, kind, expected) => {
  expect(timeText(value, kind, undefined)).toBe(expected)
})

test.each([
  [1704164645n, 's', '2024-01-02 03:04:05.000000'],
  [1704164645123n, 'ms', '2024-01-02 03:04:05.123000'],
  [-1n, 'us', '1969-12-31 23:59:59.999999'],
  [1704164645123n, 's', undefined],
] as const)('the number %s in %s is %s', (value, unit, expected) => {
  expect(timeText(value, 'timestamptz', unit)).toBe(expected)
})

test('a UUID is read from its text in any usual spelling, and from 16 bytes', () => {
  const uuid = '0f8fad5b-d9cb-469f-a165-70867728950e'
  expect(uuidText(uuid.toUpperCase())).toBe(uuid)
  expect(uuidText(`{${uuid}}`)).toBe(uuid)
  expect(uuidText(uuid.replaceAll('-', ''))).toBe(uuid)
  expect(uuidText(Buffer.from(uuid.replaceAll('-', ''), 'hex'))).toBe(uuid)
  expect(uuidText('0f8fad5b')).toBeUndefined()
  expect(uuidText(7n)).toBeUndefined()
})

test('a double keeps its sign and all its digits', () => {
  expect([-0, 0.1 + 0.2, 1e308, Number.NEGATIVE_INFINITY].map(doubleText)).toEqual([
    '-0',
    '0.30000000000000004',
    '1e+308',
    '-Infinity',
  ])
})
