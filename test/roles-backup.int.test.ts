import { execFile } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { test as base, server, uniqueName } from './support/postgres.ts'
import { asSuperuser, asUser, declared, type User } from './support/roles.ts'

/** `shop`: a database with everything that can make a dump fail, a role for backups and one for monitoring. */
const test = base.extend<{ shop: Shop }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  shop: async ({}, use) => {
    const name = uniqueName('shop')
    const keeper = { name: `${name}_backup`, password: 'backup secret' }
    const watch = { name: `${name}_monitor`, password: 'monitor secret' }
    const shop: Shop = {
      name,
      keeper,
      watch,
      roles: declared({
        users: {
          [keeper.name]: { preset: 'backup', password: { env: keeper.password } },
          [watch.name]: { preset: 'monitor', password: { env: watch.password } },
        },
        databases: { [name]: { users: { [`${name}_app`]: { preset: 'app' } } } },
      }),
      admin: (statement) => asSuperuser(name, statement),
    }
    await use(shop)
  },
})

type Shop = {
  name: string
  keeper: User
  watch: User
  roles: ReturnType<typeof declared>
  admin(statement: string): Promise<unknown[]>
}

const hostile = (name: string) => `
  create role ${name}_other nologin;
  create schema private authorization ${name}_other;
  revoke all on schema private from public;
  revoke all on schema public from public;
  set role ${name}_other;
  create table private.notes (id bigint generated always as identity, body text);
  insert into private.notes (body) select 'note ' || n from generate_series(1, 5) n;
  create table private.forced (id serial, body text);
  insert into private.forced (body) values ('hidden from its owner');
  alter table private.forced enable row level security, force row level security;
  create sequence private.numbers start 42; select nextval('private.numbers');
  create materialized view private.summary as select count(*) from private.notes;
  create view private.recent as select * from private.notes;
  set role ${name}_owner;
  create table public.orders (id int primary key, secret text);
  insert into public.orders values (1, 'a'), (2, 'b');
  alter table public.orders enable row level security;
  create policy nobody on public.orders using (false);
  create table public.parts (at date, n int) partition by range (at);
  create table public.parts_2026 partition of public.parts for values from ('2026-01-01') to ('2027-01-01');
  insert into public.parts values ('2026-05-05', 5);
  create unlogged table public.scratch as select 1 as one;
  create statistics public.related (dependencies) on at, n from public.parts;
  reset role;
  create table public.of_superuser as select 'mine' as whose;
  select lo_from_bytea(0, convert_to('a large object', 'UTF8'));
  set role ${name}_other; select lo_from_bytea(0, convert_to('of another owner', 'UTF8')); reset role`

/** A pg_dump of the server's version or a newer one. */
function pgDump(): string | undefined {
  const own = join(server().binDir, 'pg_dump')
  const packaged = globSync('/usr/lib/postgresql/*/bin/pg_dump').sort()
  return existsSync(own) ? own : packaged.find((path) => Number(path.split('/')[4]) >= server().major)
}

/** The dump as SQL, without the lines that differ between dumps. */
async function dump(database: string, { name, password }: User): Promise<string> {
  const args = ['-h', '127.0.0.1', '-p', `${server().port}`, '-U', name, '-d', database]
  const { stdout } = await promisify(execFile)(pgDump()!, args, {
    env: { PGPASSWORD: password },
    maxBuffer: 64 * 1024 * 1024,
  })
  return stdout.replaceAll(/^\\(un)?restrict .*$/gm, '')
}

const readOnly = '25006'

/** From 19 on, pg_read_all_data covers large objects. */
const needsSetting = server().major < 19
const largeObjects = 'set lo_compat_privileges of role shop_backup: is not set, declared on'

