import { expect, test } from 'vitest'
import { judgeLogin, whySet } from './standing.ts'

test.for<[string, boolean, string | undefined, boolean, ReturnType<typeof judgeLogin>]>([
  ['lets in who was asked', true, undefined, false, 'right'],
  ['lets in who was not asked (trust, peer, cert)', false, undefined, false, undefined],
  ['has no LOGIN for it', true, '28000', false, 'right'],
  ['has no pg_hba line for it', false, '28000', false, undefined],
  ['has too many connections of the role', true, '53300', false, 'right'],
  ['has too many connections of all', false, '53300', false, undefined],
  ['has no CONNECT for it', true, '42501', false, 'right'],
  ['has no such database', true, '3D000', false, 'right'],
  ['refuses the password', true, '28P01', false, 'wrong'],
  ['refuses a role that has expired', true, '28P01', true, undefined],
  ['is shutting down', true, '57P03', false, undefined],
])('a server that %s', ([, asked, code, expired, judged]) => {
  expect(judgeLogin({ asked, code }, expired)).toBe(judged)
})

test('a plan says why a password is set that cannot be compared', () => {
  expect(whySet('differs')).toContain('the server refuses')
  expect(whySet('unknown')).toContain('not remembered')
})
