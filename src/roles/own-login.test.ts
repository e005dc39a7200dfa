import { expect, test } from 'vitest'
import type { Password } from '../postgres/scram.ts'
import type { ClusterAction, Planned } from './actions.ts'
import { isOwn, ownLast, refusedLogin } from './own-login.ts'
import type { CurrentCluster, DesiredRole, DesiredRoles } from './types.ts'

const action = (payload: ClusterAction): Planned<ClusterAction> => ({
  change: { action: 'alter', object: 'role x', reason: 'as declared' },
  payload,
})
const setting = (role: string | null) =>
  action({ do: 'set', setting: { role, database: null, name: 'jit', value: 'off' } })
const grant = (role: string, member: string) =>
  action({ do: 'grant role', role, member, grantor: null, withOptions: true, admin: false, inherit: true, set: true })

test.each<[string, Planned<ClusterAction>, boolean]>([
  ['its password', action({ do: 'set password', role: 'me', sent: 'x', plain: false }), true],
  ['its limit', action({ do: 'limit role', role: 'me', connectionLimit: 9 }), true],
  ['a setting of it', setting('me'), true],
  ['a setting of a database', setting(null), false],
  ['a setting of another user', setting('other'), false],
  ['the password of another user', action({ do: 'set password', role: 'other', sent: 'x', plain: false }), false],
  ['what it is a member of', grant('group', 'me'), false],
  ['who is a member of it', grant('me', 'other'), false],
  ['a database', action({ do: 'limit database', database: 'me', connectionLimit: 9 }), false],
])('what changes the user that we connect as is told from what does not: %s', (_, planned, expected) => {
  expect(isOwn(planned, 'me')).toBe(expected)
})

test('what changes our own login goes last, in its order', () => {
  const [first, second] = [action({ do: 'create role', role: 'me', login: true }), setting('me')]
  const [third, fourth] = [grant('group', 'me'), setting('other')]
  expect(ownLast([first, third, second, fourth], 'me')).toEqual([third, fourth, first, second])
})

const now = new Date('2026-03-01T12:00:00Z')

type Case = { name?: string; current?: number | 'infinity'; secret?: Password; stored?: string | null }

function refused(declared: Partial<DesiredRole>, { name = 'me', current = 'infinity', secret, stored }: Case = {}) {
  const desired: DesiredRoles = {
    ...{
      mode: 'declared',
      strictAccept: [],
      memberships: [],
      settings: [],
      databases: [],
      absent: [],
      readAll: [],
      connects: [],
    },
    roles: [{ name, kind: 'user', inherits: true, ...declared }],
  }
  const cluster: CurrentCluster = {
    ...{ major: 17, scramIterations: 4096, memberships: [], settings: [], databases: [], leftovers: [] },
    session: { name: 'me', superuser: false, createRole: true, createDatabase: true },
    roles: [
      {
        ...{
          name: 'me',
          login: true,
          superuser: false,
          inherits: true,
          bypassRls: false,
          createRole: false,
          createDb: false,
          replication: false,
          connectionLimit: -1,
        },
        validUntil: current,
      },
    ],
    verifiers: stored === undefined ? undefined : new Map([['me', stored]]),
  }
  const error = refusedLogin(desired, cluster, { now, secret })
  return error && [error.kind, error.hint !== undefined]
}

const refusal = ['usage', true]
const yesterday = '2026-02-28T12:00:00Z'

test.each<[string, Partial<DesiredRole>, Case, unknown]>([
  ['nothing that is declared', {}, {}, undefined],
  ['no limit', { connectionLimit: -1 }, {}, undefined],
  ['fewer sessions than a run needs', { connectionLimit: 7 }, {}, refusal],
  ['none at all', { connectionLimit: 0 }, {}, refusal],
  ['as many as a run needs', { connectionLimit: 8 }, {}, undefined],
  ['few sessions for somebody else', { connectionLimit: 1 }, { name: 'other' }, undefined],
  ['few sessions of a group of its name', { connectionLimit: 1, kind: 'group' }, {}, undefined],
  ['a time that is past', { validUntil: yesterday }, {}, refusal],
  ['this very instant', { validUntil: '2026-03-01T12:00:00Z' }, {}, refusal],
  ['a time that is to come', { validUntil: '2026-03-01T12:00:01Z' }, {}, undefined],
  ['no end', { validUntil: 'infinity' }, {}, undefined],
  ['a time that is past and changes nothing', { validUntil: yesterday }, { current: Date.parse(yesterday) }, undefined],
  ['a password', {}, { secret: { password: 'pencil', prepared: 'pencil' }, stored: null }, undefined],
  ['the verifier that is there', {}, { secret: { verifier: 'v' }, stored: 'v' }, undefined],
  ['another verifier', {}, { secret: { verifier: 'v' }, stored: 'w' }, refusal],
  ['a verifier where there is none', {}, { secret: { verifier: 'v' }, stored: null }, refusal],
  ['a verifier where we may not read them', {}, { secret: { verifier: 'v' } }, refusal],
])('that the next run can still log in is made sure of: %s', (_, declared, how, expected) => {
  expect(refused(declared, how)).toEqual(expected)
})
