import { expect, test } from 'vitest'
import { isStory, planDatabases, planWarnings, type ServerDatabase } from './databases.ts'

const database = (name: string, more: Partial<ServerDatabase> = {}): ServerDatabase => ({
  ...{ name, template: false, connectable: true, comment: null },
  ...more,
})

const server = [
  database('template1', { template: true }),
  database('template0', { template: true, connectable: false }),
  database('postgres'),
  database('shop'),
  database('Shop.2', { comment: 'the other one' }),
  database('a*b'),
  database('closed', { connectable: false }),
  database('shop__before_0123abcd', { comment: '{"pgbosun":"replaced","kind":"before"}' }),
  database('shop__restore_0123abcd'),
  database('renamed by hand', { comment: '{"pgbosun":"restore"}' }),
  database('shop__create_0123abcd'),
  database('caf\udce9'),
]

test('without a pattern the list is what it says, whatever the server has', () => {
  expect(planDatabases(['template1', 'gone', 'shop', 'gone'], server)).toEqual({
    ...{ chosen: ['template1', 'gone', 'shop'], leftOut: [], unmatched: [] },
  })
})

test('* means every database but templates, what refuses connections, and what has a story of ours as its comment', () => {
  const plan = planDatabases(['*'], server, ['shop'])
  expect(plan.chosen).toEqual(['Shop.2', 'a*b', 'postgres', 'shop', 'shop__restore_0123abcd'])
  expect(plan.leftOut).toEqual([
    { database: 'caf\udce9', reason: 'broken' },
    { database: 'closed', reason: 'closed' },
    { database: 'renamed by hand', reason: 'story' },
    { database: 'shop__before_0123abcd', reason: 'story' },
    { database: 'shop__create_0123abcd', reason: 'unfinished' },
    { database: 'template0', reason: 'template' },
    { database: 'template1', reason: 'template' },
  ])
  expect(planWarnings(plan)).toEqual([
    'caf\\xe9 is not backed up: its name is not valid UTF-8',
    'closed is not backed up: it accepts no connections (`alter database … allow_connections true` changes that)',
  ])
})

test('a database that looks unfinished is only left out if its name is declared', () => {
  expect(planDatabases(['*__create_*'], server, ['sho']).chosen).toEqual(['shop__create_0123abcd'])
})

test('names and patterns are taken in their order, each database once', () => {
  expect(planDatabases(['shop', 'Shop*', '*', 'postgres'], server).chosen.slice(0, 3)).toEqual([
    'shop',
    'Shop.2',
    'a*b',
  ])
  expect(planDatabases(['a*b'], server).chosen).toEqual(['a*b'])
  expect(planDatabases(['a?b'], server).chosen).toEqual(['a*b'])
})

test('a name is backed up even if a pattern would leave it out', () => {
  const plan = planDatabases(['closed', 'shop__before_0123abcd', '*o*e*d'], server)
  expect(plan.chosen).toEqual(['closed', 'shop__before_0123abcd', 'shop__create_0123abcd', 'shop__restore_0123abcd'])
  expect(plan.leftOut).toEqual([])
})

test('a pattern that chooses nothing is said', () => {
  const plan = planDatabases(['shop', 's*p', 'log_*', 'template?'], server)
  expect(plan.unmatched).toEqual(['log_*', 'template?'])
  expect(planWarnings(plan)).toEqual([
    'log_* in backup.databases matches no database that can be backed up',
    'template? in backup.databases matches no database that can be backed up',
  ])
})

test('a story is JSON that says pgbosun, and nothing else', () => {
  expect(['{"pgbosun":"shadow"}', '{"of":"x","pgbosun":"of a later version"}'].map(isStory)).toEqual([true, true])
  for (const other of [null, '', 'pgbosun', '{"pgbosun":1}', '{"pgbosun"', '["pgbosun"]', '{}', 'null'])
    expect(isStory(other), String(other)).toBe(false)
})
