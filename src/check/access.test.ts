import { describe, expect, test } from 'vitest'
import { type Access, adviceOnAccess, adviceOnPasswordAge, type DeclaredAccess } from './access.ts'

const now = new Date('2026-11-30T12:00:00Z')
const day = 86_400_000
const shop: DeclaredAccess = { role: 'shop', databases: ['shop'], hasPassword: true }
const nothing: Access = {
  reachable: [],
  owned: [],
  expiring: [],
  mayBecome: [],
  withoutPassword: [],
  sessionUser: 'postgres',
}

const advice = (found: Partial<Access>, declared = [shop]) =>
  adviceOnAccess(declared, { ...nothing, ...found }, { lockDatabase: 'postgres', now })

describe('advice on who may log in where', () => {
  test('is none when everybody reaches what is declared', () => {
    expect(advice({ reachable: [{ role: 'shop', database: 'shop', byPublic: false }] })).toEqual([])
  })

  test('names the databases that everybody may connect to, quoted, and not the lock database', () => {
    const reachable = ['crm', 'postgres', 'Odd "one"'].map((database) => ({ role: 'shop', database, byPublic: true }))
    expect(advice({ reachable })).toEqual([
      'shop can also connect to crm, Odd "one", because everybody may: `revoke connect on database "crm" from public; revoke connect on database "Odd ""one""" from public`, and grant CONNECT to those who need it',
    ])
  })

  test('names users that reach the same databases together', () => {
    const reachable = ['shop', 'shop_ro'].map((role) => ({ role, database: 'crm', byPublic: true }))
    expect(advice({ reachable }, [shop, { ...shop, role: 'shop_ro' }])).toEqual([
      expect.stringMatching(/^shop, shop_ro can also connect to crm, because/),
    ])
  })

  test('tells what was granted from what everybody has', () => {
    const reachable = [{ role: 'shop', database: 'crm', byPublic: false }]
    expect(advice({ reachable })).toEqual([
      expect.stringMatching(/^shop can also connect to crm, which is not declared there/),
    ])
  })

  test('names foreign objects, and logins without a password', () => {
    const owned = [
      { role: 'shop', database: 'shop', count: 5 },
      { role: 'shop', database: 'crm', count: 2 },
    ]
    expect(advice({ owned })).toEqual([expect.stringMatching(/^shop is declared for shop, but owns 2 objects in crm:/)])
    expect(advice({ withoutPassword: ['a'] })).toEqual([expect.stringMatching(/^the login a has no password/)])
    expect(advice({ withoutPassword: ['a', 'b'] })).toEqual([
      expect.stringMatching(/^the logins a, b have no password/),
    ])
    expect(advice({ withoutPassword: undefined })).toEqual([expect.stringMatching(/was not checked: postgres may not/)])
  })

  for (const [days, expected] of [
    [14.5, []],
    [14, [expect.stringMatching(/expires in 14 d: nobody can log in with it then/)]],
    [-1, [expect.stringMatching(/expired 1 d ago: nobody can log in with it any more/)]],
  ] as const)
    test(`about a password that expires in ${days} days`, () => {
      expect(advice({ expiring: [{ role: 'shop', atMs: now.getTime() + days * day }] })).toEqual(expected)
    })
})

describe('advice on the age of passwords', () => {
  const aged = (setDays: number | undefined, sinceDays: number | undefined, declared = [shop]) =>
    adviceOnPasswordAge(
      declared,
      {
        setAt: new Map(setDays === undefined ? [] : [['shop', now.getTime() - setDays * day]]),
        sinceMs: sinceDays === undefined ? undefined : now.getTime() - sinceDays * day,
      },
      { maxAgeMs: 90 * day, now },
    )

  for (const [what, set, since, expected] of [
    ['set lately', 1, 200, []],
    ['set long ago', 91, 200, ['the password of shop was set 91 d ago, but check.passwordAge is 90d']],
    [
      'not set for as long as events go back',
      undefined,
      200,
      [expect.stringMatching(/not set by pgbosun within the last 200 d/)],
    ],
    ['not set, but events do not go back far enough', undefined, 10, [expect.stringMatching(/is not known/)]],
    ['not set, and without events', undefined, undefined, [expect.stringMatching(/is not known/)]],
  ] as const)
    test(`${what}`, () => {
      expect(aged(set, since)).toEqual(expected)
    })

  test('says nothing of users whose password is not declared', () => {
    expect(aged(undefined, undefined, [{ ...shop, hasPassword: false }])).toEqual([])
  })
})
