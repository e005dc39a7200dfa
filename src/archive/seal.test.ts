import { expect, test } from 'vitest'
import type { Manifest } from './manifest.ts'
import { type About, isSealed, isSigned, sealManifest, writeSigned } from './seal.ts'

const manifest = {
  id: 'a',
  series: { database: 'shop' },
  warnings: ['x ",\n  "hmac_sha256": "0"'],
} as unknown as Manifest
const about: About = { what: 'manifest', database: 'shop', id: 'a' }
const [secret, next, other] = ['s'.repeat(32), 'n'.repeat(32), 'o'.repeat(32)] as [string, string, string]

test('without secrets nothing is signed, and everything is accepted', () => {
  const text = sealManifest(manifest, [])
  expect(JSON.parse(text)).not.toHaveProperty('hmac_sha256')
  expect(isSealed(text)).toBe(true)
  expect(isSigned(text, about, [])).toBe(true)
  expect(isSigned(text, about, [secret])).toBe(false)
})

test('the first secret signs, and each is accepted', () => {
  const text = sealManifest(manifest, [secret, next])
  expect(JSON.parse(text)).toMatchObject({ id: 'a', hmac_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(isSealed(text)).toBe(true)
  expect(isSigned(text, about, [secret])).toBe(true)
  expect(isSigned(text, about, [next, secret])).toBe(true)
  expect(isSigned(text, about, [next, other])).toBe(false)
})

test('a signed manifest proves nothing elsewhere, nor as another document', () => {
  const text = sealManifest(manifest, [secret])
  for (const change of [{ id: 'b' }, { database: 'other' }, { what: 'verification' }] as Partial<About>[])
    expect(isSigned(text, { ...about, ...change }, [secret])).toBe(false)
})

test('no changed byte, no missing end and nothing after it is accepted', () => {
  const text = sealManifest(manifest, [secret])
  for (let at = 0; at < text.length; at++) {
    const changed = `${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`
    expect(isSigned(changed, about, [secret]), `at ${at}`).toBe(false)
  }
  for (let length = 0; length < text.length; length++)
    expect(isSigned(text.slice(0, length), about, [secret])).toBe(false)
  expect(isSigned(`${text} `, about, [secret])).toBe(false)
  // a checksum of their own helps nobody
  expect(isSigned(sealManifest({ ...JSON.parse(text), id: 'a', roles: ['evil'] }, []), about, [secret])).toBe(false)
})

test('a record is JSON, signed or not', () => {
  const of: About = { what: 'verification', database: 'shop', id: 'a' }
  expect(writeSigned({ ok: true }, of, [])).toBe('{\n  "ok": true\n}\n')
  const text = writeSigned({ ok: true }, of, [secret])
  expect(JSON.parse(text)).toMatchObject({ ok: true })
  expect(isSigned(text, of, [secret])).toBe(true)
  expect(isSigned(text.replace('true', 'false'), of, [secret])).toBe(false)
  expect(isSigned('{\n  "ok": false\n}\n', of, [secret])).toBe(false)
})
