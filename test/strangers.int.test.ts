import { describe, expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { test as base, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** Owner of the database, without further rights. */
  owner: string
  pgbosun(...args: string[]): ReturnType<typeof runJson>
}

const test = base.extend<Fixtures>({
  owner: async ({ sql, database, dir }, use) => {
    const owner = uniqueName('owner')
    await sql.unsafe(
      `create role ${owner}; alter database ${database} owner to ${owner}; alter schema public owner to ${owner}`,
    )
    await writeFiles(dir, {
      'migrations/001_t.sql': 'create table t (id int constraint t_id unique, name text);',
      'pgbosun.yaml': JSON.stringify({ migrate: { role: owner } }),
    })
    await use(owner)
  },
  pgbosun: async ({ dir, database, owner: _ }, use) =>
    use((...args) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const loop = (what: string, each: string) =>
  `do $$ declare r record; begin for r in ${what} loop ${each} end loop; end $$;`

describe('files that go through everything in the database', () => {
  test('rename every unique constraint, and meet none of ours', async ({ pgbosun, dir, sql }) => {
    await pgbosun('up')
    await writeFiles(dir, {
      'migrations/002_rename.sql': loop(
        `select conrelid::regclass as t, conname from pg_constraint where contype = 'u' and connamespace::regnamespace::text not in ('pg_catalog', 'information_schema')`,
        `execute format('alter table %s rename constraint %I to %I', r.t, r.conname, 'uq_' || r.conname);`,
      ),
    })
    expect(await pgbosun('up')).toMatchObject({ code: 0, json: { error: null } })
    expect(await sql`select conname from pg_constraint where contype = 'u' and conname like 'uq_%'`).toEqual([
      { conname: 'uq_t_id' },
    ])
  })

  test('enable row security on every table: what runs as superuser changes ours too, and nothing is lost', async ({
    pgbosun,
    dir,
    owner,
  }) => {
    await pgbosun('up')
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ migrate: { role: 'postgres' }, databases: {}, seeds: [] }),
      'migrations/002_rls.sql': loop(
        `select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
        `execute format('alter table %I.%I enable row level security', r.schemaname, r.tablename);`,
      ),
      'migrations/003_more.sql': 'create table more (id int);',
    })
    expect(await pgbosun('up')).toMatchObject({ code: 0 })
    for (const args of [['up'], ['check'], ['migrate', 'status', '--exit-code'], ['plan', '--exit-code']])
      expect([args, (await pgbosun(...args)).code]).toEqual([args, 0])
    expect(owner).not.toBe('')
  })

  test('are told to leave the schema out where they may not change ours', async ({ pgbosun, dir }) => {
    await pgbosun('up')
    await writeFiles(dir, {
      'migrations/002_rls.sql': loop(
        `select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
        `execute format('alter table %I.%I enable row level security', r.schemaname, r.tablename);`,
      ),
    })
    const { code, json } = await pgbosun('up')
    expect([code, json.error?.message, json.error?.hint]).toEqual([
      20,
      expect.stringMatching(/^002_rls failed: .*/),
      expect.stringMatching(/^(pgbosun\.\w+|it) belongs to pgbosun: exclude its schema/),
    ])
  })

  test('are not told of a table of ours where a type or a value has the same name', async ({ pgbosun, dir, sql }) => {
    await pgbosun('up')
    await sql.unsafe(`create type public.events as enum ('state')`)
    for (const [statement, hint] of [
      [`create type events as enum ('a');`, 'the type events exists with the values'],
      [`select 'migrations'::int;`, 'the value does not have the form'],
      [`select 'seeds'::public.events;`, ''],
    ] as const) {
      await writeFiles(dir, { 'migrations/002_x.sql': statement })
      const { code, json } = await pgbosun('up')
      expect([statement, code]).toEqual([statement, 20])
      expect(String(json.error?.hint)).toContain(hint)
      expect(String(json.error?.hint)).not.toContain('belongs to pgbosun')
    }
  })

  test('never get a table of ours as what they may have meant', async ({ pgbosun, dir }) => {
    await pgbosun('up')
    await writeFiles(dir, { 'migrations/002_x.sql': 'select * from events;' })
    const { code, json } = await pgbosun('up')
    expect([code, json.error?.hint]).toEqual([20, expect.not.stringContaining('pgbosun.')])
  })
})

describe('row security that somebody enabled on our tables', () => {
  test('is said to who waits for a version and would see nothing', async ({ pgbosun, sql, database, dir }) => {
    await pgbosun('up')
    const reader = { name: uniqueName('reader'), password: 'of the reader' }
    await sql.unsafe(`create role ${reader.name} login password '${reader.password}'; grant usage on schema pgbosun to ${reader.name};
      grant select on pgbosun.migrations to ${reader.name}; alter table pgbosun.migrations enable row level security`)
    const { code, stderr } = await run(['migrate', 'wait-for', '001'], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database, reader) },
    })
    expect([code, stderr]).toEqual([12, expect.stringContaining('row security hides the history')])
  })

  test('is refused where it hides them from who would run the files again', async ({ pgbosun, sql, dir }) => {
    await pgbosun('up')
    await sql.unsafe('alter table pgbosun.migrations force row level security')
    await writeFiles(dir, { 'migrations/002_u.sql': 'create table u (id int);' })
    const forced = await pgbosun('up')
    expect([forced.code, forced.json.error?.message]).toEqual([12, expect.stringContaining('the forced row security')])
    expect(await sql`select count(*)::int as n from pgbosun.migrations`).toEqual([{ n: 1 }])
  })

  test('never makes an empty history of one that its owner does not see', async ({ sql, database, dir }) => {
    const own = { name: uniqueName('own'), password: 'of the owner' }
    await sql.unsafe(
      `create role ${own.name} login password '${own.password}'; alter database ${database} owner to ${own.name}`,
    )
    await writeFiles(dir, { 'migrations/001_t.sql': 'create schema if not exists s;' })
    const as = (...args: string[]) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database, own) } })
    expect(await as('up')).toMatchObject({ code: 0 })
    await sql.unsafe(`alter table pgbosun.migrations enable row level security, force row level security`)
    for (const command of [['migrate', 'status'], ['plan'], ['check'], ['up'], ['migrate', 'verify']]) {
      const { code, json } = await as(...command)
      expect([command, code, json.error?.hint]).toEqual([
        command,
        12,
        expect.stringContaining('disable row level security'),
      ])
    }
  })
})
