import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { asSuperuser, asUser, type Configuration, declared, type User } from './support/roles.ts'

const denied = '42501'
const { major } = server()

const test = base.extend<{
  shop: {
    name: string
    user: (name: string) => User
    of: (users: object, more?: object) => ReturnType<typeof declared>
  }
}>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  shop: async ({}, use) => {
    const name = uniqueName('preset')
    await use({
      name,
      user: (user) => ({ name: `${name}_${user}`, password: 'x' }),
      of: (users, more = {}) =>
        declared({
          databases: {
            [name]: {
              users: Object.fromEntries(
                Object.entries(users).map(([user, preset]) => [`${name}_${user}`, { preset, password: { env: 'x' } }]),
              ),
              ...more,
            },
          },
        } as Configuration),
    })
  },
})

describe('owner and rw', () => {
  test('share the work: one creates what the other fills', async ({ shop }) => {
    const it = shop.of({ dba: 'owner', web: 'rw' })
    await it.converge()
    expect(await it.drift()).toEqual([])
    const [dba, web] = [shop.user('dba'), shop.user('web')]
    expect(
      await asUser(
        shop.name,
        dba,
        `create table t (id serial, v text); create function f() returns int language sql as 'select 1'`,
      ),
    ).toEqual([])
    expect(await asSuperuser(shop.name, `select tableowner from pg_tables where tablename = 't'`)).toEqual([
      { tableowner: `${shop.name}_owner` },
    ])
    expect(await it.drift()).toEqual([])
    expect(await asUser(shop.name, web, `insert into t (v) values ('a') returning id`)).toEqual([{ id: 1 }])
    expect(await asUser(shop.name, web, `update t set v = 'b' returning v, f()`)).toEqual([{ v: 'b', f: 1 }])
    expect(await asUser(shop.name, web, 'delete from t')).toEqual([])
    for (const statement of [
      'create table u ()',
      'truncate t',
      'alter table t add w int',
      'create schema s',
      'drop table t',
    ])
      expect(await asUser(shop.name, web, statement), statement).toBe(denied)

    await asSuperuser(
      shop.name,
      `revoke insert on t from ${web.name}; grant truncate on t to ${web.name}; revoke ${shop.name}_owner from ${dba.name};
      alter role ${dba.name} reset role`,
    )
    expect((await it.converge()).map((line) => line.replaceAll(shop.name, 'd'))).toEqual([
      'grant role d_owner to d_dba: is not a member',
      'set role of role d_dba: is not set, declared d_owner',
      'grant INSERT on table public.t to d_web: is missing',
      'revoke TRUNCATE on table public.t from d_web: is not declared',
    ])
    expect(await it.drift()).toEqual([])
  })

  test('owner does not take a database from the one that has it', async ({ shop }) => {
    await asSuperuser('postgres', `create database ${shop.name}`)
    await expect(shop.of({ dba: 'owner' }).converge()).rejects.toMatchObject({
      kind: 'usage',
      message: `databases.${shop.name}.users.${shop.name}_dba has the preset owner, but ${shop.name} belongs to postgres`,
      hint: `declare its owner: databases.${shop.name}.owner: postgres`,
    })
    const mine = shop.of({ dba: 'owner' }, { owner: `${shop.name}_owner` })
    await mine.converge()
    expect(await mine.drift()).toEqual([])
  })
})

describe('replication', () => {
  test('may copy the server, but not connect to declared databases', async ({ shop }) => {
    const standby = shop.user('standby')
    const it = declared({
      users: { [standby.name]: { preset: 'replication', password: { env: 'x' } } },
      databases: { [shop.name]: { owner: `${shop.name}_owner` } },
    })
    await it.converge()
    expect(await it.drift()).toEqual([])
    expect(await asUser(shop.name, standby, 'select 1')).toBe(denied)
    const flags = `select rolreplication, rolconnlimit from pg_roles where rolname = '${standby.name}'`
    expect(await asSuperuser('postgres', flags)).toEqual([{ rolreplication: true, rolconnlimit: 5 }])
    await asSuperuser('postgres', `alter role ${standby.name} noreplication`)
    expect(await it.converge()).toEqual([`alter role ${standby.name}: replication is false, declared true`])
    expect(await it.drift()).toEqual([])
  })
})

