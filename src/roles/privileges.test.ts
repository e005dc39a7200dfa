import { expect, test } from 'vitest'
import { privilegesOf, spelledOut } from './privileges.ts'
import type { GrantableKind } from './types.ts'

const ofTables = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']

test.each<[GrantableKind, number, string[]]>([
  ['schema', 17, ['USAGE', 'CREATE']],
  ['table', 13, ofTables],
  ['table', 16, ofTables],
  ['table', 17, [...ofTables, 'MAINTAIN']],
  ['table', 18, [...ofTables, 'MAINTAIN']],
  ['sequence', 17, ['USAGE', 'SELECT', 'UPDATE']],
  ['routine', 17, ['EXECUTE']],
  ['type', 17, ['USAGE']],
])('ALL of a %s is, to PostgreSQL %i, %j', (kind, major, privileges) => {
  expect(spelledOut(kind, ['ALL'], major)).toEqual(privileges)
})

test('ALL beside other privileges is all of them, once each', () => {
  expect(spelledOut('sequence', ['SELECT', 'ALL'], 15)).toEqual(['USAGE', 'SELECT', 'UPDATE'])
})

test('what was named is left as it is, also what this server does not know', () => {
  expect(spelledOut('table', ['MAINTAIN', 'SELECT'], 16)).toEqual(['MAINTAIN', 'SELECT'])
  expect(spelledOut('table', [], 17)).toEqual([])
})

test('every kind of thing has its privileges', () => {
  expect(Object.keys(privilegesOf)).toEqual([
    ...['schema', 'table', 'sequence', 'routine', 'type'],
    ...['language', 'foreign server', 'foreign data wrapper', 'large object'],
  ])
})
