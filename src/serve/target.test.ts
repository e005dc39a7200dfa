import { expect, test } from 'vitest'
import { readTarget } from './target.ts'

test.each<[string, ReturnType<typeof readTarget>]>([
  ['/livez', { path: '/livez' }],
  ['/livez?a=/b#c', { path: '/livez' }],
  ['/livez#x', { path: '/livez' }],
  ['/', { path: '/' }],
  ['//', { path: '//' }],
  ['//[', { path: '//[' }],
  ['/a/../livez', { path: '/a/../livez' }],
  ['/%zz', { path: '/%zz' }],
  ['*', { path: '*' }],
  ['', { path: '' }],
  ['?x', { path: '' }],
  ['http://evil.example/status.json?x', { path: '/status.json', host: 'evil.example' }],
  ['HTTPS://[::1]:8080/livez', { path: '/livez', host: '[::1]:8080' }],
  ['http://evil.example', { path: '/', host: 'evil.example' }],
  ['http://evil.example?x', { path: '/', host: 'evil.example' }],
  ['http:///livez', { path: '/livez', host: '' }],
  ['http://[', { path: '/', host: '[' }],
  ['/x?http://evil.example/livez', { path: '/x' }],
  ['ftp://evil.example/livez', { path: 'ftp://evil.example/livez' }],
])('%s', (target, expected) => {
  expect(readTarget(target)).toEqual(expected)
})
