import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { inspectDatabase } from '../src/backup/inspect.ts'
import { ownerColumns } from '../src/backup/needed-roles.ts'
import { quoteIdent } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type Sql, server, test, uniqueName, urlOf } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

const { major } = server()

/** What there is of each kind with an owner: the statements that make it, and the one that gives it to `$role`. */
const kinds: Record<string, [create: string, give: string]> = {
  pg_class: ['create sequence s', 'alter sequence s owner to $role'],
  pg_collation: [`create collation c (provider = libc, locale = 'C')`, 'alter collation c owner to $role'],
  pg_conversion: [
    `create conversion v for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8`,
    'alter conversion v owner to $role',
  ],
  pg_event_trigger: [
    'create function pg_temp.f() returns event_trigger language plpgsql as $$ begin end $$; create event trigger e on ddl_command_end execute function pg_temp.f()',
    'alter event trigger e owner to $role',
  ],
  pg_foreign_data_wrapper: ['create foreign data wrapper w', 'alter foreign data wrapper w owner to $role'],
  pg_foreign_server: [
    'create foreign data wrapper w; alter foreign data wrapper w owner to $other; create server s foreign data wrapper w',
    'alter server s owner to $role',
  ],
  pg_language: ['create language l handler plpgsql_call_handler', 'alter language l owner to $role'],
  pg_largeobject_metadata: [`select lo_from_bytea(4711, 'x')`, 'alter large object 4711 owner to $role'],
  pg_namespace: ['create schema n', 'alter schema n owner to $role'],
  pg_opclass: [
    'create operator family f using btree; alter operator family f using btree owner to $other; create operator class o for type int using btree family f as operator 1 <, function 1 btint4cmp(int, int)',
    'alter operator class o using btree owner to $role',
  ],
  pg_operator: [
    'create operator === (leftarg = int, rightarg = int, function = int4eq)',
    'alter operator === (int, int) owner to $role',
  ],
  pg_opfamily: ['create operator family f using btree', 'alter operator family f using btree owner to $role'],
  pg_proc: ["create function f() returns int language sql as 'select 1'", 'alter function f() owner to $role'],
  pg_publication: ['create publication p', 'alter publication p owner to $role'],
  pg_statistic_ext: [
    'create table t (a int, b int); alter table t owner to $other; create statistics x on a, b from t',
    'alter statistics x owner to $role',
  ],
  pg_ts_config: [
    'create text search configuration g (copy = simple)',
    'alter text search configuration g owner to $role',
  ],
  pg_ts_dict: ['create text search dictionary d (template = simple)', 'alter text search dictionary d owner to $role'],
  pg_type: [`create type y as enum ('a')`, 'alter type y owner to $role'],
}

/** What names a role without being owned by it. */
const mentions: Record<string, string> = {
  'a privilege on a table': 'create table t (a int); alter table t owner to $other; grant select on t to $role',
  'a privilege on a column': 'create table t (a int); alter table t owner to $other; grant select (a) on t to $role',
  'a privilege on a large object': `select lo_from_bytea(4711, 'x'); alter large object 4711 owner to $other; grant select on large object 4711 to $role`,
  'a privilege on what comes with the server': 'grant execute on function pg_stat_reset() to $role',
  'default privileges of it': 'alter default privileges for role $role grant select on tables to public',
  'default privileges for it': 'alter default privileges for role $other grant select on tables to $role',
  'a policy': 'create table t (a int); alter table t owner to $other; create policy p on t to $role',
  'a user mapping':
    'create foreign data wrapper w; alter foreign data wrapper w owner to $other; create server s foreign data wrapper w; alter server s owner to $other; create user mapping for $role server s',
}

/** `$other`, a superuser, owns the database, and what the kind needs beside it. */
async function roles(sql: Sql, database: string) {
  const [other, owner] = [uniqueName('other'), uniqueName('owner')]
  await sql.unsafe(
    `create role ${other} superuser; create role ${owner} superuser; alter database ${database} owner to ${other}`,
  )
  return { other, owner }
}

/** What is read of the database after some statements, which are undone. */
async function readAfter(sql: Sql, statements: string, names: { $role: string; $other: string }) {
  let inspected: Pick<Manifest, 'roles' | 'superusers'> | undefined
  const text = statements.replaceAll('$role', names.$role).replaceAll('$other', names.$other)
  const undone = new Error('undone')
  await sql
    .begin(async (tx) => {
      await tx.unsafe(text)
      inspected = await inspectDatabase(tx as unknown as Parameters<typeof inspectDatabase>[0])
      throw undone
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error
    })
  return inspected!
}