describe('preset backup', () => {
  test('converges, then finds nothing to do, and repairs what was changed by hand', async ({ shop }) => {
    const changes = await shop.roles.converge()
    const own = changes
      .filter((change) => change.includes(shop.keeper.name))
      .map((change) => change.replaceAll(shop.name, 'shop'))
    if (server().major >= 14) {
      expect(own.filter((change) => change !== largeObjects)).toMatchInlineSnapshot(`
        [
          "create role shop_backup: does not exist; logs in",
          "alter role shop_backup: bypassrls is false, declared true",
          "grant role pg_read_all_data to shop_backup: is not a member",
          "set password of role shop_backup: has none",
          "grant CONNECT on database shop to shop_backup: is missing",
          "grant CONNECT on database postgres to shop_backup: is missing",
          "set default_transaction_read_only of role shop_backup: is not set, declared on",
        ]
      `)
    }
    expect(own.includes(largeObjects)).toBe(needsSetting)
    await shop.admin(hostile(shop.name))
    await shop.roles.converge()
    expect(await shop.roles.drift()).toEqual([])

    await shop.admin(`alter role ${shop.keeper.name} nobypassrls; alter role ${shop.keeper.name} reset lo_compat_privileges;
      revoke connect on database ${shop.name} from ${shop.keeper.name}; alter role ${shop.watch.name} bypassrls connection limit 50`)
    expect((await shop.roles.converge()).map((change) => change.replaceAll(shop.name, 'shop'))).toEqual([
      'alter role shop_backup: bypassrls is false, declared true',
      'alter role shop_monitor: bypassrls is true, declared false',
      'alter role shop_monitor: connection limit is 50, declared 5',
      'grant CONNECT on database shop to shop_backup: is missing',
      ...(needsSetting ? [largeObjects] : []),
    ])
    expect(await shop.roles.drift()).toEqual([])
  })

  test('its dump is exactly that of the superuser', async ({ shop, skip }) => {
    skip(pgDump() === undefined, `no pg_dump for PostgreSQL ${server().major} on this machine`)
    await shop.roles.converge()
    await shop.admin(hostile(shop.name))
    // on PostgreSQL 13, objects created since then need grants
    await shop.roles.converge()

    const own = await dump(shop.name, shop.keeper)
    expect(own).toBe(await dump(shop.name, { name: 'postgres', password: server().password }))
    for (const part of ['hidden from its owner', 'note 5', '1\ta', '2026-05-05', 'numbers', 'mine'])
      expect(own).toContain(part)
    expect(own).toContain(Buffer.from('of another owner').toString('hex'))
  })

  test('a user with preset backup cannot change anything', async ({ shop }) => {
    await shop.roles.converge()
    await shop.admin(hostile(shop.name))
    const as = (statement: string) => asUser(shop.name, shop.keeper, statement)
    expect(await as(`create table public.mine (id int)`)).toBe(readOnly)
    expect(await as(`create temp table mine (id int); insert into mine values (1)`)).toBe(readOnly)
    expect(await as('show role')).toEqual([{ role: 'none' }])
  })

  test('may connect to the lock database by its own privilege, not only because everyone may', async ({ shop }) => {
    await shop.roles.converge()
    const grantees = await shop.admin(`select a.grantee::regrole::text as name from pg_database, aclexplode(datacl) a
      where datname = 'postgres' and a.privilege_type = 'CONNECT'`)
    expect(grantees).toEqual(expect.arrayContaining([{ name: shop.keeper.name }, { name: shop.watch.name }]))
  })
})

describe('preset monitor', () => {
  test('sees statistics of everything, in short read-only statements', async ({ shop }) => {
    await shop.roles.converge()
    const as = (statement: string, database = shop.name) => asUser(database, shop.watch, statement)
    expect(
      await as(
        `select count(*) > 0 as seen from pg_stat_activity where usename = 'postgres' and query <> '<insufficient privilege>'`,
        'postgres',
      ),
    ).toEqual([{ seen: true }])
    expect(await as('select pg_ls_waldir() is not null as seen limit 1')).toEqual([{ seen: true }])
    expect(await as('show search_path')).toEqual([{ search_path: 'pg_catalog, public' }])
    expect(await as('show statement_timeout')).toEqual([{ statement_timeout: '10s' }])
    expect(await as('create table public.mine (id int)')).toBe(readOnly)
    expect(await as('select * from pg_authid')).toBe('42501')
  })
})
