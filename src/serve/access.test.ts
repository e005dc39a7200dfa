import { describe, expect, test } from 'vitest'
import type { ServeAccess } from '../config/serve-access.ts'
import { type AccessRefusal, type Asking, isLoopback, isOurHost, refuse } from './access.ts'

test.each<[string | undefined, boolean]>([
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['::FFFF:127.8.9.10', true],
  ['128.0.0.1', false],
  ['12.7.0.1', false],
  ['192.0.2.2', false],
  ['172.17.0.1', false],
  ['::ffff:192.0.2.2', false],
  ['::', false],
  ['::127.0.0.1', false],
  ['fd00::1', false],
  ['fe80::1%eth0', false],
  ['127.0.0.1.evil.example', false],
  ['127.', false],
  ['', false],
  [undefined, false],
])('isLoopback %s: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected)
})

test.each<[string, boolean]>([
  ['localhost', true],
  ['localhost:8080', true],
  ['LocalHost:8080', true],
  ['localhost.', true],
  ['localhost.:8080', true],
  ['localhost:', true],
  ['127.0.0.1', true],
  ['192.0.2.2:8080', true],
  ['[::1]', true],
  ['[::1]:8080', true],
  ['[FD00::2]:8080', true],
  ['[::ffff:127.0.0.1]:8080', true],
  ['[fe80::1%eth0]:8080', true],
  ['[fe80::1%25eth0]:8080', true],
  ['::1', true],
  ['status.example.org', true],
  ['STATUS.example.org:443', true],
  ['status.example.org.', true],
  ['pgbosun', true],
  ['evil.example', false],
  ['evil.example:8080', false],
  ['example.org', false],
  ['a.status.example.org', false],
  ['status.example.org.evil.example', false],
  ['status.example.org..', false],
  ['localhost.evil.example', false],
  ['evil.localhost', false],
  ['127.0.0.1.evil.example', false],
  ['127.1', false],
  ['2130706433', false],
  ['[evil.example]', false],
  ['[127.0.0.1]', false],
  ['[::1', false],
  ['[::1]evil.example', false],
  ['[::1]:x', false],
  ['::1:8080:evil', false],
  ['localhost:8080:1', false],
  ['localhost:x', false],
  ['evil.example@localhost', false],
  ['localhost, evil.example', false],
  ['', false],
  ['.', false],
  [':8080', false],
])('isOurHost %s: %s', (host, expected) => {
  expect(isOurHost(host, ['status.example.org', 'PGBOSUN.'])).toBe(expected)
})

const local: Asking = { peer: '127.0.0.1', hosts: ['localhost:8080'], authorization: undefined }
const remote: Asking = { peer: '192.0.2.7', hosts: ['192.0.2.2:8080'], authorization: undefined }
const token: ServeAccess = { token: () => 'correct-horse' }

describe('refuse', () => {
  test.each<[string, ServeAccess, Asking]>([
    ['loopback on loopback', 'loopback', local],
    ['everybody when it is open', 'open', remote],
    ['who has the token', token, { ...remote, authorization: 'Bearer correct-horse' }],
    ['a scheme in other letters', token, { ...remote, authorization: 'bEARER  correct-horse' }],
    ['a request without Host, which no browser sends', 'open', { ...remote, hosts: [] }],
  ])('lets in %s', (_, access, asking) => {
    expect(refuse(asking, access, [])).toBeUndefined()
  })

  const realm = 'Bearer realm="pgbosun"'
  const wrong: AccessRefusal = { status: 401, text: 'the token is wrong', challenge: `${realm}, error="invalid_token"` }
  const missing: AccessRefusal = { status: 401, text: 'a token is needed (Authorization: Bearer)', challenge: realm }
  const foreign: AccessRefusal = { status: 421, text: 'this Host is not one of ours: see serve.hosts' }
  test.each<[string, ServeAccess, Asking, ReturnType<typeof refuse>]>([
    [
      'others when only loopback may',
      'loopback',
      remote,
      { status: 401, text: 'only loopback may read this: see serve.access', challenge: realm },
    ],
    ['everybody without the token, also on loopback', token, local, missing],
    ['another scheme', token, { ...remote, authorization: 'Basic correct-horse' }, missing],
    ['no scheme', token, { ...remote, authorization: 'correct-horse' }, missing],
    ['another token', token, { ...remote, authorization: 'Bearer correct-horsE' }, wrong],
    ['the beginning of the token', token, { ...remote, authorization: 'Bearer correct' }, wrong],
    ['more than the token', token, { ...remote, authorization: 'Bearer correct-horse-battery' }, wrong],
    ['a foreign host on loopback', 'loopback', { ...local, hosts: ['evil.example'] }, foreign],
    ['a foreign host when it is open', 'open', { ...local, hosts: ['evil.example'] }, foreign],
    [
      'a foreign host with the token',
      token,
      { peer: '::1', hosts: ['evil.example'], authorization: 'Bearer correct-horse' },
      foreign,
    ],
    ['a second host that is foreign', 'open', { ...remote, hosts: ['localhost', 'evil.example'] }, foreign],
    ['an empty host', 'open', { ...remote, hosts: [''] }, foreign],
  ])('refuses %s', (_, access, asking, refusal) => {
    expect(refuse(asking, access, [])).toEqual(refusal)
  })

  test('does not read the configured token for a request without one', () => {
    const unreadable: ServeAccess = {
      token() {
        throw new Error('the file /run/secrets/token does not exist')
      },
    }
    expect(refuse(remote, unreadable, [])).toEqual(missing)
    expect(() => refuse({ ...remote, authorization: 'Bearer x' }, unreadable, [])).toThrow('does not exist')
  })
})

describe('the page with a token', () => {
  const access = { token: () => 'a:secret' } as ServeAccess
  const of = (authorization: string | undefined, browser = true) =>
    refuse({ peer: '10.0.0.1', hosts: ['localhost'], authorization }, access, [], browser)
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

  test('takes it as the password of any name, and as Bearer', () => {
    expect([of(basic('x:a:secret')), of(basic(':a:secret')), of('Bearer a:secret')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test.each([
    undefined,
    'Basic',
    'Basic !',
    basic('a'),
    basic('a:secret'),
    basic('x:wrong'),
    'Digest x',
  ])('lets a browser ask after %s', (authorization) => {
    expect(of(authorization)).toMatchObject({ status: 401, challenge: 'Basic realm="pgbosun", charset="UTF-8"' })
  })

  test('only for the page: others take Bearer alone', () => {
    expect(of(basic('x:a:secret'), false)).toMatchObject({ status: 401, challenge: 'Bearer realm="pgbosun"' })
  })
})
