import { describe, expect } from 'vitest'
import { test as base, server, uniqueName } from './support/postgres.ts'
import { asSuperuser, asUser, type Configuration, declared, type User } from './support/roles.ts'

type World = {
  name: string
  ann: User
  of(schema: object, more?: object): ReturnType<typeof declared>
  admin(statement: string): Promise<unknown[]>
  asAnn(statement: string): Promise<unknown>
  short(lines: string[]): string[]
}

/** A database with a schema `s`, its owner and a user `ann`. */
const test = base.extend<{ world: World }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  world: async ({}, use) => {
    const name = uniqueName('grants')
    const ann = { name: `${name}_ann`, password: 'x' }
    await use({
      name,
      ann,
      of: (schema, more = {}) =>
        declared({
          users: { [ann.name]: { password: { env: 'x' } } },
          databases: { [name]: { owner: `${name}_owner`, schemas: { s: schema }, ...more } },
        } as Configuration),
      admin: (statement) => asSuperuser(name, statement),
      asAnn: (statement) => asUser(name, ann, statement),
      short: (lines) => lines.map((line) => line.replaceAll(name, 'd')),
    })
  },
})

const denied = '42501'

/** Converges, looks again, and after something was broken by hand repairs it. */
async function threeTimes(it: ReturnType<typeof declared>, breakIt: () => Promise<unknown>): Promise<string[]> {
  await it.converge()
  expect(await it.drift()).toEqual([])
  await breakIt()
  const repaired = await it.converge()
  expect(repaired).not.toEqual([])
  expect(await it.drift()).toEqual([])
  return repaired
}

describe('columns', () => {
  test('only these can be read; a table that was granted as a whole is repaired in one run', async ({ world }) => {
    const { of, admin, asAnn, ann, name, short } = world
    await of({ access: { [ann.name]: 'use' } }).converge()
    await admin(`set role ${name}_owner; create table s.invoice (id int, "to""tal" int, secret text)`)
    const it = of({
      access: { [ann.name]: 'use' },
      grants: [
        { to: ann.name, on: 'table', names: ['invoice'], columns: ['id', 'to"tal'], privileges: ['SELECT'] },
        { to: ann.name, on: 'table', names: ['invoice'], columns: ['id'], privileges: ['UPDATE'], grantOption: true },
      ],
    })
    const repaired = await threeTimes(it, () =>
      admin(`grant select on s.invoice to ${ann.name}; revoke update (id) on s.invoice from ${ann.name}`),
    )
    expect(short(repaired)).toEqual([
      'revoke SELECT on table s.invoice from d_ann: is not declared',
      'grant SELECT on column id of table s.invoice to d_ann: is missing',
      'grant UPDATE on column id of table s.invoice to d_ann with grant option: is missing',
      'grant SELECT on column to"tal of table s.invoice to d_ann: is missing',
    ])
    expect(await asAnn('select id, "to""tal" from s.invoice')).toEqual([])
    expect(await asAnn('select secret from s.invoice')).toBe(denied)
    expect(await asAnn('update s.invoice set id = 1')).toEqual([])
  })
})

