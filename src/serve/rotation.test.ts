import { describe, expect, test } from 'vitest'
import { answerTo, type LoginRefusal, secretConditions } from './rotation.ts'

const refusal: LoginRefusal = {
  mode: 'own',
  declared: true,
  admin: false,
  upDone: true,
  secret: { state: 'changed' },
}

describe('a refused login', () => {
  test('is answered with the new password where it is ours, has changed since up, and may be set', () => {
    expect(answerTo(refusal)).toEqual({ set: true })
  })

  test.each<[string, Partial<LoginRefusal>, string | undefined]>([
    ['of a role without a declared password', { declared: false }, undefined],
    ['of the target’s own user', { admin: true }, undefined],
    ['where it is not to be set', { mode: 'never' }, 'the secret has changed since `up`: run `pgbosun up`'],
    ['without up', { upDone: false }, 'the secret has changed since `up`: run `pgbosun up`'],
    ['without up, of the target’s own user', { upDone: false, admin: true }, 'the secret has changed since `up`: run'],
    ['whose secret is what was applied', { secret: { state: 'same' } }, 'if its password was rotated'],
    ['whose secret is being written', { secret: { state: 'changing' } }, 'is being written'],
    [
      'whose secret cannot be read',
      { secret: { state: 'unreadable', problem: 'the file /x is empty' } },
      '/x is empty',
    ],
    ['that sends another password', { secret: { state: 'elsewhere', source: 'backup.url' } }, 'backup.url has another'],
  ])('%s stays one', (_, change, hint) => {
    const answer = answerTo({ ...refusal, ...change })
    expect(answer).toEqual({ set: false, hint: hint === undefined ? undefined : expect.stringContaining(hint) })
  })
})

describe('the conditions', () => {
  const first = secretConditions({ changed: ['app'], unreadable: [] }, [], '2026-03-01T00:00:00Z')

  test('name the roles, what happened and what to do, and nothing is one', () => {
    expect(first).toEqual([
      {
        name: 'secret-changed',
        severity: 'warning',
        roles: ['app'],
        message: 'the declared password of app has changed since `up`, but the server still has the old',
        hint: expect.stringContaining('`pgbosun up`'),
        since: '2026-03-01T00:00:00Z',
      },
    ])
    expect(secretConditions({ changed: [], unreadable: [] }, first, '2026-03-01T00:00:30Z')).toEqual([])
  })

  test('keep their instant, also with other roles', () => {
    const same = secretConditions({ changed: ['app'], unreadable: [] }, first, '2026-03-01T00:00:30Z')
    expect(same).toEqual(first)
    const more = secretConditions({ changed: ['app', 'ro'], unreadable: [] }, first, '2026-03-01T00:01:00Z')
    expect(more[0]?.since).toBe('2026-03-01T00:00:00Z')
  })

  test('tell of a secret that cannot be read, with the reason', () => {
    const unreadable = [{ role: 'app', problem: 'the password of role app: the file /x does not exist' }]
    expect(secretConditions({ changed: [], unreadable }, [], 'now')).toMatchObject([
      { name: 'secret-unreadable', roles: ['app'], message: expect.stringContaining('/x does not exist') },
    ])
  })
})
