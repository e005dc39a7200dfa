import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { checksum, partsOf } from './checksum.ts'

/** Parts of a mebibyte end where they should not if nothing is done about it. */
const long = (unit: string) => [unit.repeat(700_001), `z${unit.repeat(700_001)}`]

test.each([
  ...long('a\r\n'),
  ...long('😀\r'),
  ...long('\r\r\n😀'),
  ...long('\n'),
  'a\r\nb\rc',
])('a long text has the checksum of the whole, with line feeds (%#)', (text) => {
  expect(checksum(text)).toBe(hash('sha256', text.replace(/\r\n?/g, '\n')))
  expect([...partsOf(text)].join('')).toBe(text)
})
