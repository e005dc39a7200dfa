import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { nodePgMigrate } from '../src/formats/node-pg-migrate.ts'
import type { Migration } from '../src/formats/types.ts'
import { historyIn } from './support/history.ts'
import { type Sql, test, writeFiles } from './support/postgres.ts'

const table = '"public"."pgmigrations"'
const { native, rowsOf, record, createdAs } = historyIn(nodePgMigrate, table)

/** As its 9.0.0 sends it. */
const itsTable =
  'CREATE TABLE "public"."pgmigrations" (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL)'

async function filesOf(dir: string, ...names: string[]): Promise<Migration[]> {
  await writeFiles(dir, Object.fromEntries(names.map((name) => [`${name}.sql`, 'select 1;\n'])))
  return nodePgMigrate.read(dir, { placeholders: {}, database: 'shop', user: 'app', environment: {} })
}

/** Names in the order in which its check reads them. */
const names = async (sql: Sql) =>
  (await sql<{ name: string }[]>`select name from pgmigrations order by run_on, id`).map(({ name }) => name)

describe('the history of node-pg-migrate', () => {
  test('is created as the tool creates it', async ({ sql }) => {
    await createdAs(sql, itsTable)
    expect(await rowsOf(sql)).toEqual([])
  })

  test('has a row per file, which is taken back by name', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    const files = await filesOf(dir, '001_init', "002_it's", '003_c')
    await record(sql, files)
    expect(
      await sql`select id, name, run_on between localtimestamp - interval '1 minute' and localtimestamp as now from pgmigrations order by id`,
    ).toEqual([
      { id: 1, name: '001_init', now: true },
      { id: 2, name: "002_it's", now: true },
      { id: 3, name: '003_c', now: true },
    ])
    const [, second] = files
    if (second) await sql.unsafe(native.unrecord(table, second, files[0]))
    expect(await names(sql)).toEqual(['001_init', '003_c'])
  })

  test('is read in the order of run_on, then id; times are those of the session, given in UTC', async ({ sql }) => {
    await sql.unsafe(itsTable)
    await sql.unsafe(`insert into pgmigrations (name, run_on) values
      ('003_last', '2026-01-03 05:30'), ('001_first', '2026-01-02 05:30:00.123456'), ('002_second', '2026-01-02 05:30:00.123456')`)
    const [first, second, third] = await sql.begin(async (session) => {
      await session.unsafe(`set local timezone = 'Asia/Kolkata'`)
      return rowsOf(session)
    })
    expect(first).toEqual({
      id: '001_first',
      name: '001_first',
      kind: 'versioned',
      checksum: null,
      ok: true,
      appliedAt: '2026-01-02T00:00:00.123Z',
      durationMs: null,
      appliedBy: null,
    })
    expect([second?.id, third?.id, third?.appliedAt]).toEqual(['002_second', '003_last', '2026-01-03T00:00:00.000Z'])
  })

  test('keeps its order although the wall clock went back, as when daylight saving ends', async ({ sql, dir }) => {
    await sql.unsafe(itsTable)
    await sql`insert into pgmigrations (name, run_on) values ('001_a', localtimestamp + interval '30 minutes')`
    await record(sql, await filesOf(dir, '002_b', '003_c'))
    expect(await names(sql)).toEqual(['001_a', '002_b', '003_c'])
  })

  test('is written where it is, whatever the search path', async ({ sql, dir }) => {
    await sql.unsafe('create schema app')
    const [file] = await filesOf(join(dir), '001_a')
    if (file === undefined) throw new Error('no file')
    await sql.unsafe(
      `${native.create('"app"."Done"')}; set search_path = ''; ${native.record('"app"."Done"', file, undefined)}`,
    )
    expect(await sql`select name from app."Done" order by 1`).toEqual([{ name: '001_a' }])
  })
})
