import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { isBech32 } from './bech32.ts'
import { parseIdentities, readSecrets } from './keys.ts'
import { predicates } from './predicates.ts'
import type { Config } from './schema.ts'

const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const parse = (text: string) => parseIdentities(text, 'backup.encrypt.identity')

describe('a recipient', () => {
  test('has a checksum that notices every mistyped, missing and swapped character', () => {
    expect(predicates.isRecipient(recipient)).toBe(true)
    for (let at = 0; at < recipient.length; at++) {
      const other = recipient[at] === 'q' ? 'p' : 'q'
      expect(predicates.isRecipient(recipient.slice(0, at) + other + recipient.slice(at + 1)), `at ${at}`).toBe(false)
      expect(predicates.isRecipient(recipient.slice(0, at) + recipient.slice(at + 1))).toBe(false)
    }
    for (const text of ['', 'age1', recipient.toUpperCase(), `${recipient} `, identity, 'ssh-ed25519 AAAA'])
      expect(predicates.isRecipient(text)).toBe(false)
  })

  test('is Bech32, as its specification has it', () => {
    expect(isBech32('a12uel5l', 'a')).toBe(true)
    expect(isBech32('abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw', 'abcdef')).toBe(true)
    expect(isBech32('abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw', 'abcdeg')).toBe(false)
    expect(isBech32('a12uel5m', 'a')).toBe(false)
  })
})

describe('identities', () => {
  test('are lines, as age-keygen writes them', () => {
    expect(parse(identity)).toEqual([identity])
    expect(parse(`# created: today\r\n# public key: ${recipient}\r\n${identity}\r\n\r\n  ${identity}\n`)).toEqual([
      identity,
      identity,
    ])
  })

  test.each([
    ['', 'there is no identity in it'],
    ['# nothing', 'there is no identity in it'],
    [recipient, 'it is not an identity of age'],
    [identity.toLowerCase(), 'it is not an identity of age'],
    [`${identity}\n${identity.slice(0, -1)}Q`, 'line 2 of 2 is not an identity of age'],
    ['age-encryption.org/v1\n-> scrypt', 'the identity is itself encrypted'],
    ['-----BEGIN AGE ENCRYPTED FILE-----\nYWdl', 'the identity is itself encrypted'],
  ])('that cannot be used are said to be so, and not shown: %#', (text, message) => {
    try {
      parse(text)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ kind: 'usage', message: expect.stringContaining(message) })
      expect(JSON.stringify(error) + String(error)).not.toContain(identity.slice(20, 40))
    }
  })
})

describe('secrets that sign', () => {
  const read = (text: string) =>
    readSecrets({ backup: { sign: { secret: { env: 'S' } } } } as unknown as Config, { S: text }, '/')

  test('are lines of at least 32 characters', () => {
    expect(read('a'.repeat(32))).toEqual(['a'.repeat(32)])
    expect(read(`${'a'.repeat(32)}\n\n${'b'.repeat(64)}\n`)).toEqual(['a'.repeat(32), 'b'.repeat(64)])
    for (const text of ['a'.repeat(31), `${'a'.repeat(32)}\nshort`, '\n\n'])
      expect(() => read(text)).toThrow('backup.sign.secret has fewer than 32 characters')
    expect(readSecrets({ backup: {} } as unknown as Config, {}, '/')).toEqual([])
  })
})
