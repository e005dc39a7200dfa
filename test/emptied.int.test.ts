import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { formats } from './support/formats.ts'
import { test as base, open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const test = base.extend<{ pgbosun(...args: string[]): ReturnType<typeof runJson> }>({
  pgbosun: async ({ dir, database }, use) =>
    use((...args) => runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })),
})

const gone =
  /^the database is not what is declared: all tables are gone, although the migrations that made them are applied \(a\)/

describe('a database whose tables were all dropped, but whose history exists', () => {
  test('is unhealthy: for check, up, plan and status', async ({ pgbosun, dir, sql }) => {
    await writeFiles(dir, { 'migrations/001_a.sql': 'create table a (id int);', 'migrations/002_f.sql': 'select 1;' })
    expect(await pgbosun('up')).toMatchObject({ code: 0 })
    await sql.unsafe('drop schema public cascade; create schema public')
    for (const args of [['check'], ['up'], ['plan']]) {
      const { code, json } = await pgbosun(...args)
      expect([args, code, json.error?.message]).toEqual([args, 50, expect.stringMatching(gone)])
    }
    expect((await pgbosun('status')).json).toMatchObject({ overall_healthy: false })
    await sql`create table b (id int)`
    expect(await pgbosun('check')).toMatchObject({ code: 0 })
  })

  test('also with the history of another tool in it', async ({ pgbosun, dir, sql }) => {
    const files = formats.find(({ name }) => name === 'dbmate')!.files([{ up: 'create table a (id int);' }])
    await writeFiles(dir, {
      ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`migrations/${path}`, text])),
      'pgbosun.yaml': JSON.stringify({ migrate: { format: 'dbmate' } }),
    })
    expect(await pgbosun('up')).toMatchObject({ code: 0 })
    await sql`drop table a`
    const { code, json } = await pgbosun('check')
    expect([code, json.error?.message]).toEqual([50, expect.stringMatching(gone)])
  })

  test('is not assumed when migrations made no tables, or dropped them', async ({ pgbosun, dir }) => {
    await writeFiles(dir, {
      'migrations/001_a.sql':
        'create table a (id int); create function f() returns int language sql as $$ select 1 $$;',
      'migrations/002_b.sql': 'drop table a;',
    })
    expect(await pgbosun('up')).toMatchObject({ code: 0 })
    expect(await pgbosun('check')).toMatchObject({ code: 0 })
  })
})

test('a declared schema that was dropped is drift', async ({ dir }) => {
  const name = uniqueName('shop')
  await writeFiles(dir, {
    'pgbosun.yaml': JSON.stringify({ databases: { [name]: { schemas: { app: null, side: null } } } }),
  })
  const env = { DATABASE_URL: urlOf(name) }
  expect(await runJson(['up'], { cwd: dir, env })).toMatchObject({ code: 0 })
  const sql = open(name)
  await sql.unsafe('drop schema side cascade').finally(() => sql.end())
  const { code, json } = await runJson(['check'], { cwd: dir, env })
  expect([code, json.error?.message]).toEqual([50, expect.stringMatching(/create schema .*side/)])
})