describe('a role that a restore needs', () => {
  test('is the owner of any kind of object, also the first superuser of the server', { timeout: 120_000 }, async ({
    sql,
    database,
  }) => {
    const { other, owner } = await roles(sql, database)
    expect((await readAfter(sql, 'select', { $role: owner, $other: other })).roles).toEqual([other])
    for (const [kind, [create, give]] of Object.entries(kinds)) {
      const by = async (role: string) =>
        (await readAfter(sql, `${create}; ${give}`, { $role: role, $other: other })).roles
      expect(await by(owner), kind).toEqual([other, owner].sort())
      expect(await by('postgres'), kind).toEqual([other, 'postgres'].sort())
    }
  })

  test('is whoever is named by a privilege, a policy or a user mapping', async ({ sql, database }) => {
    const { other, owner } = await roles(sql, database)
    for (const [what, statements] of Object.entries(mentions))
      for (const role of [owner, 'postgres']) {
        // who owns what comes with the server needs no grant
        if (role === 'postgres' && what.endsWith('with the server')) continue
        const { roles } = await readAfter(sql, statements, { $role: role, $other: other })
        expect(roles, what).toEqual([other, role].sort())
      }
  })

  test('is looked for in every catalog of the server that has owners or privileges', async ({ sql, skip }) => {
    if (major < 14) skip('the server does not list its catalogs’ keys')
    const rows = await sql<{ name: string }[]>`
      select k.fktable::regclass::text as name from pg_get_catalog_foreign_keys() k join pg_class c on c.oid = k.fktable
       where k.pktable = 'pg_authid'::regclass and not c.relisshared`
    const others = ['pg_default_acl', 'pg_extension', 'pg_policy', 'pg_user_mapping']
    expect(rows.map(({ name }) => name).sort()).toEqual([...Object.keys(ownerColumns), ...others].sort())
    expect(Object.keys(kinds).sort()).toEqual(Object.keys(ownerColumns).sort())
    const granted = await sql<{ name: string }[]>`
      select c.relname as name from pg_attribute a join pg_class c on c.oid = a.attrelid
       where c.relnamespace = 'pg_catalog'::regnamespace and not c.relisshared and c.relkind = 'r' and a.atttypid = 'aclitem[]'::regtype`
    const withPrivileges = Object.entries(ownerColumns).flatMap(([name, [, acl]]) => (acl === undefined ? [] : [name]))
    expect(granted.map(({ name }) => name).sort()).toEqual(
      [...withPrivileges, 'pg_attribute', 'pg_default_acl', 'pg_init_privs'].sort(),
    )
  })

  test('is not that of an extension, but is who was granted something of it', async ({ sql, database }) => {
    const { other, owner } = await roles(sql, database)
    const names = { $role: owner, $other: other }
    const made = 'set local role $role; create extension hstore; create extension pg_stat_statements; reset role'
    expect((await readAfter(sql, made, names)).roles).toEqual([other])
    const again = (more: string) => readAfter(sql, `${made}; ${more}`, names).then(({ roles }) => roles)
    const reader = uniqueName('reader')
    await sql.unsafe(`create role ${reader}`)
    expect(await again(`grant execute on function hstore(text, text) to ${reader}`)).toEqual([other, reader].sort())
    expect(await again(`grant select on pg_stat_statements to ${reader}`)).toEqual([other, reader].sort())
  })

  test('is not that of temporary tables, whoever has or had one', async ({ sql, database }) => {
    const { other, owner } = await roles(sql, database)
    const session = openOne(database)
    try {
      await session.unsafe(`set role ${owner}; create temp table t (a int); grant select on t to postgres;
        create function pg_temp.f() returns int language sql as 'select 1'; create type pg_temp.y as enum ('a')`)
      expect((await readAfter(sql, 'select', { $role: owner, $other: other })).roles).toEqual([other])
    } finally {
      await session.end()
    }
  })

  test('has to be a superuser for what only one may own', async ({ sql, database }) => {
    const { other, owner } = await roles(sql, database)
    const of = async (statements: string) =>
      (await readAfter(sql, statements, { $role: owner, $other: other })).superusers
    for (const kind of ['pg_event_trigger', 'pg_foreign_data_wrapper'])
      expect(await of(kinds[kind]!.join('; ')), kind).toEqual([owner])
    expect(await of('create publication p for all tables; alter publication p owner to $role')).toEqual([owner])
    if (major >= 15)
      expect(await of('create publication p for tables in schema public; alter publication p owner to $role')).toEqual([
        owner,
      ])
    const subscription = `create subscription ${uniqueName('s')} connection 'host=nowhere.invalid' publication p with (connect = false, slot_name = none)`
    const ofSubscription = await readAfter(sql, `set local role $role; ${subscription}; reset role`, {
      $role: owner,
      $other: other,
    })
    expect(ofSubscription).toMatchObject({ roles: [other, owner].sort(), superusers: major < 16 ? [owner] : [] })
    expect(await of('create publication p; alter publication p owner to $role; create extension hstore')).toEqual([])
  })

  test.skipIf(!client)('is exactly who is named in a dump with one of everything', async ({ sql, database }) => {
    const [owner, reader] = [uniqueName('owner'), uniqueName('reader')]
    await sql.unsafe(`create role ${owner}; create role ${reader}; alter database ${database} owner to ${owner}`)
    const rich = readFileSync(join(import.meta.dirname, 'support/rich.sql'), 'utf8')
    await sql.unsafe(rich.replaceAll('"$owner"', owner).replaceAll('"$reader"', reader)).simple()
    const dump = execFileSync(join(client!.dir, 'pg_dump'), [`--dbname=${urlOf(database)}`, '--schema-only'], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
    const named = [owner, reader, 'postgres'].filter((role) =>
      new RegExp(`\\b(TO|FROM|ROLE|FOR) ([^;]+, )?${quoteIdent(role).replaceAll('"', '"?')}\\b`).test(dump),
    )
    expect((await inspectDatabase(sql as unknown as Parameters<typeof inspectDatabase>[0])).roles).toEqual(named.sort())
  })
})
