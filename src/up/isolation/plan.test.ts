import { describe, expect, test } from 'vitest'
import type { Connection } from '../../config/connection.ts'
import type { Rights } from '../../postgres/login.ts'
import { planIsolation } from './plan.ts'

const rights = (change: Partial<Rights> = {}): Rights => ({
  sessionUser: 'deploy',
  superuser: false,
  more: ['is a member of crm_owner'],
  mayCreateRole: true,
  mayGrantRole: true,
  lacks: [],
  ...change,
})
const connection = { source: 'migrate.url' } as Connection
const nothing = { connection: undefined, accepted: false }

describe('the isolation of the owner’s code from the rights of the session user', () => {
  test.each<[what: string, args: Parameters<typeof planIsolation>, planned: object]>([
    ['is not needed when files run as the session user', [undefined, undefined, nothing], { mode: 'none' }],
    ['is not needed when the role does not exist', ['shop', undefined, nothing], { mode: 'none' }],
    [
      'is not needed when the session user has no more rights',
      ['shop', rights({ more: [] }), { connection, accepted: true }],
      { mode: 'none' },
    ],
    ['is a login for the run', ['shop', rights(), nothing], { mode: 'login' }],
    [
      'is the configured login, if there is one',
      ['shop', rights({ superuser: true }), { connection, accepted: true }],
      { mode: 'url', connection },
    ],
    [
      'is SET ROLE alone, if that was accepted',
      ['shop', rights(), { connection: undefined, accepted: true }],
      { mode: 'role' },
    ],
    [
      'is impossible without CREATEROLE',
      ['shop', rights({ mayCreateRole: false, mayGrantRole: false }), nothing],
      { mode: 'impossible', why: 'may not create a login for this run' },
    ],
    [
      'is impossible without ADMIN on the owner',
      ['shop', rights({ mayGrantRole: false }), nothing],
      { mode: 'impossible', why: 'may not let others act as shop' },
    ],
  ])('%s', (_, args, planned) => {
    expect(planIsolation(...args)).toMatchObject(planned)
  })
})
