import { expect, test } from 'vitest'
import { planSurplus } from './passed-on.ts'
import type { AclEntry } from './types.ts'

const entry = (grantor: string, grantee: string, grantable = false, privilege = 'SELECT'): AclEntry => ({
  grantor,
  grantee,
  privilege,
  grantable,
})
const exact = new Set(['a', 'b', 'c'])
const plan = (acl: AclEntry[], declared: string[]) => {
  const { surplus, stays } = planSurplus(acl, { exact, isDeclared: (grantee) => declared.includes(grantee) })
  const named = surplus.map(({ entry: { grantor, grantee }, optionOnly, passedOn, keptBy }) =>
    [
      `${grantor}>${grantee}`,
      optionOnly && 'option',
      passedOn.length > 0 && `with ${passedOn}`,
      keptBy.length > 0 && `kept by ${keptBy}`,
    ]
      .filter(Boolean)
      .join(' '),
  )
  return { named, stays: stays.map(({ grantor, grantee }) => `${grantor}>${grantee}`) }
}

test.for([
  ['declared, and not passed on', [entry('o', 'a')], ['a'], [], ['o>a']],
  ['only the grant option is revoked, the privilege stays', [entry('o', 'a', true)], ['a'], ['o>a option'], ['o>a']],
  [
    'a privilege that a declared role passed on to a declared one is revoked, to be granted again',
    [entry('o', 'a', true), entry('a', 'b')],
    ['a', 'b'],
    ['o>a option with b'],
    ['o>a'],
  ],
  [
    'no role is declared: one revoke takes the privilege from all',
    [entry('o', 'a', true), entry('a', 'b', true), entry('b', 'c')],
    [],
    ['o>a with b,c'],
    [],
  ],
  [
    'an undeclared role keeps the privilege, and so does the role that passed it on',
    [entry('o', 'a', true), entry('a', 'x')],
    [],
    ['o>a kept by x'],
    ['o>a', 'a>x'],
  ],
  [
    'even through several roles; entries on which nobody else depends are revoked',
    [entry('o', 'a', true), entry('a', 'b', true), entry('b', 'x'), entry('a', 'c')],
    [],
    ['o>a kept by x', 'a>b kept by x', 'a>c'],
    ['o>a', 'a>b', 'b>x'],
  ],
  [
    'PUBLIC is an undeclared role',
    [entry('o', 'a', true), entry('a', 'PUBLIC')],
    ['a'],
    ['o>a option kept by PUBLIC'],
    ['o>a', 'a>PUBLIC'],
  ],
  ['a grant by an undeclared role is revoked alone', [entry('o', 'x', true), entry('x', 'a')], [], ['x>a'], ['o>x']],
  [
    'an entry granted by the owner stays',
    [entry('o', 'a', true), entry('a', 'b'), entry('o', 'b')],
    ['a', 'b'],
    ['o>a option with b'],
    ['o>a', 'o>b'],
  ],
  [
    'other privileges do not depend on it',
    [entry('o', 'a', true), entry('a', 'b', false, 'INSERT')],
    ['a', 'b'],
    ['o>a option'],
    ['o>a', 'a>b'],
  ],
] as const)('%s', ([, acl, declared, named, stays]) => {
  expect(plan([...acl], [...declared])).toEqual({ named, stays })
})
