import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import { run, runJson } from './support/cli.ts'
import { formats } from './support/formats.ts'
import { test as base, open, type Sql, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** Owner of the database; the schema of its name is its own, and so is `app`. */
  owner: string
  pgbosun(args: string[]): ReturnType<typeof runJson>
}

const test = base.extend<Fixtures>({
  owner: async ({ sql, database, dir }, use) => {
    const owner = uniqueName('owner')
    await sql.unsafe(`create role ${owner}; alter database ${database} owner to ${owner}; alter schema public owner to ${owner};
      create schema ${owner} authorization ${owner}; create schema app authorization ${owner}`)
    await writeFiles(dir, {
      'migrations/001_t.sql': 'create table t (id int);',
      'migrations/002_outside.sql':
        '-- pgbosun: no-transaction\ncreate table u (id int);\ncreate index concurrently on u (id);',
      'seeds/a.sql': 'create table if not exists s as select 1 as id;',
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner }, seeds: [{ file: 'seeds/a.sql' }] }),
    })
    await use(owner)
  },
  pgbosun: async ({ dir, database }, use) =>
    use((args) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const schemasOf = async (sql: Sql) =>
  (
    await sql<{ schema: string }[]>`
      select distinct relnamespace::regnamespace::text as schema from pg_class where relname in ('t', 'u', 's') and relkind = 'r'`
  ).map(({ schema }) => schema)

describe('files and seeds run under the search_path that their role and database give', () => {
  test('of the owner, for whom $user is a schema', async ({ sql, pgbosun, owner }) => {
    expect(await pgbosun(['up'])).toMatchObject({ code: 0 })
    expect(await schemasOf(sql)).toEqual([owner])
  })

  test('files run under the search_path of the database', async ({ sql, pgbosun, owner, database }) => {
    await sql.unsafe(`alter database ${database} set search_path = app, "$user"`)
    expect(await pgbosun(['up'])).toMatchObject({ code: 0 })
    expect(await schemasOf(sql)).toEqual(['app'])
    expect(owner).not.toBe('app')
  })

  test('of the role, before that of the database; of the role in this database before that', async ({
    sql,
    pgbosun,
    owner,
    database,
  }) => {
    const odd = '"Other ""one"""'
    await sql.unsafe(`create schema ${odd} authorization ${owner}; create schema here authorization ${owner};
      alter database ${database} set search_path = app; alter role ${owner} set search_path = ${odd}`)
    expect(await pgbosun(['migrate', '--steps', '1'])).toMatchObject({ code: 0 })
    expect(await schemasOf(sql)).toEqual([odd])
    await sql.unsafe(`alter role ${owner} in database ${database} set search_path = here; drop table ${odd}.t`)
    expect(await pgbosun(['up'])).toMatchObject({ code: 0 })
    expect(await schemasOf(sql)).toEqual(['here'])
  })

  test('files run under the search_path of postgresql.conf', async ({ dir }) => {
    const own = await startServer(server().binDir, { settings: ['fsync=off'] })
    try {
      appendFileSync(join(own.dir, 'data', 'postgresql.conf'), `search_path = 'from_file, public'\n`)
      await own.stop()
      await own.start()
      await writeFiles(dir, {
        'migrations/001_s.sql': 'create schema from_file;',
        'migrations/002_t.sql': 'create table t (id int);',
        'pgbosun.yaml': JSON.stringify({ databases: { shop: {} } }),
      })
      const env = { DATABASE_URL: own.url('shop') }
      const ran = await run(['up'], { cwd: dir, env })
      expect(ran.code, ran.stderr).toBe(0)
      const status = await runJson(['migrate', 'status'], { cwd: dir, env })
      expect(status.json).toMatchObject({ pending: [] })
      await writeFiles(dir, {
        'migrations/003_look.sql': `do $$ begin if to_regclass('from_file.t') is null then raise exception 'not there'; end if; end $$;`,
      })
      const looked = await run(['up'], { cwd: dir, env })
      expect(looked.code, looked.stderr).toBe(0)
    } finally {
      await own.remove()
    }
  })
})

test('the history of another tool is looked for, and made, where that tool would', async ({
  sql,
  pgbosun,
  owner,
  database,
  dir,
}) => {
  await sql.unsafe(`alter database ${database} set search_path = missing, app, public`)
  await writeFiles(dir, {
    'theirs/1_a.sql': '-- migrate:up\nselect 1;\n-- migrate:down\n',
    'pgbosun.yaml': JSON.stringify({ migrate: { role: owner, format: 'auto', dir: 'theirs' } }),
  })
  expect(await pgbosun(['migrate'])).toMatchObject({ code: 0 })
  const where = () =>
    sql`select relnamespace::regnamespace::text as schema from pg_class where relname = 'schema_migrations'`
  expect(await where()).toEqual([{ schema: 'app' }])
  await writeFiles(dir, { 'theirs/2_b.sql': '-- migrate:up\nselect 1;\n-- migrate:down\n' })
  expect(await pgbosun(['migrate'])).toMatchObject({ code: 0, json: { results: [{ name: '2_b' }] } })
  expect(await where()).toEqual([{ schema: 'app' }])
  expect(await sql`select version from app.schema_migrations order by 1`).toEqual([{ version: '1' }, { version: '2' }])
})

test('an extension without a declared schema goes to public, whatever the search_path; one that names its own goes there', async ({
  sql,
  dir,
}) => {
  const database = uniqueName('ext')
  await writeFiles(dir, {
    'pgbosun.yaml': JSON.stringify({
      databases: {
        [database]: { config: { search_path: ['elsewhere'] }, extensions: { citext: null, plpgsql: null } },
      },
    }),
  })
  const [there] = await sql`select from pg_available_extensions where name = 'citext'`
  if (!there) return console.warn('NOT RUN: extensions: the server has no citext')
  const env = { DATABASE_URL: urlOf(database) }
  expect(await runJson(['up'], { cwd: dir, env })).toMatchObject({ code: 0 })
  const inside = open(database)
  expect(await inside`select extname, extnamespace::regnamespace::text as schema from pg_extension order by 1`).toEqual(
    [
      { extname: 'citext', schema: 'public' },
      { extname: 'plpgsql', schema: 'pg_catalog' },
    ],
  )
  await inside.end()
  expect(await runJson(['plan', '--exit-code'], { cwd: dir, env })).toMatchObject({ code: 0 })
})

describe('a search_path in the URL goes before all others', () => {
  for (const [name, query] of [
    ['search_path', 'search_path=chosen,public'],
    ['options', 'options=-csearch_path%3Dchosen%2Cpublic'],
    ['options of sqlx', 'options[search_path]=chosen,public'],
  ] as const)
    test(`for files, seeds and histories: ${name}`, async ({ sql, owner, database, dir }) => {
      await sql.unsafe(`create schema chosen authorization ${owner}; alter database ${database} set search_path = app`)
      const url = `${urlOf(database)}?${query}`
      expect(await runJson(['up'], { cwd: dir, env: { DATABASE_URL: url } })).toMatchObject({ code: 0 })
      expect(await schemasOf(sql)).toEqual(['chosen'])
      await writeFiles(dir, {
        'theirs/1_a.sql': '-- migrate:up\nselect 1;\n-- migrate:down\n',
        'pgbosun.yaml': JSON.stringify({ migrate: { role: owner, format: 'dbmate', dir: 'theirs' } }),
      })
      await sql`create table chosen.schema_migrations (version varchar primary key)`
      await sql.unsafe(
        `insert into chosen.schema_migrations values ('1'); alter table chosen.schema_migrations owner to ${owner}`,
      )
      const env = { DATABASE_URL: url }
      expect(await runJson(['migrate', 'status', '--exit-code'], { cwd: dir, env })).toMatchObject({ code: 0 })
    })

  test('the table of golang-migrate is that of its URL', async ({ sql, owner, database, dir }) => {
    await writeFiles(dir, {
      'theirs/1_a.up.sql': 'create table z (id int);',
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner, format: 'golang-migrate', dir: 'theirs' } }),
    })
    await sql.unsafe(`create table ${owner}.done (version bigint primary key, dirty boolean not null);
      insert into ${owner}.done values (1, false); alter table ${owner}.done owner to ${owner}`)
    const env = { DATABASE_URL: `${urlOf(database)}?x-migrations-table=done` }
    expect(await runJson(['migrate', 'status', '--exit-code'], { cwd: dir, env })).toMatchObject({ code: 0 })
    expect(await runJson(['migrate'], { cwd: dir, env })).toMatchObject({ code: 0, json: { results: [] } })
  })
})

