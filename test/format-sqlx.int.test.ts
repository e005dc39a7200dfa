import { describe, expect } from 'vitest'
import type { NativeRow } from '../src/formats/format.ts'
import { sqlx } from '../src/formats/sqlx.ts'
import type { Migration } from '../src/formats/types.ts'
import { historyIn, one } from './support/history.ts'
import { test as base, type Sql, server, uniqueName, writeFiles } from './support/postgres.ts'

const table = '"public"."_sqlx_migrations"'
const { native, rowsOf, record, createdAs } = historyIn(sqlx, table)

/** As sqlx sends it. */
const itsTable = `CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
);`

const vector = '732dd6fa554ee7cf2b12caa7de486d35b60326cbb0fadccc7c537fb9750917e293550610ebffcbd185284ce99600a267'

/** As sqlx writes it when it applies a migration. */
const itsRow = (sql: Sql, version: string, description: string, success: boolean, time: string) =>
  sql`insert into _sqlx_migrations (version, description, success, checksum, execution_time)
    values (${version}, ${description}, ${success}, decode(${vector}, 'hex'), ${time})`

/** `read` reads files, by default one plain one and a pair, that all have the content of the vector. */
const test = base.extend<{ read: (files?: Record<string, string>) => Promise<Migration[]> }>({
  read: async ({ dir, sql }, use) => {
    await sql.unsafe(native.create(table))
    await use(
      async (files = { '1_create_users.sql': 'select 1;\n', "9007199254740993_it's_a.up.sql": 'select 1;\n' }) => {
        await writeFiles(dir, files)
        return sqlx.read(dir, { placeholders: {}, database: undefined, user: undefined, environment: {} })
      },
    )
  },
})

const raw = (sql: Sql) =>
  sql`select version::text, description, success, encode(checksum, 'hex') as checksum, execution_time::text as time,
    installed_on between now() - interval '1 minute' and now() as now from _sqlx_migrations order by version`

describe('the history of sqlx', () => {
  test('is created as sqlx creates it', async ({ sql }) => {
    const shape = await createdAs(sql, itsTable)
    // From 18 on, NOT NULL is a constraint of its own.
    expect(shape).toHaveLength(server().major >= 18 ? 14 : 8)
    await sql.unsafe(native.create(table))
    expect(await rowsOf(sql)).toEqual([])
  })

  test('gets the rows that sqlx writes, and then the times', async ({ sql, read }) => {
    const files = await read()
    await record(sql, files)
    const row = { success: true, checksum: vector, now: true }
    const users = { version: '1', description: 'create users', ...row }
    const pair = { version: '9007199254740993', description: "it's a", ...row }
    expect(await raw(sql)).toEqual([
      { ...users, time: '-1' },
      { ...pair, time: '-1' },
    ])

    const elapsed = files.map((file, i) => ({ file, durationMs: 1.5 + i * 100_000 }))
    await sql.unsafe(native.durations(table, elapsed))
    expect(await raw(sql)).toEqual([
      { ...users, time: '1500000' },
      { ...pair, time: '100001500000' },
    ])
  })

  test('a file outside a transaction is recorded as partially applied until it is done', async ({ sql, read }) => {
    const file = one(await read({ '1_a.sql': '-- no-transaction\nvacuum' }))
    await sql.unsafe(native.start(table, file, undefined))
    expect(await rowsOf(sql)).toMatchObject([{ id: '1', ok: false, durationMs: null }])
    await sql.unsafe(native.finish(table, file, undefined))
    expect(await raw(sql)).toMatchObject([{ version: '1', success: true, checksum: file.checksum, time: '-1' }])
  })

  test('forgets a file that took no effect, but not one that is applied', async ({ sql, read }) => {
    const file = one(await read())
    await sql.unsafe(native.start(table, file, undefined))
    await sql.unsafe(native.forget(table, file, undefined))
    expect(await raw(sql)).toEqual([])
    await sql.unsafe(native.record(table, file, undefined))
    await sql.unsafe(native.forget(table, file, undefined))
    expect(await raw(sql)).toHaveLength(1)
  })

  test('has no row any more of what was undone', async ({ sql, read }) => {
    const files = await read()
    await record(sql, files)
    await sql.unsafe(native.unrecord(table, files[1] as Migration, undefined))
    expect(await raw(sql)).toMatchObject([{ version: '1' }])
  })

  test('takes over the checksum of a file', async ({ sql, read }) => {
    const files = await read({ '1_a.sql': 'select 1;\n', '2_b.sql': 'select 1;\n' })
    await record(sql, files)
    const edited = one(await read({ '1_a.sql': 'select 2;\n' }))
    await sql.unsafe(native.realign(table, edited))
    expect((await rowsOf(sql)).map(({ checksum }) => checksum)).toEqual([edited.checksum, vector])
  })

  test('is read in the order in which it was applied, with failed rows and times that are not known', async ({
    sql,
  }) => {
    await sql.unsafe(itsTable)
    await itsRow(sql, '9223372036854775807', 'last one', true, '2000000')
    await itsRow(sql, '-1', 'first', false, '-1')
    await sql`update _sqlx_migrations set installed_on = '2026-01-02 05:30:00.25+05:30' where version > 0`
    await sql`update _sqlx_migrations set installed_on = '2026-01-03T00:00:00Z' where version < 0`
    const row = { kind: 'versioned', checksum: vector, appliedBy: null }
    expect(await rowsOf(sql)).toEqual([
      {
        ...row,
        id: '9223372036854775807',
        name: '9223372036854775807_last_one',
        ok: true,
        appliedAt: '2026-01-02T00:00:00.250Z',
        durationMs: 2,
      },
      { ...row, id: '-1', name: '-1_first', ok: false, appliedAt: '2026-01-03T00:00:00.000Z', durationMs: null },
    ])
  })

  test('written by sqlx and written by us is the same', async ({ sql, read }) => {
    const [file] = await read({ '20250829024919_create_users_table.sql': 'select 1;\n' })
    await sql.unsafe(native.record(table, file as Migration, undefined))
    const ours = await raw(sql)
    await sql`truncate _sqlx_migrations`
    await itsRow(sql, '20250829024919', 'create users table', true, '-1')
    expect(ours).toEqual(await raw(sql))
    expect(ours).toHaveLength(1)
    expect(await rowsOf(sql)).toMatchObject([{ id: file?.id, name: file?.name, checksum: file?.checksum, ok: true }])
  })

  test('may have another name and be in another schema, whatever the session looks into', async ({ sql, read }) => {
    const file = one(await read())
    const schema = uniqueName('s')
    const other = `"${schema}"."its ""own"""`
    await sql.unsafe(`create schema ${schema}`)
    await sql.begin(async (tx) => {
      await tx.unsafe(native.create(other))
      await tx.unsafe(`set local search_path = ''`)
      await tx.unsafe(native.record(other, file, undefined))
      await tx.unsafe(native.durations(other, [{ file, durationMs: 1 }]))
      const [row] = await tx.unsafe<{ rows: NativeRow[] }[]>(native.select(other))
      expect(row?.rows).toMatchObject([{ id: '1', durationMs: 1 }])
    })
    expect(await rowsOf(sql)).toEqual([])
  })
})
