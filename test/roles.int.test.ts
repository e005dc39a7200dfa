import { randomBytes } from 'node:crypto'
import { describe, expect } from 'vitest'
import { makeVerifier } from '../src/postgres/scram.ts'
import { isConcurrentChange } from '../src/roles/errors.ts'
import { runJson } from './support/cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { asSuperuser, asUser, declared, openOne } from './support/roles.ts'

/** `shop`: names for a database with an app user and a reader, its declaration, and sessions of a superuser. */
const test = base.extend<{ shop: Shop }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  shop: async ({}, use) => {
    const name = uniqueName('shop')
    await use({
      name,
      owner: `${name}_owner`,
      app: { name: `${name}_app`, password: 'app secret' },
      reader: { name: `${name}_ro`, password: 'reader secret' },
      configuration: {
        databases: {
          [name]: {
            users: {
              [`${name}_app`]: { preset: 'app', password: { env: 'app secret' } },
              [`${name}_ro`]: { preset: 'readonly', password: { env: 'reader secret' } },
            },
          },
        },
      },
      admin: (statement) => asSuperuser(name, statement),
    })
  },
})

type Shop = {
  name: string
  owner: string
  app: { name: string; password: string }
  reader: { name: string; password: string }
  configuration: { databases: Record<string, Record<string, unknown>>; [key: string]: unknown }
  admin(statement: string): Promise<unknown[]>
}

const denied = '42501'

