import { describe, expect, test } from 'vitest'
import { arrangeSteps, type Reference } from './arrange.ts'
import type { SeedStep } from './plan.ts'
import type { RowsSeed } from './types.ts'

const step = (name: string, table = name): SeedStep => ({
  seed: { kind: 'rows', name, table: { schema: 'public', name: table } } as RowsSeed,
  change: { action: 'load', object: `seed ${name}`, reason: 'new' },
})
const sql: SeedStep = { ...step('sql'), seed: { kind: 'sql', name: 'sql', text: '', checksum: '' } }

/** `a>b`: a refers to b, deferrably with `~`. */
const references = (text: string): Reference[] =>
  text
    .split(' ')
    .filter(Boolean)
    .map((pair) => {
      const [from = '', to = ''] = pair.split(/[>~]/)
      const at = (name: string) => ({ schema: 'public', name })
      return { name: `${from}_${to}`, from: at(from), to: at(to), columns: [to], deferrable: pair.includes('~') }
    })

const headers = new Map('abcd'.split('').map((name) => [name, ['a', 'b', 'c', 'd']]))

/** Names in order; those that are loaded together in brackets. */
const arranged = (steps: SeedStep[], text: string) =>
  arrangeSteps(steps, references(text), headers)
    .map(({ seed, together }) => (together === undefined ? seed.name : `[${seed.name}]`))
    .join(' ')

const all = ['a', 'b', 'c', 'd'].map((name) => step(name))

describe('seeds', () => {
  test.for([
    ['', 'a b c d'],
    ['b>a d>c', 'a b c d'],
    ['a>d', 'd a b c'],
    ['a>b b>c c>d', 'd c b a'],
    ['b>d a>a', 'a d b c'],
    ['a~b b~a', '[a] [b] c d'],
    ['a~b b>a', '[a] [b] c d'],
    ['a>b b~a', '[b] [a] c d'],
    ['a>c c~a c>d', 'd [c] [a] b'],
    ['a>b b>a', 'a b c d'],
    ['a>b b~a c>d d~c', '[b] [a] [d] [c]'],
  ] as const)('with %j are loaded as %s', ([text, order]) => {
    expect(arranged(all, text)).toBe(order)
  })

  test('of other kinds, for one table, or without the columns of the key stay where they are', () => {
    expect(arranged([all[0]!, sql, all[1]!], 'a>b')).toBe('b a sql')
    expect(arranged([step('a'), step('b', 'a')], 'a>a')).toBe('a b')
    const without = new Map([['a', ['id']]])
    expect(arrangeSteps(all, references('a>d'), without).map(({ seed }) => seed.name)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('say why they were moved, and what a circle needs', () => {
    const [first] = arrangeSteps(all, references('a>d'), headers)
    expect(first?.change.reason).toBe('new; before a, which refers to it')
    const [circle] = arrangeSteps(all, references('a>b b>a'), headers)
    expect(circle?.cycle).toContain('alter table "public"."a" alter constraint "a_b" deferrable')
  })
})
