import { expect, test } from 'vitest'
import { configSchema } from '../config/schema.ts'
import { desiredRoles } from './desired.ts'
import type { UnusableObject } from './ownership.ts'
import { type AppSessions, describeLockOut, findLockOut, mustRefuse, planReassign } from './plan-ownership.ts'
import type { OwnedObject } from './types.ts'

const table = (more: Partial<UnusableObject> = {}): UnusableObject => ({
  kind: 'table',
  schema: 'public',
  name: 't',
  arguments: null,
  owner: 'old',
  ofUsers: false,
  lost: [],
  closed: true,
  ...more,
})
const owned = (more: Partial<OwnedObject> = {}): OwnedObject => ({
  classid: 1259,
  oid: 16_384,
  print: 'r',
  type: 'table',
  schema: 'public',
  identity: 'public.t',
  owner: 'old',
  bound: false,
  definer: false,
  ...more,
})
const fresh: AppSessions = { role: 'shop_owner', users: ['shop'], settled: false }

function find(fields: object, unusable: UnusableObject[], sessions = fresh, mine: OwnedObject[] = []) {
  const config = configSchema.parse({
    databases: { shop: { users: { shop: { preset: 'app' } }, ...fields } },
    roles: { old: { external: true } },
  })
  const desired = desiredRoles(config)
  return findLockOut(desired, desired.databases[0]!, sessions, { unusable, owned: mine }, 17)
}

const selectOn = (names: string[]) => ({
  schemas: { public: { grants: [{ to: 'shop_owner', on: 'table', names, privileges: ['SELECT'] }] } },
})

test.for([
  ['closed in public', {}, [table()], 1],
  ['closed, but granted', selectOn(['t']), [table()], 0],
  ['another one granted', selectOn(['u']), [table()], 1],
  ['less granted than the user has', selectOn(['t']), [table({ ofUsers: true, lost: ['SELECT', 'INSERT'] })], 1],
  ['closed in a schema that is not declared', {}, [table({ schema: 'other' })], 0],
  ['lost in a schema that is not declared', {}, [table({ schema: 'other', lost: ['SELECT'] })], 1],
  [
    'a declared schema becomes the owner’s',
    { schemas: { app: {} } },
    [table({ kind: 'schema', schema: 'app', name: 'app' })],
    0,
  ],
] as const)('what an application would be locked out of: %s', ([, fields, unusable, count]) => {
  expect(find(fields, [...unusable])?.objects ?? []).toHaveLength(count)
})

test('objects that get the new owner are no reason to refuse', () => {
  expect(find({ reassign: ['old'] }, [table({ ofUsers: true, lost: ['SELECT'] })], fresh, [owned()])).toBeUndefined()
})

test('once sessions start as the role, only the application’s own objects stop a run', () => {
  const settled = { ...fresh, settled: true }
  expect(mustRefuse(find({}, [table()])!)).toBe(true)
  expect(mustRefuse(find({}, [table()], settled)!)).toBe(false)
  expect(mustRefuse(find({}, [table({ lost: ['SELECT'] })], settled)!)).toBe(false)
  expect(mustRefuse(find({}, [table({ ofUsers: true, lost: ['SELECT'] })], settled)!)).toBe(true)
})

test('the message counts objects by kind and owner, and names three', () => {
  const objects = ['a', 'b', 'c', 'd'].map((name) => table({ name }))
  const routine = table({ kind: 'routine', name: 'f', arguments: 'integer', owner: 'x' })
  expect(describeLockOut(find({}, [...objects, routine])!)).toMatchInlineSnapshot(
    `"shop would be locked out of database shop: sessions start as shop_owner, which cannot use 4 tables of old (public.a, public.b, public.c and 1 more), 1 routine of x (public.f(integer))"`,
  )
})

test('the plan of new owners counts objects by schema, kind and owner, and lists those that run with the rights of their owner', () => {
  const database = { name: 'shop', owner: 'shop_owner', reassign: { from: ['old'], definer: true } }
  const objects = [
    owned(),
    owned({ identity: 'public.u' }),
    owned({ type: 'text search dictionary', identity: 'public.d' }),
    owned({ type: 'text search dictionary', identity: 'public.e' }),
    owned({ type: 'function', identity: 'public.f()', definer: true }),
    owned({ type: 'event trigger', identity: 'e', schema: null, bound: true }),
  ]
  const plan = planReassign(database as never, { owned: objects, unusable: [] })
  expect(plan.actions.map(({ change }) => change.object)).toEqual([
    '2 tables in schema public',
    '2 text search dictionaries in schema public',
    'function public.f()',
  ])
  expect(plan.warnings).toEqual(['event trigger e of database shop keeps its owner old: its owner must be a superuser'])
  const cautious = { ...database, reassign: { from: ['old'], definer: false } }
  expect(() => planReassign(cautious as never, { owned: objects, unusable: [] })).toThrow('function public.f() of old')
})
