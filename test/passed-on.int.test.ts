import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

type Shop = {
  /** Two managed groups, and a role of somebody else's. */
  a: string
  b: string
  x: string
  sql: Sql
  major: number
  declare(access: Record<string, 'read' | 'write'>, more?: object): Promise<void>
  up(): Promise<{ code: number | null; changes: string[]; error: { message: string } | null }>
  holders(object: string): Promise<string[]>
}

/** A table on which `a` may pass on its privilege. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database, sql }, use) => {
    const [a, b, x] = ['a', 'b', 'x'].map((role) => `${database}_${role}`) as [string, string, string]
    await sql.unsafe(`create role "${a}"; create role "${b}"; create role "${x}"; create table t (id int); create table u (id int);
      grant usage on schema public to "${a}", "${b}"`)
    const [version] = await sql`select current_setting('server_version_num')::int / 10000 as major`
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    await use({
      a,
      b,
      x,
      sql,
      major: version!.major,
      declare: (access, more = {}) =>
        writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({
            databases: { [database]: { schemas: { public: { access } } } },
            roles: { [a]: null, [b]: null, ...more },
          }),
        }),
      async up() {
        const { code, json } = await runJson(['up'], options)
        const steps = json.steps as { changes: { action: string; object: string; reason: string }[] }[]
        const changes = steps.flatMap((step) =>
          step.changes.map((one) => `${one.action} ${one.object}: ${one.reason}`.replaceAll(database, 'shop')),
        )
        return { code, changes, error: json.error as { message: string } | null }
      },
      async holders(relation) {
        const rows = await sql`select distinct pg_get_userbyid(grantee) as name from pg_class, aclexplode(relacl) x
          where relname = ${relation} and privilege_type = 'SELECT' and grantee <> relowner order by 1`
        return rows.map(({ name }) => name)
      },
    })
  },
})

const passOn = ({ a }: Shop, to: string, what = 'select on t') =>
  `grant ${what} to "${a}" with grant option; set role "${a}"; grant ${what} to "${to}"; reset role`

describe('a privilege that a managed role passed on', () => {
  test('to a managed role that shall have it is granted by the owner instead', async ({ shop }) => {
    await shop.sql.unsafe(passOn(shop, shop.b))
    await shop.declare({ [shop.a]: 'read', [shop.b]: 'read' })
    const { code, changes } = await shop.up()
    expect(code, changes.join('\n')).toBe(0)
    expect(changes).toContain(
      'revoke the grant option of SELECT on table public.t from shop_a (database shop): is not declared; shop_a passed it on to shop_b: that is revoked too',
    )
    expect(await shop.holders('t')).toEqual([shop.a, shop.b])
    expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
  })

  test('to roles that shall have nothing is revoked with theirs', async ({ shop }) => {
    await shop.sql.unsafe(`grant select on t to "${shop.a}" with grant option; set role "${shop.a}"; grant select on t to "${shop.b}" with grant option;
      set role "${shop.b}"; reset role; grant all on u to "${shop.b}"`)
    await shop.declare({})
    const { code, changes } = await shop.up()
    expect(code, changes.join('\n')).toBe(0)
    expect(await shop.holders('t')).toEqual([])
    expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
  })

  test('is revoked even if that role is a member of the owner, who would be the grantor of what it revokes', async ({
    shop,
  }) => {
    await shop.sql.unsafe(
      `create role "${shop.x}_owner"; alter table t owner to "${shop.x}_owner"; ${passOn(shop, shop.b)}; grant "${shop.x}_owner" to "${shop.a}"`,
    )
    await shop.declare(
      { [shop.b]: 'read' },
      { [`${shop.x}_owner`]: { external: true }, [shop.a]: { memberOf: [`${shop.x}_owner`] } },
    )
    const { code, changes } = await shop.up()
    expect(code, changes.join('\n')).toBe(0)
    expect(await shop.holders('t')).toEqual([shop.b])
    expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
  })

  test('to a role that is not declared stays and is named, and everything else is done', async ({ shop }) => {
    await shop.sql.unsafe(passOn(shop, shop.x))
    await shop.declare({ [shop.b]: 'read' })
    const { code, changes, error } = await shop.up()
    expect(code).toBe(30)
    expect(error?.message).toContain(`passed it on to ${shop.x}, not declared here`)
    expect(changes.join('\n')).toContain('shop_a passed it on to shop_x, not declared here: revoke that first')
    expect(await shop.holders('u')).toEqual([shop.b])
    await shop.sql.unsafe(`set role "${shop.a}"; revoke select on t from "${shop.x}"; reset role`)
    expect((await shop.up()).code).toBe(0)
    expect(await shop.holders('t')).toEqual([shop.b])
  })

  test('on the database itself is revoked too', async ({ shop, database }) => {
    await shop.sql.unsafe(passOn(shop, shop.b, `connect on database ${database}`))
    await shop.declare({ [shop.b]: 'read' })
    const { code, changes } = await shop.up()
    expect(code, changes.join('\n')).toBe(0)
    expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
    const [row] =
      await shop.sql`select string_agg(distinct pg_get_userbyid(grantee), ',') as who from pg_database, aclexplode(datacl)
      where datname = ${database} and pg_get_userbyid(grantee) in (${shop.a}, ${shop.b})`
    expect(row!.who).toBe(shop.b)
  })
})

test('a membership that a managed role passed on is granted by us instead, or revoked', async ({ shop }) => {
  const group = `${shop.x}_group`
  await shop.sql.unsafe(
    `create role "${group}"; grant "${group}" to "${shop.a}" with admin option; set role "${shop.a}"; grant "${group}" to "${shop.b}"; reset role`,
  )
  await shop.declare({}, { [group]: null, [shop.b]: { memberOf: [group] } })
  const { code, changes } = await shop.up()
  expect(code, changes.join('\n')).toBe(0)
  const members = await shop.sql`select m.rolname as name from pg_auth_members a join pg_roles m on m.oid = a.member
    where a.roleid = ${group}::regrole order by 1`
  expect(members.map(({ name }) => name)).toEqual([shop.b])
  expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
})

describe('privileges on columns that were passed on', () => {
  test('are revoked before those on the table, because PostgreSQL would revoke them with those', async ({ shop }) => {
    await shop.sql.unsafe(
      `grant select on t, u to "${shop.a}"; ${passOn(shop, shop.b, 'select (id) on u')}; grant usage on schema public to "${shop.b}"`,
    )
    await shop.declare({ [shop.b]: 'read' })
    const { code, changes, error } = await shop.up()
    expect([code, error], changes.join('\n')).toEqual([0, null])
    expect(await shop.holders('u')).toEqual([shop.b])
    expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
  })

  test('to a role that is not declared keep the privilege on the table, and nothing else', async ({ shop }) => {
    await shop.sql.unsafe(`grant select on t, u to "${shop.a}"; ${passOn(shop, shop.x, 'select (id) on u')}`)
    await shop.declare({ [shop.b]: 'read' })
    const { code, error } = await shop.up()
    expect([code, error?.message]).toEqual([
      30,
      expect.stringContaining(`passed it on to ${shop.x}, not declared here`),
    ])
    expect([await shop.holders('t'), await shop.holders('u')]).toEqual([[shop.b], [shop.a, shop.b]])
    await shop.sql.unsafe(`set role "${shop.a}"; revoke select (id) on u from "${shop.x}"; reset role`)
    expect((await shop.up()).code).toBe(0)
    expect(await shop.holders('u')).toEqual([shop.b])
  })
})

test('future objects get no grant option that is not declared', async ({ shop }) => {
  await shop.declare({ [shop.a]: 'read' })
  expect((await shop.up()).code).toBe(0)
  const [row] = await shop.sql`select pg_get_userbyid(nspowner) as owner from pg_namespace where nspname = 'public'`
  const creators = await shop.sql`select distinct pg_get_userbyid(defaclrole) as name from pg_default_acl`
  expect(creators.length, row!.owner).toBeGreaterThan(0)
  for (const { name } of creators)
    await shop.sql.unsafe(
      `alter default privileges for role "${name}" in schema public grant select on tables to "${shop.a}" with grant option`,
    )
  const { code, changes } = await shop.up()
  expect(code).toBe(0)
  expect(changes.join('\n')).toContain('the grant option of SELECT on future tables')
  expect(await shop.up()).toMatchObject({ code: 0, changes: [] })
  const options =
    await shop.sql`select a.is_grantable as option from pg_default_acl d, aclexplode(d.defaclacl) a where a.grantee = ${shop.a}::regrole`
  expect(options.filter(({ option }) => option)).toEqual([])
  expect(options.length).toBeGreaterThan(0)
})

test('a role that has a grant option from two roles loses both', async ({ shop }) => {
  await shop.sql.unsafe(`grant select on t to "${shop.a}" with grant option; grant select on t to "${shop.b}" with grant option;
    set role "${shop.a}"; grant select on t to "${shop.b}" with grant option; reset role`)
  await shop.declare({ [shop.b]: 'read' })
  const { code, changes } = await shop.up()
  expect(code, changes.join('\n')).toBe(0)
  const entries =
    await shop.sql`select pg_get_userbyid(grantee) as name, is_grantable as option from pg_class, aclexplode(relacl) a where relname = 't' and grantee <> relowner`
  expect(entries).toEqual([{ name: shop.b, option: false }])
})
