import { describe, expect, test } from 'vitest'
import type { Item } from '../../plan.ts'
import { type Allowed, unreviewed } from './gate.ts'

const grant = (keys: string[], { thing = 'old', reason = 'is missing' } = {}): Item => ({
  action: 'grant',
  object: 'SELECT',
  reason,
  sql: [keys.join()],
  atoms: keys.map((key) => ({ key, thing })),
})
const apply: Item = { action: 'apply', object: 'migration 001', reason: 'pending', sha256: 'a' }

const allowed: Allowed = {
  items: new Map([
    ['migrate', [apply]],
    ['grant', [grant(['a', 'b'])]],
  ]),
  things: new Set(['old']),
}

describe('the gate', () => {
  test('lets through what was reviewed, and stops everything else of that step', () => {
    const other = { ...apply, sha256: 'b' }
    expect(unreviewed('migrate', [apply, other], allowed)).toEqual([other])
    expect(unreviewed('seed', [apply], allowed)).toEqual([apply])
  })

  test('lets through what follows from something else', () => {
    expect(unreviewed('migrate', [{ ...apply, object: 'schema pgbosun', implied: true }], allowed)).toEqual([])
  })

  test('lets through privileges that were reviewed together with others', () => {
    expect(unreviewed('grant', [grant(['b'])], allowed)).toEqual([])
    expect(unreviewed('grant', [grant(['b', 'c'])], allowed)).toHaveLength(1)
  })

  test('lets through privileges on what did not exist when the plan was made', () => {
    expect(unreviewed('grant', [grant(['c'], { thing: 'new' })], allowed)).toEqual([])
    expect(unreviewed('ensure', [grant(['c'], { thing: 'new' })], allowed)).toHaveLength(1)
  })

  test('stops a change of privileges that says nothing about them', () => {
    expect(unreviewed('grant', [{ ...grant([]), reason: 'x' }], allowed)).toHaveLength(1)
  })
})