describe('ensure: absent', () => {
  test('takes EXECUTE from PUBLIC on existing and on future routines', async ({ world }) => {
    const { of, admin, asAnn, name, ann, short } = world
    const it = of({
      access: { [ann.name]: 'use' },
      grants: [{ to: 'PUBLIC', on: 'routine', privileges: ['EXECUTE'], ensure: 'absent' }],
      defaultPrivileges: [
        { on: 'routine', scope: 'database', to: 'PUBLIC', privileges: ['EXECUTE'], ensure: 'absent' },
      ],
    })
    await it.converge()
    await admin(`set role ${name}_owner; create function s.later() returns int language sql as 'select 1'`)
    expect(await it.drift()).toEqual([])
    expect(await asAnn('select s.later()')).toBe(denied)
    const repaired = await threeTimes(it, () =>
      admin(
        `grant execute on function s.later() to public; alter default privileges for role ${name}_owner grant execute on routines to public`,
      ),
    )
    expect(short(repaired)).toEqual([
      'revoke EXECUTE on routine s.later() from PUBLIC: is declared absent',
      'revoke EXECUTE on future routines of d_owner from PUBLIC: is declared absent',
    ])
  })

  test('is an exception from an access level, whoever granted the privilege', async ({ world }) => {
    const { of, admin, asAnn, name, ann } = world
    const grants = [{ to: ann.name, on: 'table', names: ['salary'], privileges: ['ALL'], ensure: 'absent' }]
    const it = of({ access: { [ann.name]: 'write' }, grants }, {})
    await it.converge()
    const other = uniqueName('other')
    await admin(
      `create role ${other}; set role ${name}_owner; create table s.salary (id int); create table s.job (id int)`,
    )
    await threeTimes(it, () =>
      admin(`set role ${name}_owner; grant usage on schema s to ${other}; grant select on s.salary to ${other} with grant option;
        set role ${other}; grant select on s.salary to ${ann.name}`),
    )
    expect(await asAnn('select * from s.salary')).toBe(denied)
    expect(await asAnn('select * from s.job')).toEqual([])
  })
})

describe('what is in no schema', () => {
  test('large objects, foreign servers and wrappers, languages and the database converge', async ({ world }) => {
    const { of, admin, asAnn, name, ann, short } = world
    await of({}).converge()
    await admin(`create foreign data wrapper "w ""1"; create server "erp;" foreign data wrapper "w ""1"; create server other foreign data wrapper "w ""1";
      revoke usage on language plpgsql from public; select lo_create(4711); select lo_create(4712)`)
    const to = ann.name
    const grants = [
      { to, on: 'database', privileges: ['TEMPORARY'] },
      { to, on: 'database', privileges: ['CONNECT'], grantOption: true },
      { to, on: 'language', names: ['plpgsql'], privileges: ['USAGE'] },
      { to, on: 'foreignServer', names: ['erp;'], privileges: ['USAGE'], grantOption: true },
      { to, on: 'foreignDataWrapper', privileges: ['USAGE'] },
      { to, on: 'largeObject', names: [4711], privileges: ['SELECT'] },
    ]
    const it = of({}, { grants })
    const repaired = await threeTimes(it, () =>
      admin(`revoke grant option for usage on foreign server "erp;" from ${to}; grant usage on foreign server other to ${to};
        grant all on large object 4712 to ${to}; revoke temporary on database ${name} from ${to}`),
    )
    expect(short(repaired)).toEqual([
      'grant TEMPORARY on database d to d_ann: is missing',
      'grant USAGE on foreign server erp; to d_ann with grant option: is missing',
      'revoke USAGE on foreign server other from d_ann: is not declared',
      'revoke SELECT on large object 4712 from d_ann: is not declared',
      'revoke UPDATE on large object 4712 from d_ann: is not declared',
    ])
    expect(await asAnn('select lo_get(4711)')).toEqual([{ lo_get: expect.anything() }])
    expect(await asAnn('select lo_get(4712)')).toBe(denied)
    expect(await asAnn('create temp table t ()')).toEqual([])
    expect(await asAnn('do $$ begin perform 1; end $$')).toEqual([])
    expect(await asAnn('create server mine foreign data wrapper "w ""1"')).toEqual([])
  })

  test.runIf(server().major >= 18)('future large objects and schemas converge', async ({ world }) => {
    const { of, admin, asAnn, name, ann } = world
    const it = of({
      defaultPrivileges: [
        { on: 'largeObject', scope: 'database', to: ann.name, privileges: ['SELECT'] },
        { on: 'schema', scope: 'database', to: ann.name, privileges: ['USAGE'] },
      ],
      access: { [ann.name]: 'use' },
    })
    await threeTimes(it, () =>
      admin(`alter default privileges for role ${name}_owner revoke select on large objects from ${ann.name}`),
    )
    await admin(`set role ${name}_owner; select lo_create(4713)`)
    expect(await asAnn('select lo_get(4713)')).toEqual([{ lo_get: expect.anything() }])
  })
})