describe('from nothing', () => {
  test('creates what is declared, then finds nothing to do', async ({ shop }) => {
    const changes = await declared(shop.configuration).converge()
    const short = changes.map((change) => change.replaceAll(shop.name, 'shop'))
    // Up to PostgreSQL 14, schema public belongs to the superuser, and everyone may create objects there.
    const before15 = /^alter schema public: owner is postgres|schema public from PUBLIC/
    expect(short.filter((change) => !before15.test(change))).toMatchInlineSnapshot(`
      [
        "create role shop_owner: does not exist",
        "create role shop_app: does not exist; logs in",
        "create role shop_ro: does not exist; logs in",
        "grant role shop_owner to shop_app: is not a member",
        "set password of role shop_app: has none",
        "set password of role shop_ro: has none",
        "create database shop: does not exist",
        "grant CONNECT on database shop to shop_ro: is missing",
        "set role of role shop_app: is not set, declared shop_owner",
        "set default_transaction_read_only of role shop_ro: is not set, declared on",
        "set statement_timeout of role shop_ro: is not set, declared 5min",
        "set idle_in_transaction_session_timeout of role shop_ro: is not set, declared 5min",
        "grant USAGE on schema public to shop_ro: is missing",
        "grant SELECT on future tables of shop_owner in public to shop_ro: is missing",
        "grant SELECT on future sequences of shop_owner in public to shop_ro: is missing",
      ]
    `)
    expect(await declared(shop.configuration).drift()).toEqual([])
  })

  test('an app user works as the owner of the database', async ({ shop }) => {
    await declared(shop.configuration).converge()
    expect(await asUser(shop.name, shop.app, 'create table items (id serial, name text)')).toEqual([])
    expect(await asUser(shop.name, shop.app, `insert into items (name) values ('a') returning name`)).toEqual([
      { name: 'a' },
    ])
    expect(await shop.admin(`select tableowner from pg_tables where tablename = 'items'`)).toEqual([
      { tableowner: shop.owner },
    ])
    expect(await asUser(shop.name, shop.app, 'create schema more')).toEqual([])
  })

  test('a readonly user sees what the owner creates later, and cannot write', async ({ shop }) => {
    await declared(shop.configuration).converge()
    await asUser(
      shop.name,
      shop.app,
      'create table items (id serial); insert into items values (1); create view v as select * from items',
    )
    expect(await asUser(shop.name, shop.reader, 'select id from items')).toEqual([{ id: 1 }])
    expect(await asUser(shop.name, shop.reader, 'select id from v')).toEqual([{ id: 1 }])
    expect(await asUser(shop.name, shop.reader, 'select last_value::int from items_id_seq')).toEqual([
      { last_value: 1 },
    ])
    expect(await asUser(shop.name, shop.reader, 'insert into items values (2)')).toBe('25006')
    const writable = 'set default_transaction_read_only = off;'
    expect(await asUser(shop.name, shop.reader, `${writable} commit; insert into items values (2)`)).toBe(denied)
    expect(await asUser(shop.name, shop.reader, `${writable} commit; create table t (id int)`)).toBe(denied)
    expect(await asUser(shop.name, shop.reader, `${writable} commit; create temp table t (id int)`)).toBe(denied)
  })

  test('the user of another database cannot connect', async ({ shop }) => {
    await declared(shop.configuration).converge()
    const other = uniqueName('other')
    const user = { name: `${other}_app`, password: 'x' }
    await declared({
      databases: { [other]: { users: { [user.name]: { preset: 'app', password: { env: 'x' } } } } },
    }).converge()
    expect(await asUser(shop.name, user, 'select 1')).toBe(denied)
    expect(await asUser(other, user, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  test('an unfinished database of a killed run is removed, a database with a similar name is not', async ({ shop }) => {
    const [half, other] = [`${shop.name}__create_0123abcd`, `x${shop.name}__create_0123abcd`]
    const admin = openOne('postgres')
    await admin.unsafe(`create database ${half}`)
    await admin.unsafe(`create database ${other}`)
    const changes = await declared(shop.configuration).converge()
    expect(changes[0]).toBe(`drop database ${half}: a killed run left it unfinished`)
    const left = await admin`select datname from pg_database where datname in (${half}, ${other})`
    expect([...left]).toEqual([{ datname: other }])
    await admin.end()
  })
})

describe('broken by hand, it is repaired', () => {
  const breaks: [string, (shop: Shop) => string, string][] = [
    [
      'a revoked grant',
      (s) => `revoke select on items from ${s.reader.name}`,
      'grant SELECT on table public.items to shop_ro: is missing',
    ],
    [
      'an extra grant',
      (s) => `grant insert, update on items to ${s.reader.name}`,
      'revoke INSERT on table public.items from shop_ro: is not declared',
    ],
    [
      'a column grant',
      (s) => `grant update (id) on items to ${s.reader.name}`,
      'revoke UPDATE on column id of table public.items from shop_ro: is not declared',
    ],
    [
      'a grant option',
      (s) => `grant select on items to ${s.reader.name} with grant option`,
      'revoke the grant option of SELECT on table public.items from shop_ro: is not declared',
    ],
    [
      'a schema grant',
      (s) => `grant create on schema public to ${s.reader.name}`,
      'revoke CREATE on schema public from shop_ro: is not declared',
    ],
    [
      'a routine grant',
      (s) =>
        `create function f(a "char", variadic b numeric[]) returns int language sql as 'select 1'; grant execute on function f to ${s.reader.name}`,
      'revoke EXECUTE on routine public.f("char", numeric[]) from shop_ro: is not declared',
    ],
    [
      'dropped default privileges',
      (s) =>
        `alter default privileges for role ${s.owner} in schema public revoke select on tables from ${s.reader.name}`,
      'grant SELECT on future tables of shop_owner in public to shop_ro: is missing',
    ],
    [
      'extra default privileges',
      (s) => `alter default privileges for role ${s.owner} grant insert on tables to ${s.reader.name}`,
      'revoke INSERT on future tables of shop_owner from shop_ro: is not declared',
    ],
    [
      'another owner of the database',
      (s) => `alter database ${s.name} owner to postgres`,
      'alter database shop: owner is postgres, declared shop_owner',
    ],
    [
      'another owner of the schema',
      () => 'alter schema public owner to postgres',
      'alter schema public: owner is postgres, declared shop_owner',
    ],
    [
      'a right to create databases’ objects',
      (s) => `grant create on database ${s.name} to ${s.reader.name}`,
      'revoke CREATE on database shop from shop_ro: is not declared',
    ],
    [
      'a revoked CONNECT',
      (s) => `revoke connect on database ${s.name} from ${s.reader.name}`,
      'grant CONNECT on database shop to shop_ro: is missing',
    ],
    [
      'a user that may not log in',
      (s) => `alter role ${s.app.name} nologin`,
      'alter role shop_app: login is false, declared true',
    ],
    [
      'another password',
      (s) => `alter role ${s.app.name} password 'other'`,
      'set password of role shop_app: differs from the declared one',
    ],
    ['a removed password', (s) => `alter role ${s.app.name} password null`, 'set password of role shop_app: has none'],
    [
      'an md5 password',
      (s) => `set password_encryption = md5; alter role ${s.app.name} password 'app secret'`,
      'set password of role shop_app: stored as an md5 hash',
    ],
    [
      'a lost membership',
      (s) => `revoke ${s.owner} from ${s.app.name}`,
      'grant role shop_owner to shop_app: is not a member',
    ],
    [
      'an admin option',
      (s) => `grant ${s.owner} to ${s.app.name} with admin option`,
      server().major >= 16
        ? 'grant role shop_owner to shop_app: the admin option is not declared'
        : 'revoke role shop_owner from shop_app: the admin option is not declared',
    ],
    [
      'an extra membership',
      (s) => `grant ${s.owner} to ${s.reader.name}`,
      'revoke role shop_owner from shop_ro: is not declared',
    ],
    [
      'a predefined role instead',
      (s) => `revoke ${s.owner} from ${s.app.name}; grant pg_monitor to ${s.app.name}`,
      'revoke role pg_monitor from shop_app: is not declared',
    ],
    [
      'a lost setting',
      (s) => `alter role ${s.app.name} reset role`,
      'set role of role shop_app: is not set, declared shop_owner',
    ],
    [
      'a changed setting',
      (s) => `alter role ${s.reader.name} set statement_timeout = 0`,
      'set statement_timeout of role shop_ro: is 0, declared 5min',
    ],
    ...(server().major >= 16
      ? ([
          [
            'a membership without SET',
            (s: Shop) => `grant ${s.owner} to ${s.app.name} with set false`,
            'grant role shop_owner to shop_app: the membership lacks SET',
          ],
        ] as [string, (shop: Shop) => string, string][])
      : [
          [
            'a user that does not inherit',
            (s: Shop) => `alter role ${s.app.name} noinherit`,
            'alter role shop_app: inherit is false, declared true',
          ] as [string, (shop: Shop) => string, string],
        ]),
  ]

  test('several differences are repaired one after the other', async ({ shop }) => {
    const { configuration, admin, name } = shop
    await declared(configuration).converge()
    await asUser(name, shop.app, 'create table items (id serial)')
    for (const [what, statement, expected] of breaks) {
      await admin(statement(shop))
      const changes = (await declared(configuration).converge()).map((change) => change.replaceAll(name, 'shop'))
      expect(changes, what).toContain(expected)
      expect(await declared(configuration).drift(), what).toEqual([])
    }
    expect(await asUser(name, shop.app, 'select current_user')).toEqual([{ current_user: shop.owner }])
  })

  test('a privilege that another role granted is revoked', async ({ shop }) => {
    const middle = uniqueName('middle')
    await declared(shop.configuration).converge()
    await asUser(shop.name, shop.app, 'create table items (id serial)')
    await shop.admin(
      `create role ${middle}; grant insert on items to ${middle} with grant option; set role ${middle}; grant insert on items to ${shop.reader.name}`,
    )
    expect(await declared(shop.configuration).converge()).toHaveLength(1)
    expect(await declared(shop.configuration).drift()).toEqual([])
    expect(await shop.admin(`select has_table_privilege('${middle}', 'items', 'insert') as kept`)).toEqual([
      { kept: true },
    ])
  })
})

describe('what is not declared', () => {
  test('roles, schemas and grantees that are not declared are left alone', async ({ shop }) => {
    const stranger = uniqueName('stranger')
    await declared(shop.configuration).converge()
    await asUser(
      shop.name,
      shop.app,
      'create table items (id serial); create schema other; create table other.t (id int)',
    )
    await shop.admin(`create role ${stranger} login; grant all on items to ${stranger}; grant connect on database ${shop.name} to ${stranger};
      grant ${shop.owner} to ${stranger}; grant usage on schema other to ${shop.reader.name}; grant select on other.t to ${shop.reader.name};
      alter default privileges for role ${shop.owner} in schema public grant all on tables to ${stranger}`)
    expect(await declared(shop.configuration).drift()).toEqual([])
  })

  test('mode additive only grants', async ({ shop }) => {
    const additive = { ...shop.configuration, manage: { privileges: 'additive' } }
    await declared(additive).converge()
    await asUser(shop.name, shop.app, 'create table items (id serial)')
    await shop.admin(`grant insert on items to ${shop.reader.name}; grant pg_monitor to ${shop.reader.name};
      revoke select on items from ${shop.reader.name}; grant create on database ${shop.name} to ${shop.reader.name}`)
    expect(await declared(additive).converge()).toEqual([
      `grant SELECT on table public.items to ${shop.reader.name}: is missing`,
    ])
    expect(await declared(additive).drift()).toEqual([])
  })

  test('an existing database keeps PUBLIC’s privileges, and without an app user its owner', async ({
    database,
    sql,
  }) => {
    const reader = { name: uniqueName('ro'), password: 'x' }
    await sql`create table t (id int)`
    const adopted = {
      databases: { [database]: { users: { [reader.name]: { preset: 'readonly', password: { env: 'x' } } } } },
    }
    await declared(adopted).converge()
    expect(await declared(adopted).drift()).toEqual([])
    const [row] =
      await sql`select pg_get_userbyid(datdba) as owner, has_database_privilege('public', oid, 'connect, temporary') as open,
      to_regrole(${`${database}_owner`}) is null as "noOwner" from pg_database where datname = current_database()`
    expect(row).toEqual({ owner: 'postgres', open: true, noOwner: true })
    await sql`create table later (id int)`
    expect(await asUser(database, reader, 'select * from t, later')).toEqual([])
  })

  test('check reports an existing database in which everyone may create objects; roles apply closes it if declared', async ({
    shop,
    dir,
  }) => {
    const admin = openOne('postgres')
    await admin.unsafe(`create database ${shop.name}`)
    await admin.end()
    await shop.admin('grant create on schema public to public')
    const declare = (more: object) => {
      Object.assign(shop.configuration.databases[shop.name]!, more)
      return writeFiles(dir, {
        'pgbosun.json': JSON.stringify(shop.configuration)
          .replaceAll('"app secret"', '"PW"')
          .replaceAll('"reader secret"', '"PW"'),
      })
    }
    const pgbosun = (command: string) =>
      runJson([command], { cwd: dir, env: { DATABASE_URL: urlOf(shop.name), PW: 'reader secret' } })
    await declare({})
    expect((await pgbosun('up')).code).toBe(0)
    const warned = await pgbosun('check')
    expect([warned.code, warned.json.warnings]).toEqual([
      0,
      expect.arrayContaining([expect.stringContaining('revoke create on schema "public" from public')]),
    ])
    const mayCreate = () => asUser(shop.name, shop.reader, 'begin read write; create table x (id int); rollback')
    expect(await mayCreate()).not.toBe(denied)
    await declare({ schemaCreate: 'revoke' })
    expect((await pgbosun('up')).code).toBe(0)
    expect(await mayCreate()).toBe(denied)
    expect((await pgbosun('check')).json.warnings).not.toEqual(
      expect.arrayContaining([expect.stringContaining('revoke create')]),
    )
  })

  test('extensions keep their own privileges', async ({ shop }) => {
    const configuration = {
      databases: { [shop.name]: { ...shop.configuration.databases[shop.name], extensions: { plpgsql: null } } },
    }
    await declared(configuration).converge()
    expect(await declared(configuration).drift()).toEqual([])
  })
})

describe('the long form', () => {
  test('an empty list of libraries lets the user log in, even if an empty name kept it out before', async ({
    shop,
  }) => {
    const login = { name: uniqueName('empty'), password: 'x' }
    const settings = {
      session_preload_libraries: '',
      local_preload_libraries: [],
      temp_tablespaces: '',
      search_path: '',
    }
    const user = { preset: 'readonly', password: { env: 'x' }, config: settings }
    const configuration = {
      databases: { [shop.name]: { config: { session_preload_libraries: '' }, users: { [login.name]: user } } },
    }
    const world = declared(configuration)
    await world.converge()
    expect(await world.drift()).toEqual([])
    const logsIn = async () => {
      const own = open(shop.name, login)
      const [row] = await own`select current_user as name`.finally(() => own.end())
      return row?.name
    }
    expect(await logsIn()).toBe(login.name)
    await shop.admin(`alter role ${login.name} set session_preload_libraries to ''`)
    await expect(logsIn()).rejects.toThrow()
    await world.converge()
    expect([await logsIn(), await world.drift()]).toEqual([login.name, []])
  })

  test('schemas, levels, grants, default privileges, memberships, settings and limits converge', async ({ shop }) => {
    const [writer, group, login] = [uniqueName('writer'), uniqueName('analysts'), uniqueName('ann')]
    const configuration = {
      roles: { [group]: { memberOf: ['pg_monitor'] }, [writer]: { connectionLimit: 3 } },
      users: {
        [login]: {
          memberOf: [group],
          password: { env: 'x' },
          validUntil: '2199-01-01T00:00:00+02:00',
          config: { search_path: ['app', 'odd, "name'], DateStyle: 'ISO, DMY', work_mem: '8MB', jit: false },
          configIn: { [shop.name]: { 'app.tenant': 'a=b' } },
        },
      },
      databases: {
        [shop.name]: {
          connectionLimit: 50,
          config: { TimeZone: 'UTC', search_path: 'app, public' },
          schemas: {
            app: {
              access: { [group]: 'read', [writer]: 'write' },
              grants: [
                { to: login, on: 'table', names: ['t'], privileges: ['truncate'] },
                { to: writer, on: 'routine', names: ['g(integer)'], privileges: ['ALL'] },
                { to: 'PUBLIC', on: 'type', privileges: ['USAGE'] },
                { to: writer, on: 'table', names: ['*'], privileges: ['ALL'] },
              ],
              defaultPrivileges: [{ on: 'type', to: group, privileges: ['USAGE'] }],
            },
            side: null,
          },
        },
      },
    }
    await declared(configuration).converge()
    expect(await declared(configuration).drift()).toEqual([])
    await shop.admin(`set role ${shop.name}_owner; create table app.t (id int); create table app.u (id int);
      create function app.g(int) returns int language sql as 'select 1'; create procedure app.p() language sql as 'select 1';
      create aggregate app.pick(int order by int) (sfunc = int4larger, stype = int, finalfunc = int4larger)`)
    await declared(configuration).converge()
    expect(await declared(configuration).drift()).toEqual([])

    const ann = { name: login, password: 'x' }
    expect(await asUser(shop.name, ann, 'select * from app.t, app.u')).toEqual([])
    expect(await asUser(shop.name, ann, 'truncate app.t')).toEqual([])
    expect(await asUser(shop.name, ann, 'truncate app.u')).toBe(denied)
    expect(
      await asUser(
        shop.name,
        ann,
        `select current_schemas(false)::text as s, current_setting('work_mem') as w, current_setting('app.tenant') as t`,
      ),
    ).toEqual([{ s: '{app}', w: '8MB', t: 'a=b' }])
    expect(await declared(configuration).warnings(shop.name)).toEqual([])
  })

  test('a role that creates objects without default privileges is a warning, and so is a grant on a missing table', async ({
    shop,
  }) => {
    const maker = uniqueName('maker')
    const configuration = {
      roles: { [maker]: null },
      databases: {
        [shop.name]: {
          ...shop.configuration.databases[shop.name],
          schemas: {
            public: {
              access: { [maker]: 'create' },
              grants: [{ to: maker, on: 'table', names: ['gone'], privileges: ['SELECT'] }],
            },
          },
        },
      },
    }
    await declared(configuration).converge()
    expect(
      (await declared(configuration).warnings(shop.name))
        .flat()
        .map((text) => text.replaceAll(shop.name, 'shop').replaceAll(maker, 'maker')),
    ).toEqual([
      'database shop has no table public.gone, but a grant to maker names it',
      'maker may create objects in schema public, but no default privileges are declared for them: add maker to `creators`',
    ])
  })

  test('a user in two databases acts as the owner of each', async () => {
    const [one, two] = [uniqueName('one'), uniqueName('two')]
    const user = { name: uniqueName('both'), password: 'x' }
    const app = { users: { [user.name]: { preset: 'app' } } }
    const configuration = { users: { [user.name]: { password: { env: 'x' } } }, databases: { [one]: app, [two]: app } }
    await declared(configuration).converge()
    expect(await declared(configuration).drift()).toEqual([])
    for (const database of [one, two]) {
      expect(await asUser(database, user, 'select current_user')).toEqual([{ current_user: `${database}_owner` }])
    }
  })
})

describe('odd names and passwords', () => {
  const passwords = [`it's "quoted"`, 'back\\slash\\', '$1 $$ $(x) %s', `'; drop role x; --`, ' spaces ', 'pässwörd ✓']

  test('a SCRAM verifier as password is stored as it is: its password logs in, before and after', async () => {
    const name = uniqueName('pw')
    const password = 'of the application'
    const verifierOf = (iterations: number) => makeVerifier(password, { salt: randomBytes(16), iterations })
    const world = (secret: string) =>
      declared({ databases: { [name]: { users: { [name]: { preset: 'app', password: { env: secret } } } } } })
    const [first, second] = [verifierOf(4_096), verifierOf(10_000)]
    await world(first).converge()
    expect(await asUser(name, { name, password }, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await world(first).drift()).toEqual([])
    expect(await world(password).drift()).toEqual([])
    expect(await world(second).converge()).toEqual([`set password of role ${name}: differs from the declared one`])
    expect(await asUser(name, { name, password }, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await world(second).drift()).toEqual([])
  })

  test.each([
    ['md5', 'md5'.padEnd(35, 'a')],
    ['md5 in capitals', 'MD5'.padEnd(35, 'A')],
    ['a piece of one', 'SCRAM-SHA-256$4096:x'],
    ['too few iterations', makeVerifier('x', { salt: randomBytes(16), iterations: 1 })],
    ['too many', makeVerifier('x', { salt: randomBytes(16), iterations: 4_096 }).replace('4096', '2147483647')],
    ['a blank behind it', `${makeVerifier('x', { salt: randomBytes(16), iterations: 4_096 })} `],
  ])('a hash that pgbosun does not store is refused as password: %s', async (_, secret) => {
    const name = uniqueName('pw')
    const refused = declared({
      databases: { [name]: { users: { [name]: { preset: 'app', password: { env: secret } } } } },
    })
    await expect(refused.converge()).rejects.toMatchObject({
      kind: 'usage',
      message: expect.not.stringContaining(secret),
    })
  })

  test.each(passwords)('the password %s logs in', async (password) => {
    const name = uniqueName('pw')
    const configuration = {
      databases: { [name]: { users: { [name]: { preset: 'app', password: { env: password } } } } },
    }
    await declared(configuration).converge()
    expect(await declared(configuration).drift()).toEqual([])
    expect(await asUser(name, { name, password }, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(await asUser(name, { name, password: `${password}x` }, 'select 1')).toBe('28P01')
  })

  test.each([
    `it's`,
    'a "quoted" one',
    'with spaces',
    'MixedCase',
    'größe ✓',
    'back\\slash',
    'a,b=c/d',
    'select',
  ])('every kind of object may be called %s', async (odd) => {
    const name = `${odd} ${uniqueName('')}`
    const user = { name: `${name} u`, password: 'x' }
    const configuration = {
      databases: {
        [name]: {
          owner: `${name} o`,
          users: {
            [user.name]: { preset: 'app', password: { env: 'x' } },
            [`${name} r`]: { preset: 'readonly', password: { env: 'x' } },
          },
          schemas: { [odd]: null },
        },
      },
    }
    await declared(configuration).converge()
    const table = `"${odd.replaceAll('"', '""')}"."T ""x"""`
    expect(await asUser(name, user, `create table ${table} (id int)`)).toEqual([])
    expect(await declared(configuration).drift()).toEqual([])
    expect(await asUser(name, { name: `${name} r`, password: 'x' }, `select * from ${table}`)).toEqual([])
  })
})

test('what others keep locked is waited for as long as lock.timeout says: exit 11, and nothing is changed', async ({
  shop,
  dir,
}) => {
  const env = { DATABASE_URL: urlOf('postgres'), PGBOSUN_LOCK_TIMEOUT: '2s' }
  const declare = (connectionLimit: number) =>
    writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ roles: { [shop.name]: { connectionLimit } } }) })
  await declare(5)
  expect((await runJson(['roles', 'apply'], { cwd: dir, env })).code).toBe(0)
  await declare(6)
  const holder = await openOne('postgres')
  try {
    await holder.unsafe(`begin; alter role "${shop.name}" connection limit 7`)
    const startedAt = performance.now()
    const { code, json, stderr } = await runJson(['roles', 'apply'], { cwd: dir, env })
    expect([code, json.error?.sqlstate], stderr).toEqual([11, '55P03'])
    expect(performance.now() - startedAt).toBeGreaterThan(1_900)
    await holder.unsafe('rollback')
    expect((await runJson(['roles', 'apply'], { cwd: dir, env })).code).toBe(0)
  } finally {
    await holder.end()
  }
})

describe('without the right to', () => {
  test('anything that is planned, a session is refused before anything is changed', async ({ shop }) => {
    const admin = { name: uniqueName('admin'), password: 'x' }
    const sql = openOne('postgres')
    await sql.unsafe(`create role ${admin.name} login createrole password 'x'`)
    await sql.end()
    const noPasswords = { databases: { [shop.name]: { users: { [shop.app.name]: { preset: 'app' } } } } }
    await expect(declared(noPasswords, { as: admin }).converge()).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/may not change roles and privileges.* lacks CREATEDB\)/s),
      hint: expect.stringContaining('roles plan --for-admin'),
    })
    await expect(declared(shop.configuration, { as: admin }).converge()).rejects.toMatchObject({
      kind: 'refused',
      message: `the password of role ${shop.app.name} cannot be compared: ${admin.name} may not read pg_authid`,
    })
    await declared(noPasswords).converge()
    expect(
      await declared(
        { ...noPasswords, databases: { [shop.name]: { ...noPasswords.databases[shop.name] } } },
        { as: admin },
      ).cluster((plan) => plan.changes),
    ).toEqual([])
  })

  test('an extension that is not on the server fails with a hint, and nothing of its transaction stays', async ({
    shop,
  }) => {
    const configuration = {
      databases: { [shop.name]: { schemas: { app: null }, extensions: { no_such_extension: null } } },
    }
    await expect(declared(configuration).converge()).rejects.toMatchObject({
      kind: 'roles',
      message: expect.stringContaining('create extension no_such_extension failed'),
      hint: expect.stringContaining('install the package'),
    })
    expect(await shop.admin(`select nspname from pg_namespace where nspname = 'app'`)).toEqual([])
  })
})

