import { describe, expect, test } from 'vitest'
import { type Access, explainObstacles, planPreflight } from './preflight.ts'
import { neededSpace } from './space.ts'

const nothing: Access = {
  role: 'dump"er',
  superuser: false,
  major: 15,
  schemas: [],
  tables: [],
  sequences: [],
  rowSecurity: [],
  largeObjects: 0,
  userMappings: [],
  subscriptions: [],
}

const everything: Access = {
  ...nothing,
  schemas: ['app'],
  tables: ['app."T x"'],
  sequences: ['app.t_id_seq'],
  rowSecurity: ['public.secret'],
  largeObjects: 3,
  userMappings: ['bob on other'],
  subscriptions: ['sub'],
}

describe('what a role may not read', () => {
  test('is named, each with the statement that mends it', () => {
    expect(planPreflight(everything)).toEqual({
      obstacles: [
        { problem: 'schema app cannot be read', statement: 'grant usage on schema app to "dump""er";' },
        { problem: 'table app."T x" cannot be read', statement: 'grant select on table app."T x" to "dump""er";' },
        {
          problem: 'sequence app.t_id_seq cannot be read',
          statement: 'grant select on sequence app.t_id_seq to "dump""er";',
        },
        {
          problem: 'table public.secret has row-level security, so dump"er would not see every row',
          statement: 'alter role "dump""er" bypassrls;',
        },
        {
          problem: '3 large objects cannot be read',
          statement: 'alter role "dump""er" set lo_compat_privileges = on;',
        },
      ],
      warnings: [
        'the user mapping bob on other is backed up without its options, which only a superuser sees',
        'the subscription sub is not in the backup: only a superuser can dump it',
      ],
    })
  })

  test('the advice on large objects is pg_read_all_data where that covers them: from 19 on', () => {
    const { obstacles } = planPreflight({ ...nothing, largeObjects: 1, major: 19 })
    expect(obstacles).toEqual([
      { problem: '1 large object cannot be read', statement: 'grant pg_read_all_data to "dump""er";' },
    ])
    expect(explainObstacles(obstacles, { ...nothing, major: 19 }).hint).toContain(
      'grant pg_read_all_data to "dump""er"',
    )
  })

  test('what a role may not read is nothing to a superuser', () => {
    expect(planPreflight({ ...everything, superuser: true })).toEqual({ obstacles: [], warnings: [] })
  })

  test('is shown up to twenty, and one statement for all where the server has one', () => {
    const many = { ...nothing, tables: Array.from({ length: 25 }, (_, i) => `public.t${i}`) }
    const { obstacles } = planPreflight(many)
    const { list, hint } = explainObstacles(obstacles, many)
    expect(list.split('\n')).toHaveLength(21)
    expect(list).toMatch(/ {2}and 5 more$/)
    expect(hint).toContain('grant pg_read_all_data to "dump""er";')
    expect(explainObstacles(obstacles, { ...many, major: 13 }).hint).not.toContain('pg_read_all_data')
  })
})

test('free space is demanded for the last backup and a fifth more, or for a quarter of the database', () => {
  expect(neededSpace(100_000_000, 5_000_000_000)).toEqual({
    bytes: 120_000_000,
    reason: '1.2 times the last backup (100 MB)',
  })
  expect(neededSpace(undefined, 5_000_000_000)).toEqual({
    bytes: 1_250_000_000,
    reason: 'a quarter of the database (5 GB)',
  })
})
