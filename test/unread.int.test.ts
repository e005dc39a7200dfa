import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { formats } from './support/formats.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

type Migrate = Record<string, unknown>

/** Runs a command with SQL in `migrations`, and that configuration of `migrate`. */
async function withFiles(
  { dir, database }: { dir: string; database: string },
  files: Record<string, string>,
  migrate: Migrate = {},
  args: string[] = ['migrate', 'up'],
) {
  await writeFiles(dir, { ...files, 'pgbosun.yaml': JSON.stringify({ migrate }) })
  return runJson(args, { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
}

const table = 'create table a (id int);'

describe('a folder with SQL, but without a migration of its format, is refused', () => {
  for (const { name } of formats)
    test(`by ${name}, also in plan, status, check and up`, async ({ dir, database, sql }) => {
      const files = { 'migrations/versioned/v1.0/schema.sql': table }
      for (const args of [['migrate', 'up'], ['migrate', 'status'], ['plan'], ['check'], ['up'], ['migrate', 'lint']]) {
        const { code, json } = await withFiles({ dir, database }, files, { format: name }, args)
        expect([args, code, json.error?.message]).toEqual([
          args,
          2,
          `no file in ${join(dir, 'migrations')} is a migration in the format ${name}, but there is SQL: versioned/v1.0/schema.sql`,
        ])
      }
      expect(await sql`select from pg_namespace where nspname = 'pgbosun'`).toEqual([])
    })

  test('a folder with SQL that auto cannot read is refused', async ({ dir, database }) => {
    const deep = { 'migrations/a/b/c/one.sql': table }
    expect(await withFiles({ dir, database }, deep, { format: 'auto' })).toMatchObject({ code: 2 })
  })

  test('and the first three of many are named, links followed and circles not', async ({ dir, database }) => {
    const files = Object.fromEntries(['d', 'b', 'a', 'c'].map((name) => [`migrations/x/${name}.SQL`, table]))
    await writeFiles(dir, files)
    await symlink('..', join(dir, 'migrations/x/back'))
    await writeFiles(dir, { 'elsewhere/z.sql': table })
    await symlink('../elsewhere', join(dir, 'migrations/w'))
    const { code, json } = await withFiles({ dir, database }, {}, {})
    expect([code, json.error?.message]).toEqual([
      2,
      expect.stringMatching(/ but there is SQL: w\/z\.sql, x\/a\.SQL, x\/b\.SQL and 2 more$/),
    ])
  })

  test('and diesel and sql-migrate are known', async ({ dir, database }) => {
    const diesel = { 'migrations/2024-01-01_x/up.sql': table, 'migrations/2024-01-01_x/down.sql': 'drop table a;' }
    const first = await withFiles({ dir, database }, diesel)
    expect([first.code, first.json.error?.hint]).toEqual([2, expect.stringContaining('looks like diesel')])
    const other = { 'theirs/0001-name.sql': `-- +migrate Up\n${table}\n-- +migrate Down\ndrop table a;` }
    const second = await withFiles({ dir, database }, other, { dir: 'theirs', format: 'dbmate' })
    expect([second.code, second.json.error?.message]).toEqual([2, expect.stringContaining('0001-name.sql')])
    const third = await withFiles({ dir, database }, other, { dir: 'theirs', format: 'sqlx' })
    expect([third.code, third.json.error?.hint]).toEqual([2, expect.stringContaining('sql-migrate')])
  })

  test('of another declared database too', async ({ dir, database }) => {
    await writeFiles(dir, {
      'deep/a/one.sql': table,
      'pgbosun.yaml': JSON.stringify({ databases: { [database]: { migrate: { dir: 'deep' } } } }),
    })
    const { code } = await runJson(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expect(code).toBe(2)
  })

  test('a folder without migrations is accepted where allowEmpty says so', async ({ dir, database }) => {
    const files = { 'migrations/docs/example.sql': table }
    expect(await withFiles({ dir, database }, files, { allowEmpty: true })).toMatchObject({ code: 0 })
  })

  test('and a folder without SQL has nothing to do', async ({ dir, database }) => {
    const files = { 'migrations/README.md': 'nothing yet', 'migrations/.hidden/a.sql': table }
    expect(await withFiles({ dir, database }, files)).toMatchObject({ code: 0, json: { results: [] } })
  })

  test('and work in progress of graphile-migrate has nothing to do', async ({ dir, database }) => {
    const files = { 'migrations/current.sql': table, 'migrations/committed/.gitkeep': '' }
    expect(await withFiles({ dir, database }, files, { format: 'graphile-migrate' })).toMatchObject({ code: 0 })
  })
})

describe('a file of another tool that holds what undoes it', () => {
  const both = '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n'

  test('is refused in our own format, and nothing of it is run', async ({ dir, database, sql }) => {
    const { code, json } = await withFiles({ dir, database }, { 'migrations/001_a.sql': both })
    expect([code, json.error]).toEqual([
      2,
      expect.objectContaining({ line: 3, hint: expect.stringContaining('migrate.format: dbmate') }),
    ])
    expect(await sql`select from pg_class where relname = 'a'`).toEqual([])
    const { json: lint } = await withFiles({ dir, database }, {}, {}, ['migrate', 'lint'])
    expect(lint.error?.message).toContain('run as a whole, it would undo itself')
  })

  test('does not matter any more once it was applied', async ({ dir, database, sql }) => {
    expect(await withFiles({ dir, database }, { 'migrations/001_a.sql': table })).toMatchObject({ code: 0 })
    await writeFiles(dir, { 'migrations/001_a.sql': both })
    await sql`update pgbosun.migrations set sha256 = encode(sha256(convert_to(${both}, 'UTF8')), 'hex')`
    const { code } = await withFiles({ dir, database }, { 'migrations/002_b.sql': 'create table b (id int);' })
    expect(code).toBe(0)
  })
})