describe('the history of another application, further on in the search_path, is not used', () => {
  const named = ['sqlx', 'dbmate', 'golang-migrate', 'goose', 'flyway']
  for (const format of formats.filter(({ name }) => named.includes(name)))
    test(`of ${format.name}`, async ({ sql, pgbosun, owner, database, dir }) => {
      const files = format.files([{ up: 'create table mine (id int);' }])
      const inOther = <T>(use: (other: Sql) => Promise<T>) =>
        sql.begin(async (transaction) => {
          await transaction`set local search_path = other`
          return use(transaction as unknown as Sql)
        }) as Promise<T>
      await sql.unsafe(
        `create schema other authorization ${owner}; alter database ${database} set search_path = public, other`,
      )
      await inOther((other) => other.unsafe(`${format.ddl}; ${format.record(1, files)}`.replaceAll('"public".', '')))
      const theirs = await inOther(format.rows)
      const pairs = ['sqlx', 'golang-migrate'].includes(format.name)
      await writeFiles(dir, {
        ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`theirs/${path}`, text])),
        'pgbosun.yaml': JSON.stringify({
          migrate: { role: owner, format: pairs ? format.name : 'auto', dir: 'theirs' },
        }),
      })

      const first = await pgbosun(['migrate'])
      expect(first, first.stderr).toMatchObject({
        code: 0,
        json: { results: [{ name: format.title(1) }], warnings: [] },
      })
      expect(first.stderr).toMatch(/there is no history public\.(\w+); other\.\1 is ignored/)
      expect(await sql`select relnamespace::regnamespace::text as schema from pg_class where relname = 'mine'`).toEqual(
        [{ schema: 'public' }],
      )
      expect(await inOther(format.rows)).toEqual(theirs)
      expect(await format.rows(sql)).toHaveLength(format.expected([1], files).length)
      expect(await pgbosun(['migrate', 'status', '--exit-code'])).toMatchObject({ code: 0, json: { pending: [] } })
    })
})
