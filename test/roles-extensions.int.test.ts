import { describe, expect } from 'vitest'
import { test as asAdmin } from './support/admin.ts'
import { runJson } from './support/cli.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

type Shop = {
  sql: Sql
  /** Declares these extensions, and runs a command; its changes with extensions, as text. */
  run(
    extensions: object,
    command: string,
    files?: Record<string, string>,
  ): Promise<{ code: number | null; changes: string[]; message: string; hint: string }>
  installed(): Promise<string[]>
}

const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, database, sql }, use) => {
    await use({
      sql,
      async run(extensions, command, files = {}) {
        await writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({ databases: { [database]: { extensions } } }),
          ...files,
        })
        const { code, json } = await runJson(command.split(' '), { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
        const error = json.error as { message: string; hint: string } | null
        const steps = (json.steps ?? []) as { changes: { action: string; object: string; reason: string }[] }[]
        return {
          code,
          changes: steps
            .flatMap(({ changes }) => changes)
            .filter(({ object }) => object.startsWith('extension '))
            .map(({ action, object, reason }) => `${action} ${object}: ${reason}`.replaceAll(database, 'shop')),
          message: (error?.message ?? '').replaceAll(database, 'shop'),
          hint: error?.hint ?? '',
        }
      },
      installed: async () =>
        (await sql`select extname from pg_extension where extname <> 'plpgsql' order by 1`).map(
          ({ extname }) => extname,
        ),
    })
  },
})

const absent = { ensure: 'absent' }

describe('an extension that is declared absent', () => {
  test('is dropped; then there is nothing to do, whether it was ever there or not', async ({ shop }) => {
    await shop.sql.unsafe('create extension hstore; create extension pg_trgm')
    const planned = ['drop extension hstore (database shop): is declared absent']
    const declared = { hstore: absent, citext: absent }
    expect((await shop.run(declared, 'roles plan')).changes).toEqual(planned)
    expect(await shop.installed()).toEqual(['hstore', 'pg_trgm'])
    expect(await shop.run(declared, 'roles apply')).toMatchObject({ code: 0, changes: planned })
    expect(await shop.installed()).toEqual(['pg_trgm'])
    expect(await shop.run(declared, 'roles apply')).toMatchObject({ code: 0, changes: [] })
  })

  test('goes after the migration that removes what needed it', async ({ shop }) => {
    await shop.sql.unsafe('create extension hstore; create table t (id int, h hstore[])')
    const migrated = await shop.run({ hstore: absent }, 'up', { 'migrations/1_h.sql': 'alter table t drop column h' })
    expect([migrated.code, migrated.message]).toEqual([0, ''])
    expect(await shop.installed()).toEqual([])
  })

  test('stays with all that needs it: exit 30 names that', async ({ shop }) => {
    await shop.sql.unsafe(`create extension hstore; create table "t ;" (h hstore[], k text);
      create view v as select h from "t ;"; create index on "t ;" ((k::hstore -> 'a'));
      create extension cube; create extension earthdistance`)
    const declared = { hstore: absent, cube: absent }
    const { code, changes, message, hint } = await shop.run(declared, 'roles apply')
    expect([code, changes]).toEqual([
      30,
      [
        'drop extension cube (database shop): is declared absent; stays, because of extension earthdistance',
        'drop extension hstore (database shop): is declared absent; stays, because of column h of table public."t ;", column h of view public.v, index public."t ;_expr_idx"',
      ],
    ])
    expect(message).toContain('drop extension cube')
    expect(hint).toContain('in a migration')
    expect(await shop.installed()).toEqual(['cube', 'earthdistance', 'hstore'])
    await shop.sql.unsafe('drop table "t ;" cascade; drop extension earthdistance')
    expect((await shop.run(declared, 'roles apply')).code).toBe(0)
    expect(await shop.installed()).toEqual([])
  })

  test('has no other keys', async ({ shop }) => {
    expect(await shop.run({ hstore: { ...absent, schema: 'public' } }, 'roles plan')).toMatchObject({
      code: 2,
      message: 'databases.shop.extensions.hstore is declared absent, but has schema',
    })
  })
})

asAdmin('what a superuser installed, only an administrator drops', async ({ admin }) => {
  await admin.ask(`create database "${admin.shop}" owner "${admin.name}"`)
  await admin.ask('create extension hstore', admin.shop)
  await admin.declare({ databases: { [admin.shop]: { owner: admin.name, extensions: { hstore: absent } } } })
  const { code, stderr } = await admin.pgbosun('roles', 'apply')
  expect([code, stderr]).toEqual([12, expect.stringContaining('drop extension "hstore"')])
  expect(await admin.runScript()).toContain('drop extension "hstore"')
  expect(await admin.changes('roles', 'apply')).toEqual([])
})