test('runs that collide, as without a lock, succeed by planning again', async ({ shop }) => {
  const { configuration, name, reader, app } = shop
  await declared(configuration).converge()
  await asUser(name, app, 'create table items (id serial)')
  const persistently = async (): Promise<void> => {
    for (;;) {
      try {
        await declared(configuration).converge()
        return
      } catch (error) {
        if (!isConcurrentChange(error)) throw error
      }
    }
  }
  await shop.admin(`revoke ${shop.owner} from ${app.name}; revoke all on items, items_id_seq from ${reader.name};
    revoke all on schema public from ${reader.name}; alter role ${reader.name} reset all; alter role ${app.name} connection limit 4;
    alter default privileges for role ${shop.owner} in schema public revoke all on tables from ${reader.name}`)
  await Promise.all([1, 2, 3, 4, 5, 6].map(persistently))
  expect(await declared(configuration).drift()).toEqual([])
})

test('no plan and no log line contains a password or a verifier', async ({ shop }) => {
  const lines: string[] = []
  const note = (...args: unknown[]) => void lines.push(JSON.stringify(args))
  const changes = await declared(shop.configuration, {
    log: { debug: note, info: note, warn: note, error: note },
  }).converge()
  expect(lines.length).toBe(changes.length)
  expect([...lines, ...changes].join('\n')).not.toMatch(/app secret|reader secret|SCRAM-SHA-256\$/)
})
