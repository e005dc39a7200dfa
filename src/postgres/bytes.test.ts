import { expect, test } from 'vitest'
import { isBroken, parseBytes, shown } from './bytes.ts'

const parsed = (bytes: Buffer) =>
  parseBytes<string>(Buffer.concat([Buffer.from('"'), bytes, Buffer.from('"')]).toString('hex'))

test.for(['plain', 'é ñ 🐘 \u2028', 'a real \ufffd is no broken byte'])('UTF-8 stays as it is: %s', (text) => {
  expect(parsed(Buffer.from(text))).toBe(text)
  expect(isBroken(text)).toBe(false)
  expect(shown(text)).toBe(text)
})

test.for<[string, string]>([
  ['636166e9', 'caf\\xe9'],
  ['e9e8', '\\xe9\\xe8'],
  ['c3a9e9c3a9', 'é\\xe9é'],
  ['c3', '\\xc3'],
  ['eda080', '\\xed\\xa0\\x80'],
  ['f0908080e2', '\u{10000}\\xe2'],
  ['c0af', '\\xc0\\xaf'],
])('bytes that are not UTF-8 are shown one by one: %s', ([hex, expected]) => {
  const text = parsed(Buffer.from(hex, 'hex'))
  expect(isBroken(text)).toBe(true)
  expect(shown(text)).toBe(expected)
})
