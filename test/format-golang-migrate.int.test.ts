import { describe, expect } from 'vitest'
import { golangMigrate } from '../src/formats/golang-migrate.ts'
import type { Migration } from '../src/formats/types.ts'
import { bareRow, historyIn } from './support/history.ts'
import { open, type Sql, test, writeFiles } from './support/postgres.ts'

const table = '"public"."schema_migrations"'
const { native, createdAs, ...history } = historyIn(golangMigrate, table)

/** As golang-migrate 4.19 sends it. */
const itsTable =
  'CREATE TABLE IF NOT EXISTS "public"."schema_migrations" (version bigint not null primary key, dirty boolean not null)'

/** As its SetVersion does, in one transaction: -1 that is not dirty is the empty table. */
const itsVersion = (version: number | bigint, dirty: boolean) =>
  `truncate "public"."schema_migrations"; ${
    version >= 0 || dirty
      ? `insert into "public"."schema_migrations" (version, dirty) values (${version}, ${dirty});`
      : ''
  }`

async function filesOf(dir: string): Promise<[Migration, Migration, Migration]> {
  const names = ['000001_a', '000002_b', '20260101120000_c']
  await writeFiles(dir, Object.fromEntries(names.map((name) => [`${name}.up.sql`, 'select 1;\n'])))
  const files = golangMigrate.read(dir, { placeholders: {}, database: 'shop', user: 'app', environment: {} })
  return files as [Migration, Migration, Migration]
}

const rowsOf = (sql: Sql) =>
  sql<{ version: string; dirty: boolean }[]>`select version::text, dirty from schema_migrations`

describe('the history of golang-migrate', () => {
  test('is created as the tool creates it', async ({ sql }) => {
    await createdAs(sql, itsTable)
    expect(await history.rowsOf(sql)).toEqual([])
  })

  test('has one row, the newest, at every step the one that the tool leaves', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    const [a, b, c] = await filesOf(dir)
    const leaves = async (statement: string, version: number | bigint, dirty: boolean) => {
      await sql.unsafe(statement)
      const ours = await rowsOf(sql)
      await sql.unsafe(itsVersion(version, dirty))
      expect(ours).toEqual(await rowsOf(sql))
    }
    await leaves(native.record(table, a, undefined), 1, false)
    await leaves(native.start(table, b, a), 2, true)
    await leaves(native.finish(table, b, a), 2, false)
    await leaves(native.start(table, c, b), 20260101120000n, true)
    await leaves(native.forget(table, c, b), 2, false)
    await leaves(native.record(table, c, b), 20260101120000n, false)
    await leaves(native.unrecord(table, c, b), 2, false)
    await leaves(native.unrecord(table, b, a), 1, false)
    await leaves(native.unrecord(table, a, undefined), -1, false)
    expect(await rowsOf(sql)).toEqual([])
    await leaves(native.start(table, a, undefined), 1, true)
    await leaves(native.forget(table, a, undefined), -1, false)
  })

  test('is read as the tool writes it', async ({ sql, dir }) => {
    await sql.unsafe(itsTable)
    const files = await filesOf(dir)
    const read = async (version: number | bigint, dirty: boolean) => {
      await sql.unsafe(itsVersion(version, dirty))
      return native.expand(await history.rowsOf(sql), files).map(({ id, name, ok }) => [id, name, ok])
    }
    expect(await read(2, false)).toEqual([
      ['1', '000001_a', true],
      ['2', '000002_b', true],
    ])
    expect(await read(20260101120000n, true)).toEqual([
      ['1', '000001_a', true],
      ['2', '000002_b', true],
      ['20260101120000', '20260101120000_c', false],
    ])
    expect(await read(-1, true)).toEqual([['1', '000001_a', false]])
    expect(await read(9223372036854775807n, false)).toHaveLength(4)
    expect(await read(-1, false)).toEqual([])
    await sql.unsafe(itsVersion(2, false))
    expect(await history.rowsOf(sql)).toEqual([bareRow('2')])
  })

  test('a record that is not committed keeps no reader of the version waiting', async ({ sql, database, dir }) => {
    await sql.unsafe(native.create(table))
    const [a, b] = await filesOf(dir)
    await sql.unsafe(native.record(table, a, undefined))
    const reader = open(database)
    await sql.begin(async (transaction) => {
      await transaction.unsafe(native.record(table, b, a))
      await reader.unsafe("set lock_timeout = '2s'")
      expect(await rowsOf(reader)).toEqual([{ version: '1', dirty: false }])
    })
    await reader.end()
    expect(await rowsOf(sql)).toEqual([{ version: '2', dirty: false }])
  })

  test('a migration that fails leaves the row as it was', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    const [a, b] = await filesOf(dir)
    await sql.unsafe(native.record(table, a, undefined))
    await expect(sql.unsafe(`${native.record(table, b, a)};\nselect 1/0`)).rejects.toThrow('division by zero')
    expect(await rowsOf(sql)).toEqual([{ version: '1', dirty: false }])
  })
})
