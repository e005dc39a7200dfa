import { expect, test } from 'vitest'
import { planSeeds } from './plan.ts'
import type { SqlSeed } from './types.ts'

const seed = (name: string, checksum: string): SqlSeed => ({ kind: 'sql', name, checksum, text: '' })
const seeds = [seed('b.sql', '1'), seed('a.sql', '1'), seed('c.sql', '2')]

const reasons = (history: { name: string; checksum: string }[], force = false) =>
  planSeeds(seeds, history, { force }).map(({ change }) => `${change.action} ${change.object}: ${change.reason}`)

test('loads everything into an empty database, in the order given', () => {
  expect(reasons([])).toEqual([
    'load seed b.sql: not loaded yet',
    'load seed a.sql: not loaded yet',
    'load seed c.sql: not loaded yet',
  ])
})

test('loads seeds that are new or have changed, and nothing else', () => {
  const history = [
    { name: 'c.sql', checksum: '1' },
    { name: 'b.sql', checksum: '1' },
    { name: 'gone.sql', checksum: '1' },
  ]
  expect(reasons(history)).toEqual(['load seed a.sql: not loaded yet', 'load seed c.sql: changed since it was loaded'])
})

test('with force, also loads seeds that have not changed', () => {
  expect(reasons([seeds[0]!, seeds[1]!], true)).toEqual([
    'load seed b.sql: forced',
    'load seed a.sql: forced',
    'load seed c.sql: not loaded yet',
  ])
})

test('compares the file of a sync seed, not what its table was like', () => {
  const history = [
    { name: 'b.sql', checksum: '1:5-99' },
    { name: 'a.sql', checksum: '2:5-99' },
    { name: 'c.sql', checksum: '2' },
  ]
  const differs = new Map([['b.sql', 'its table was changed']])
  expect(planSeeds(seeds, history, { differs }).map(({ change }) => change.reason)).toEqual([
    'its table was changed',
    'changed since it was loaded',
  ])
})
