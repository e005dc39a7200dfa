import { expect, test } from 'vitest'
import { builtBy, concurrentIndexOf, type FoundIndex, leftBy } from './concurrent.ts'

test.each([
  ['create index concurrently i on t (a)', { name: 'i', table: 't' }],
  ['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I" ON s."T" (a)', { name: '"I"', table: 's."T"' }],
  ['create index concurrently on t (a)', { name: undefined, table: 't' }],
  ['create index concurrently on only s.t (a)', { name: undefined, table: 's.t' }],
  ['create index concurrently i on only t (a)', { name: 'i', table: 't' }],
  ['create index /* x */ concurrently i -- y\n on t using gin (a)', { name: 'i', table: 't' }],
  ['create index i on t (a)', undefined],
  ['create index "concurrently" on t (a)', undefined],
  ['create table concurrently (a int)', undefined],
  ['drop index concurrently i', undefined],
  ['reindex index concurrently i', undefined],
  ['create index concurrently i', undefined],
])('%s builds %j', (text, index) => {
  expect(concurrentIndexOf(text)).toEqual(index)
})

const found = (name: string, valid: boolean): FoundIndex => ({ name, valid, drop: `drop ${name}`, busyPid: null })
const indexes = [found('a', true), found('b', false), found('c', true), found('d', false)]
const named = (name: string | undefined) => ({ name, table: 't' })

test.each<[string, string | undefined, string[] | undefined, string[], string | undefined]>([
  ['a name that is invalid', 'b', undefined, ['b'], undefined],
  ['a name that is valid', 'a', undefined, [], 'a'],
  ['a name that is valid, and was so before', 'a', ['a'], [], undefined],
  ['a name in capitals', 'B', undefined, ['b'], undefined],
  ['a quoted name in capitals', '"B"', undefined, [], undefined],
  ['a name that is not there', 'x', [], [], undefined],
  ['no name, where nothing is known of before', undefined, undefined, [], undefined],
  ['no name, where all were there before', undefined, ['a', 'b', 'c', 'd'], [], undefined],
  ['no name, where some were there before', undefined, ['a', 'b'], ['d'], 'c'],
])('of an interrupted build of %s it is found what it left, and what it finished', (_, name, before, left, built) => {
  expect(leftBy(named(name), indexes, before).map((index) => index.name)).toEqual(left)
  expect(builtBy(named(name), indexes, before)?.name).toBe(built)
})

test('a name is as long as the catalog keeps it, and quotes in it are single', () => {
  const [long, wide] = ['x'.repeat(70), `${'x'.repeat(62)}é`]
  expect(leftBy(named(long), [found('x'.repeat(63), false)], [])).toHaveLength(1)
  expect(leftBy(named(`"${wide}"`), [found('x'.repeat(62), false)], [])).toHaveLength(1)
  expect(leftBy(named('"a""b"'), [found('a"b', false)], [])).toHaveLength(1)
})
