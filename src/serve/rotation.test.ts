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
  test('leads to setting the password if that is ours, has changed since up, and may be set', () => {
    expect(answerTo(refusal)).toEqual({ set: true })
  })

  test.each<[string, Partial<LoginRefusal>, string | undefined]>([
    ['for a role without a declared password', { declared: false }, undefined],
    ['for the target’s own user', { admin: true }, undefined],
    ['with applyOnRotation: never', { mode: 'never' }, 'the secret has changed since `up`: run `pgbosun up`'],
    ['without up', { upDone: false }, 'the secret has changed since `up`: run `pgbosun up`'],
    ['without up, for the target’s own user', { upDone: false, admin: true }, 'the secret has changed since `up`: run'],
    ['with the secret that was applied', { secret: { state: 'same' } }, 'if its password was rotated'],
    ['with a secret that is being written', { secret: { state: 'changing' } }, 'is being written'],
    [
      'with a secret that cannot be read',
      { secret: { state: 'unreadable', problem: 'the file /x is empty' } },
      '/x is empty',
    ],
    [
      'that sends another password than the declared one',
      { secret: { state: 'elsewhere', source: 'backup.url' } },
      'backup.url has another',
    ],
  ])('%s does not set the password', (_, change, hint) => {
    const answer = answerTo({ ...refusal, ...change })
    expect(answer).toEqual({ set: false, hint: hint === undefined ? undefined : expect.stringContaining(hint) })
  })
})

describe('the conditions of secrets', () => {
  const first = secretConditions({ changed: ['app'], unreadable: [] }, [], '2026-03-01T00:00:00Z')

  test('have the roles, what happened and what to do; without changes there are none', () => {
    expect(first).toEqual([
      {
        name: 'secret-changed',
        severity: 'warning',
        roles: ['app'],
        message: 'the declared password of app has changed since `up`, but the server still has the old one',
        hint: expect.stringContaining('`pgbosun up`'),
        since: '2026-03-01T00:00:00Z',
      },
    ])
    expect(secretConditions({ changed: [], unreadable: [] }, first, '2026-03-01T00:00:30Z')).toEqual([])
  })

  test('keep their instant, even with other roles', () => {
    const same = secretConditions({ changed: ['app'], unreadable: [] }, first, '2026-03-01T00:00:30Z')
    expect(same).toEqual(first)
    const more = secretConditions({ changed: ['app', 'ro'], unreadable: [] }, first, '2026-03-01T00:01:00Z')
    expect(more[0]?.since).toBe('2026-03-01T00:00:00Z')
  })

  test('have a secret that cannot be read, with the reason', () => {
    const unreadable = [{ role: 'app', problem: 'the password of role app: the file /x does not exist' }]
    expect(secretConditions({ changed: [], unreadable }, [], 'now')).toMatchObject([
      { name: 'secret-unreadable', roles: ['app'], message: expect.stringContaining('/x does not exist') },
    ])
  })
})
