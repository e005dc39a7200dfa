import { expect, test } from 'vitest'
import { loopbackOf, parseListen } from './server.ts'

const everywhere = { host: '::', fallback: '0.0.0.0' }

test.each<[string, boolean, ReturnType<typeof parseListen>]>([
  ['[::]:8080', true, { ...everywhere, port: 8080 }],
  [':9090', false, { ...everywhere, port: 9090 }],
  ['[::]:8080', false, { host: '::', port: 8080 }],
  ['0.0.0.0:8080', false, { host: '0.0.0.0', port: 8080 }],
  ['[fd00::2]:0', false, { host: 'fd00::2', port: 0 }],
  ['localhost:65535', false, { host: 'localhost', port: 65_535 }],
])('parseListen %s, the default: %s', (listen, isDefault, place) => {
  expect(parseListen(listen, isDefault)).toEqual(place)
})

test.each([
  '8080',
  '::1:8080',
  '127.0.0.1',
  '127.0.0.1:65536',
  '127.0.0.1:x',
  '',
])('parseListen refuses %s', (listen) => {
  expect(() => parseListen(listen)).toThrow('serve.listen is not an address and a port')
})

test.each([
  ['0.0.0.0', 'http://127.0.0.1:8080'],
  // works even without IPv6, when `serve` has fallen back to IPv4
  ['::', 'http://127.0.0.1:8080'],
  ['::1', 'http://[::1]:8080'],
  ['fd00::2', 'http://[fd00::2]:8080'],
  ['192.0.2.1', 'http://192.0.2.1:8080'],
  ['localhost', 'http://localhost:8080'],
])('what listens on %s is reached at %s', (host, url) => {
  expect(loopbackOf({ host, port: 8080 })).toBe(url)
})
