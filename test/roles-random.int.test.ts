import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { type Admin, test } from './support/admin.ts'
import { uniqueName } from './support/postgres.ts'
import { currentState, make, pairs, role, roles } from './support/random-server.ts'

const runs = Number(process.env.BOSUN_TEST_RANDOM ?? 4)
const desiredState = fc.record({
  mode: fc.constantFrom('declared', 'additive'),
  kinds: fc.tuple(...roles.map(() => fc.constantFrom('user', 'group', 'none'))),
  limits: fc.tuple(...roles.map(() => fc.option(fc.integer({ min: -1, max: 9 }), { nil: undefined }))),
  password: role,
  members: pairs,
  owner: fc.option(role),
  schemaOwner: fc.option(role),
  access: fc.uniqueArray(fc.tuple(role, fc.constantFrom('read', 'write', 'use', 'create')), {
    selector: ([name]) => name,
    maxLength: 3,
  }),
  reassign: fc.option(role),
  extension: fc.constantFrom(undefined, 'pg_trgm', 'pg_stat_statements'),
  setting: fc.constantFrom('work_mem', 'log_statement'),
})

type Desired = typeof desiredState extends fc.Arbitrary<infer T> ? T : never

function configure(desired: Desired, prefix: string): object {
  const name = (index: number) => `${prefix}_r${index}`
  const kind = (index: number) => desired.kinds[index]
  const declared = roles.filter((index) => kind(index) !== 'none')
  const known = (index: number | null) => index !== null && kind(index) !== 'none'
  const fields = (index: number) => ({
    ...(desired.limits[index] !== undefined && kind(index) === 'user' && { connectionLimit: desired.limits[index] }),
    memberOf: desired.members.filter(([member, of]) => member === index && known(of)).map(([, of]) => name(of)),
    ...(desired.password === index && kind(index) === 'user' && { password: { env: 'SECRET' } }),
  })
  const section = (wanted: string) =>
    Object.fromEntries(declared.filter((index) => kind(index) === wanted).map((index) => [name(index), fields(index)]))
  const access = Object.fromEntries(
    desired.access.filter(([index]) => known(index)).map(([index, level]) => [name(index), level]),
  )
  return {
    manage: { privileges: desired.mode },
    databases: {
      [prefix]: {
        ...(known(desired.owner) && { owner: name(desired.owner!) }),
        ...(known(desired.reassign) && desired.reassign !== desired.owner && { reassign: [name(desired.reassign!)] }),
        config: { [desired.setting]: desired.setting === 'work_mem' ? '8MB' : 'ddl' },
        ...(desired.extension && { extensions: { [desired.extension]: {} } }),
        schemas: {
          public: { access },
          app: { ...(known(desired.schemaOwner) && { owner: name(desired.schemaOwner!) }), access },
        },
      },
    },
    users: section('user'),
    roles: section('group'),
  }
}

/** Roles, memberships, databases and privileges, as one text. */
const stateOf = async (admin: Admin, prefix: string) => {
  const shared = await admin.ask(`select
    (select json_agg(r order by r.rolname) from pg_roles r where rolname like '${prefix}%') as roles,
    (select json_agg(m order by m.roleid, m.member, m.grantor) from pg_auth_members m) as members,
    (select json_agg(d order by d.datname) from pg_database d where datname like '${prefix}%') as databases`)
  const [{ databases }] = shared as [{ databases: unknown[] | null }]
  const inside = databases
    ? await admin.ask(
        `select (select json_agg(n order by oid) from pg_namespace n) as n, (select json_agg(json_build_array(relname, relowner, relacl) order by oid) from pg_class) as c,
                (select json_agg(d order by oid) from pg_default_acl d) as d`,
        prefix,
      )
    : []
  return JSON.stringify([shared, inside])
}

describe('any declaration, whatever is there', () => {
  test('converges in one run of a superuser', { timeout: 60_000 + runs * 30_000 }, async ({ admin }) => {
    await admin.ask(`alter role "${admin.name}" superuser`)
    await fc.assert(
      fc.asyncProperty(desiredState, currentState, async (desired, current) => {
        const prefix = uniqueName('r')
        admin.shop = prefix
        await make(admin, current, prefix)
        await admin.declare(configure(desired, prefix))
        await admin.changes('up')
        expect(await admin.changes('up')).toEqual([])
      }),
      { numRuns: runs, endOnFailure: true },
    )
  })

  test('converges as a login with CREATEROLE, after the script of an administrator where one is needed', {
    timeout: 60_000 + runs * 60_000,
  }, async ({ admin }) => {
    await fc.assert(
      fc.asyncProperty(desiredState, currentState, async (desired, current) => {
        const prefix = uniqueName('r')
        admin.shop = prefix
        await make(admin, current, prefix)
        await admin.declare(configure(desired, prefix))
        const before = await stateOf(admin, prefix)
        const first = await admin.pgbosun('up')
        if (first.code !== 0) {
          expect([first.code, first.stderr]).toEqual([12, expect.stringContaining('--for-admin')])
          expect(await stateOf(admin, prefix)).toBe(before)
          await admin.runScript()
          await admin.changes('up')
        }
        expect(await admin.changes('up')).toEqual([])
      }),
      { numRuns: runs, endOnFailure: true },
    )
  })
})
