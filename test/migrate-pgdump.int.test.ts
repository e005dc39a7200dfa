import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'vitest'
import { client } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** A plain dump of a database with rows. */
  dump: string
  /** Another database, which is empty. */
  empty: string
  /** Runs `migrate` on it with these files. */
  migrate: (files: Record<string, string>, env?: Record<string, string>) => ReturnType<typeof runJson>
}

const test = base.extend<Fixtures>({
  dump: async ({ sql, database }, use) => {
    await sql.unsafe(`
      create table customers (id int primary key, name text not null, note text);
      create table orders (id int primary key, customer int references customers);
      create function f() returns int language plpgsql as $f$ begin return 1; /* ; */ end $f$;
      insert into customers values (1, E'tab\\there', null), (2, E'\\\\.', ''), (3, 'grün 😀', 'x');
      insert into orders select i, 1 + i % 3 from generate_series(1, 2000) i`)
    await use(execFileSync(join(client!.dir, 'pg_dump'), [`--dbname=${urlOf(database)}`], { encoding: 'utf8' }))
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest wants it
  empty: async ({}, use) => {
    const name = uniqueName('empty')
    const admin = open('postgres')
    await admin.unsafe(`create database ${name}`)
    await admin.end()
    await use(name)
  },
  migrate: async ({ dir, empty }, use) =>
    use(async (files, env = {}) => {
      await writeFiles(
        dir,
        Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])),
      )
      return runJson(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(empty), ...env } })
    }),
})

const withClient = test.skipIf(!client)

withClient(
  'is a first migration, with its rows; files after it are not affected by its settings',
  async ({ dump, empty, migrate }) => {
    const { code, json } = await migrate({
      '001_dump.sql': dump,
      '002_more.sql': `create table more (a text default current_setting('search_path'), b text default current_setting('lock_timeout'));
      insert into more default values`,
    })
    expect([code, json.error]).toEqual([0, null])
    const sql = open(empty)
    expect(await sql`select id, name, note from customers order by id`).toEqual([
      { id: 1, name: 'tab\there', note: null },
      { id: 2, name: '\\.', note: '' },
      { id: 3, name: 'grün 😀', note: 'x' },
    ])
    expect(await sql`select count(*)::int as n, f() as f from orders`).toEqual([{ n: 2000, f: 1 }])
    expect(await sql`select a, b from public.more`).toEqual([{ a: '"$user", public', b: '5s' }])
    await sql.end()
    expect((await migrate({})).json.results).toEqual([])
  },
)

withClient('works in the format of another tool', async ({ dump, empty, migrate }) => {
  const { code, json } = await migrate(
    { '1_dump.up.sql': dump, '2_more.up.sql': 'create table more ()' },
    { PGBOSUN_MIGRATE_FORMAT: 'golang-migrate' },
  )
  expect([code, json.error]).toEqual([0, null])
  const sql = open(empty)
  expect(await sql`select version::int, dirty from public.schema_migrations`).toEqual([{ version: 2, dirty: false }])
  await sql.end()
})

withClient(
  'a row that the server refuses is named by its line, and nothing of the file stays',
  async ({ dump, empty, migrate, dir }) => {
    const broken = dump.replace('\n2\t', '\ntwo\t')
    const line = broken.split('\n').findIndex((text) => text.startsWith('two\t')) + 1
    const { code, json } = await migrate({ '001_dump.sql': broken, '002_more.sql': 'create table more ()' })
    expect(code).toBe(20)
    expect(json.error).toMatchObject({ sqlstate: '22P02', file: `${dir}/migrations/001_dump.sql`, line })
    const sql = open(empty)
    expect(await sql`select relname from pg_class where relnamespace = 'public'::regnamespace`).toEqual([])
    expect(await sql`select name from pgbosun.migrations`).toEqual([])
    await sql.end()
    expect((await migrate({ '001_dump.sql': dump })).code).toBe(0)
  },
)

withClient('one that was cut off in the rows is refused before anything is changed', async ({ dump, migrate }) => {
  const { code, json } = await migrate({ '001_dump.sql': dump.slice(0, dump.indexOf('\n2\t')) })
  expect([code, json.error?.message]).toEqual([20, expect.stringContaining('its rows and a line')])
})
