import { expect, test } from 'vitest'
import type { CheckConfig } from '../config/schema.ts'
import { compare, wantedFrom } from './conditions.ts'
import type { Snapshot } from './types.ts'

const nothing: CheckConfig = { tables: [], indexes: [], columns: {}, foreignKeys: [] }
const empty: Snapshot = { tables: [], columns: [], indexes: [], foreignKeys: [], notValidated: [], someTables: [] }

test('reads names with and without a schema, and foreign keys of one or several columns', () => {
  const wanted = wantedFrom({
    tables: ['users', 'app."Odd.Name"'],
    indexes: ['app.idx'],
    columns: { 'app.users': { id: 'bigint' } },
    foreignKeys: ['games.user_id -> app.users.id', 't.(a, "B c") -> u.(c, d)'],
  })
  expect(wanted).toEqual({
    tables: [
      { label: 'users', schema: 'public', name: 'users' },
      { label: 'app."Odd.Name"', schema: 'app', name: 'Odd.Name' },
    ],
    indexes: [{ label: 'app.idx', schema: 'app', name: 'idx' }],
    columns: [{ label: 'app.users.id', schema: 'app', table: 'users', name: 'id', type: 'bigint' }],
    foreignKeys: [
      {
        label: 'games.user_id -> app.users.id',
        from: { schema: 'public', table: 'games', columns: ['user_id'] },
        to: { schema: 'app', table: 'users', columns: ['id'] },
      },
      {
        label: 't.(a, "B c") -> u.(c, d)',
        from: { schema: 'public', table: 't', columns: ['a', 'B c'] },
        to: { schema: 'public', table: 'u', columns: ['c', 'd'] },
      },
    ],
  })
})

test.for([
  'games -> users.id',
  'games.user_id -> users',
  't.(a, b) -> u.c',
  'a.b -> c.d -> e.f',
])('refuses %s', (text) => {
  expect(() => wantedFrom({ ...nothing, foreignKeys: [text] })).toThrow('check.foreignKeys[0]')
})

test('finds nothing wrong when nothing is declared', () => {
  expect(compare(wantedFrom(nothing), empty)).toEqual({
    tables: { ok: true, missing: [] },
    columns: { ok: true, missing: [], different: [] },
    indexes: { ok: true, missing: [], invalid: [] },
    foreignKeys: { ok: true, missing: [], invalid: [] },
    errors: [],
    warnings: [],
  })
})

test('reports what is missing, what differs and what is invalid', () => {
  const column = { schema: 'public', table: 'users' }
  const key = (name: string, columns: string[], toColumns: string[], valid: boolean) => ({
    name,
    from: { schema: 'public', table: 'games', columns },
    to: { schema: 'public', table: 'users', columns: toColumns },
    valid,
  })
  const found = compare(
    wantedFrom({
      tables: ['users', 'app.users'],
      indexes: ['idx_a', 'idx_b', 'idx_c'],
      columns: { users: { id: 'int8', email: 'text', name: 'varchar(20)' } },
      foreignKeys: ['games.user_id -> users.id', 'games.(b, a) -> users.(d, c)', 'games.other -> users.id'],
    }),
    {
      tables: [{ schema: 'public', name: 'users' }],
      columns: [
        { ...column, name: 'id', type: 'bigint' },
        { ...column, name: 'name', type: 'text' },
      ],
      indexes: [
        { ...column, name: 'idx_a', valid: true },
        { ...column, name: 'idx_b', valid: false },
        { ...column, name: 'idx_d', valid: false },
      ],
      foreignKeys: [key('k1', ['user_id'], ['id'], false), key('k2', ['a', 'b'], ['c', 'd'], true)],
      notValidated: [
        { schema: 'public', table: 'games', name: 'k1' },
        { schema: 'public', table: 'games', name: 'k3' },
      ],
      someTables: [],
    },
  )
  expect(found).toEqual({
    tables: { ok: false, missing: ['app.users'] },
    columns: {
      ok: false,
      missing: ['users.email'],
      different: [{ column: 'users.name', declared: 'varchar(20)', actual: 'text' }],
    },
    indexes: { ok: false, missing: ['idx_c'], invalid: ['idx_b'] },
    foreignKeys: { ok: false, missing: ['games.other -> users.id'], invalid: ['games.user_id -> users.id'] },
    errors: [
      'table app.users is missing',
      'column users.email is missing',
      'column users.name is text, declared as varchar(20)',
      'index idx_c is missing',
      'index idx_b is invalid',
      'foreign key games.other -> users.id is missing',
      'foreign key games.user_id -> users.id is not validated',
    ],
    warnings: [
      'index public.idx_d of users is invalid: drop it and create it again',
      'constraint k3 of public.games is not validated',
    ],
  })
})
