import { describe, expect, test } from 'vitest'
import { chooseClosed, chooseIdle, type Look, type Pair, pairOf } from './plan-rotation.ts'
import type { DesiredRole } from './types.ts'

const user = (name: string, more: Partial<DesiredRole> = {}): DesiredRole => ({
  name,
  kind: 'user',
  inherits: true,
  password: { env: name },
  ...more,
})
const members = (group: string, ...names: string[]) => names.map((member) => ({ role: group, member }))

describe('the pair that a name means', () => {
  const roles = [user('a'), user('b'), user('c'), { ...user('d'), kind: 'group' as const }]
  const memberships = [...members('shop', 'a', 'b', 'd'), ...members('reports', 'c'), ...members('all', 'a', 'b', 'c')]

  test.each(['shop', 'a', 'b'])('%s', (name) => {
    expect(pairOf({ roles, memberships }, name)).toEqual({ group: 'shop', logins: ['a', 'b'] })
  })

  test.for([
    ['reports', 'found c'],
    ['all', 'found a, b, c'],
    ['c', 'found none'],
    ['nobody', 'found none'],
  ])('is none for %s', ([name, found]) => {
    expect(() => pairOf({ roles, memberships }, name!)).toThrow(found!)
  })

  test('has to be named by its group where a login has two partners', () => {
    const both = { roles, memberships: [...members('shop', 'a', 'b'), ...members('other', 'a', 'c')] }
    expect(() => pairOf(both, 'a')).toThrow('name the group')
    expect(pairOf(both, 'b').group).toBe('shop')
  })

  test('is none where one of the two has no declared password', () => {
    const { password: _, ...without } = user('b')
    expect(() => pairOf({ roles: [user('a'), without], memberships }, 'shop')).toThrow('found a')
  })
})

const pair: Pair = { group: 'shop', logins: ['a', 'b'] }
const looks = (...all: Record<string, number>[]): Look[] => all.map((one) => new Map(Object.entries(one)))
const none = looks({}, {}, {})
const [ofA, ofB] = [looks({ a: 2 }, { a: 1 }, {}), looks({}, { b: 1 }, {})]
const both = looks({ a: 1 }, { b: 1 }, {})

describe('the login that gets a new password', () => {
  test.for<[string, Parameters<typeof chooseIdle>[1], string | undefined, string]>([
    ['is the one that is not remembered as used', { inUse: 'a', looks: none }, undefined, 'b'],
    ['is the one without sessions', { looks: ofB }, undefined, 'a'],
    ['is the one that is named', { looks: none }, 'a', 'a'],
    ['is the one that is named, whatever is remembered', { inUse: 'a', looks: ofB }, 'a', 'a'],
  ])('%s', ([, known, asked, idle]) => {
    expect(chooseIdle(pair, known, asked)).toEqual({ idle, other: idle === 'a' ? 'b' : 'a' })
  })

  test.for<[string, Parameters<typeof chooseIdle>[1], string | undefined, string]>([
    ['neither has sessions', { looks: none }, undefined, 'neither a nor b'],
    ['both have', { looks: both }, undefined, 'a and b both have sessions'],
    ['the remembered one has', { inUse: 'a', looks: ofB }, undefined, 'b has 1 session'],
    ['the named one has', { looks: ofA }, 'a', 'a has 2 sessions'],
    ['another role is named', { looks: none }, 'c', '--idle c is neither a nor b'],
  ])('is not certain when %s', ([, known, asked, problem]) => {
    expect(() => chooseIdle(pair, known, asked)).toThrow(problem)
  })
})

describe('the login that is closed', () => {
  const underWay = { inUse: 'a', next: 'b' }
  test.for<[string, Parameters<typeof chooseClosed>[1], string | undefined, string]>([
    ['is the one that was used, once the other one is', { ...underWay, looks: ofB }, undefined, 'a'],
    ['is the one that is named, even if nobody is connected', { looks: none }, 'b', 'b'],
  ])('%s', ([, known, asked, idle]) => {
    expect(chooseClosed(pair, known, asked).idle).toBe(idle)
  })

  test.for<[string, Parameters<typeof chooseClosed>[1], string | undefined, string]>([
    ['no rotation is under way', { inUse: 'a', looks: ofB }, undefined, 'no rotation of shop is under way'],
    ['it has sessions', { ...underWay, looks: both }, undefined, 'a still has 1 session'],
    ['it is named, and has sessions', { looks: ofA }, 'a', 'a still has 2 sessions'],
    ['nobody uses the other one', { ...underWay, looks: none }, undefined, 'nobody is connected as b'],
  ])('is not certain when %s', ([, known, asked, problem]) => {
    expect(() => chooseClosed(pair, known, asked)).toThrow(problem)
  })
})
