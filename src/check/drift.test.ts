import { describe, expect, test } from 'vitest'
import { compareSchemas, type Drift } from './drift.ts'
import type { SchemaObject } from './schema/types.ts'

const schema = (...objects: SchemaObject[]) => ({ serverVersion: 180_000, objects })

const object = (
  kind: SchemaObject['kind'],
  name: string,
  facts: Record<string, string> = {},
  rest: Partial<SchemaObject> = {},
): SchemaObject => ({ kind, name, partOf: null, facts, columns: [], ...rest })

const table = (name: string, columns: Record<string, string>, facts: Record<string, string> = {}): SchemaObject =>
  object(
    'table',
    name,
    { ...Object.fromEntries(Object.entries(columns).map(([column, type]) => [`column ${column}`, type])), ...facts },
    { columns: Object.keys(columns) },
  )

const compare = (declared: SchemaObject[], live: SchemaObject[]) =>
  compareSchemas({ declared: schema(...declared), live: schema(...live) })

const short = (drifts: Drift[]) =>
  drifts.map(({ state, kind, name, severity }) => `${state} ${kind} ${name} (${severity})`)

const users = { id: 'bigint not null', email: 'text not null' }

describe('compareSchemas', () => {
  test('finds no difference between equal schemas, whatever the order of their objects', () => {
    const [a, b] = [table('public.users', users), object('schema', 'public')]
    expect(compare([a, b], [b, a])).toEqual([])
    expect(compare([], [])).toEqual([])
  })

  test('names what is missing and what is unexpected, by kind and name', () => {
    const declared = [table('public.b', {}), table('public.a', {}), object('function', 'public.f(integer)')]
    const live = [object('view', 'public.v'), object('schema', 'old'), object('function', 'public.f(text)')]
    expect(short(compare(declared, live))).toEqual([
      'unexpected schema old (error)',
      'missing table public.a (error)',
      'missing table public.b (error)',
      'unexpected view public.v (error)',
      'missing function public.f(integer) (error)',
      'unexpected function public.f(text) (error)',
    ])
  })

  test('reports what differs, as declared and as found', () => {
    const declared = table('public.users', users, { 'row security': 'enabled', 'index by_email': 'CREATE INDEX …' })
    const live = table(
      'public.users',
      { id: 'bigint not null', email: 'character varying(255)', extra: 'text' },
      { 'row security': 'disabled' },
    )
    expect(compare([declared], [live])).toEqual([
      {
        state: 'different',
        kind: 'table',
        name: 'public.users',
        severity: 'error',
        differences: [
          { what: 'row security', declared: 'enabled', live: 'disabled', severity: 'error' },
          { what: 'column email', declared: 'text not null', live: 'character varying(255)', severity: 'error' },
          { what: 'column extra', declared: null, live: 'text', severity: 'error' },
          { what: 'index by_email', declared: 'CREATE INDEX …', live: null, severity: 'error' },
        ],
      },
    ])
  })

  test('a different order of the same columns is a note', () => {
    const declared = table('public.users', { id: 'int', a: 'int', b: 'int' })
    expect(compare([declared], [table('public.users', { id: 'int', b: 'int', a: 'int' })])).toMatchObject([
      { severity: 'note', differences: [{ what: 'column order', declared: 'id, a, b', live: 'id, b, a' }] },
    ])
    const withoutA = compare([declared], [table('public.users', { id: 'int', b: 'int' })])
    expect(withoutA[0]?.differences.map(({ what }) => what)).toEqual(['column a'])
  })

  test.each([
    ['comment', 'table'],
    ['comment on column id', 'table'],
    ['tablespace', 'table'],
    ['clustered on', 'table'],
    ['version', 'extension'],
  ] as const)('%s of a %s is a note', (what, kind) => {
    const drifts = compare([object(kind, 'x', { [what]: 'a' })], [object(kind, 'x', { [what]: 'b' })])
    expect(drifts).toMatchObject([{ severity: 'note', differences: [{ what, severity: 'note' }] }])
  })

  test('an object with a note and an error is an error', () => {
    const [drift] = compare(
      [object('table', 'x', { comment: 'a', kind: 'table' })],
      [object('table', 'x', { comment: 'b', kind: 'partitioned by RANGE (day)' })],
    )
    expect(drift).toMatchObject({ severity: 'error', differences: [{ severity: 'error' }, { severity: 'note' }] })
  })

  test('other line endings are a note, anything else in a definition is not', () => {
    const f = (definition: string) => [object('function', 'public.f()', { definition })]
    expect(compare(f('a\nb'), f('a\r\nb'))).toMatchObject([{ severity: 'note' }])
    expect(compare(f('a\nb'), f('a\nB'))).toMatchObject([{ severity: 'error' }])
    expect(compare(f('a\nb'), f('a\n b'))).toMatchObject([{ severity: 'error' }])
  })

  test('reports only the table when what belongs to it is missing too', () => {
    const owned = (partOf: string) => object('sequence', 'public.users_id_seq', {}, { partOf })
    const all = [table('public.users', users), owned('table public.users')]
    expect(short(compare(all, []))).toEqual(['missing table public.users (error)'])
    expect(short(compare([], all))).toEqual(['unexpected table public.users (error)'])
    expect(short(compare(all, all.slice(0, 1)))).toEqual(['missing sequence public.users_id_seq (error)'])
  })

  test('an additional partition is a note, a missing one an error', () => {
    const parent = object('table', 'public.events')
    const partition = object(
      'table',
      'public.events_2026',
      { 'partition of': 'public.events FOR VALUES …' },
      { partOf: 'table public.events' },
    )
    expect(short(compare([parent], [parent, partition]))).toEqual(['unexpected table public.events_2026 (note)'])
    expect(short(compare([parent, partition], [parent]))).toEqual(['missing table public.events_2026 (error)'])
  })

  test('does not guess renames', () => {
    expect(short(compare([table('public.a', users)], [table('public.b', users)]))).toEqual([
      'missing table public.a (error)',
      'unexpected table public.b (error)',
    ])
  })
})