test.for(['owner', 'rw', 'readonly'])('a superuser cannot have the preset %s', async (preset, { dir, database }) => {
  const users = { postgres: { preset } }
  await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ databases: { [database]: { owner: 'postgres', users } } }) })
  const { code, json } = await runJson(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  expect([code, (json.error as { message: string }).message]).toEqual([
    12,
    expect.stringContaining(`postgres is a superuser and cannot have the preset ${preset}`),
  ])
})

test('attributes are managed where they are declared, and only there', async () => {
  const [maker, other] = [uniqueName('maker'), uniqueName('other')]
  const it = declared({
    roles: { [other]: { inherit: false } },
    users: { [maker]: { createRole: true, createDb: true, bypassRls: false } },
  })
  await it.converge()
  expect(await it.drift()).toEqual([])
  await asSuperuser(
    'postgres',
    `alter role ${maker} nocreatedb bypassrls replication; alter role ${other} createdb inherit`,
  )
  expect((await it.converge()).sort()).toEqual(
    [
      `alter role ${maker}: bypassrls is true, declared false`,
      `alter role ${maker}: createdb is false, declared true`,
      `alter role ${other}: inherit is true, declared false`,
    ].sort(),
  )
  expect(await it.drift()).toEqual([])
  expect(await asSuperuser('postgres', `select rolreplication from pg_roles where rolname = '${maker}'`)).toEqual([
    { rolreplication: true },
  ])
})

describe('what PUBLIC has on a database', () => {
  test('is taken away or given where that is declared, also in a database that existed', async ({ shop }) => {
    await asSuperuser('postgres', `create database ${shop.name}`)
    const it = (connect: string) => shop.of({ web: 'rw' }, { public: { connect, temporary: 'revoke' } })
    expect((await it('revoke').converge()).filter((line) => line.includes('on database'))).toEqual([
      `grant CONNECT on database ${shop.name} to ${shop.name}_web: is missing`,
      `revoke CONNECT on database ${shop.name} from PUBLIC: is declared absent`,
      `revoke TEMPORARY on database ${shop.name} from PUBLIC: is declared absent`,
    ])
    expect(await it('revoke').drift()).toEqual([])
    const stranger = { name: uniqueName('stranger'), password: 'x' }
    await asSuperuser('postgres', `create role ${stranger.name} login password 'x'`)
    expect(await asUser(shop.name, stranger, 'select 1')).toBe(denied)
    expect(await asUser(shop.name, shop.user('web'), 'create temp table t ()')).toBe(denied)
    await it('grant').converge()
    expect(await it('grant').drift()).toEqual([])
    expect(await asUser(shop.name, stranger, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('is there in a new database that is to be open', async ({ shop }) => {
    const it = shop.of({}, { owner: `${shop.name}_owner`, public: { connect: 'grant', temporary: 'grant' } })
    await it.converge()
    expect(await it.drift()).toEqual([])
    const stranger = { name: uniqueName('stranger'), password: 'x' }
    await asSuperuser('postgres', `create role ${stranger.name} login password 'x'`)
    expect(await asUser(shop.name, stranger, 'create temp table t ()')).toEqual([])
  })
})

describe('a database with a locale of ICU', () => {
  const create = { localeProvider: 'icu', icuLocale: 'de-DE', locale: 'C' }

  test.runIf(major >= 15)('is created with it; another one is a warning', async ({ shop }) => {
    const it = (icuLocale: string) => shop.of({}, { owner: `${shop.name}_owner`, create: { ...create, icuLocale } })
    await it('de-DE').converge()
    expect(await it('de-DE').drift()).toEqual([])
    expect(await it('de-DE').cluster((plan) => plan.warnings)).toEqual([])
    expect(await it('sv').cluster((plan) => plan.warnings)).toEqual([
      `database ${shop.name} has ICU locale de-DE, declared sv: that cannot be changed after creation`,
    ])
    const sql = open(shop.name)
    expect(await sql`select 'ä' < 'b' as sorted`.finally(() => sql.end())).toEqual([{ sorted: true }])
  })

  test.runIf(major < 15)('is refused by PostgreSQL 14', async ({ shop }) => {
    await expect(shop.of({}, { create }).converge()).rejects.toMatchObject({ kind: 'usage' })
  })
})
