import { describe, expect } from 'vitest'
import { hashOf } from '../src/formats/graphile-file.ts'
import { graphileMigrate } from '../src/formats/graphile-migrate.ts'
import type { Migration } from '../src/formats/types.ts'
import { historyIn } from './support/history.ts'
import { type Sql, test, writeFiles } from './support/postgres.ts'

const table = '"graphile_migrate"."migrations"'
const { native, rowsOf, record, createdAs } = historyIn(graphileMigrate, table)

/** As its 1.4.1 sends it. */
const itsTables = `
    create schema if not exists graphile_migrate;

    create table if not exists graphile_migrate.migrations (
      hash text primary key,
      previous_hash text references graphile_migrate.migrations,
      filename text not null,
      date timestamptz not null default now()
    );

    create table if not exists graphile_migrate.current (
      filename text primary key default 'current.sql',
      content text not null,
      date timestamptz not null default now()
    );
`

/** Committed files with these bodies, chained by their hashes. */
async function filesOf(dir: string, bodies: string[]): Promise<Migration[]> {
  let previous: string | null = null
  const files: Record<string, string> = {}
  for (const [i, body] of bodies.entries()) {
    const hash: string = hashOf(body, previous)
    files[`committed/${String(i + 1).padStart(6, '0')}-part.sql`] =
      `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n--! Message: part\n\n${body}`
    previous = hash
  }
  await writeFiles(dir, files)
  return graphileMigrate.read(dir, { placeholders: {}, database: 'shop', user: 'app', environment: {} })
}

const raw = (sql: Sql) =>
  sql`select hash, previous_hash, filename, date between now() - interval '1 minute' and now() as now
    from graphile_migrate.migrations order by filename`

describe('the history of graphile-migrate', () => {
  test('is created as the tool creates it, with its schema and the table it works in', async ({ sql }) => {
    await createdAs(sql, itsTables, { schema: 'graphile_migrate', drop: 'drop schema graphile_migrate cascade' })
    expect(await rowsOf(sql)).toEqual([])
  })

  test('is a chain of hashes with the digits of the names', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    await record(sql, await filesOf(dir, ['select 1;\n', 'select 2;\n']))
    const [first, second] = [
      'sha1:005c6eb7364156e6b0d158d8b2767a24f1ce6611',
      'sha1:25e74b3f7d5496bbcd41cc6010dc1847e9d9c230',
    ]
    expect(await raw(sql)).toEqual([
      { hash: first, previous_hash: null, filename: '000001.sql', now: true },
      { hash: second, previous_hash: first, filename: '000002.sql', now: true },
    ])
  })

  test('is read in the order of its dates, with times in UTC', async ({ sql }) => {
    await sql.unsafe(itsTables)
    await sql.unsafe(`insert into graphile_migrate.migrations values ('sha1:b', null, '000002.sql', '2026-01-02 05:30:00.5+05:30'),
      ('sha1:a', null, '000001.sql', '2026-01-02 05:30:00.5+05:30'), ('sha1:c', 'sha1:b', '000003.sql', '2026-01-01T00:00:00Z')`)
    const rows = await rowsOf(sql)
    expect(rows.map(({ id }) => id)).toEqual(['000003.sql', '000001.sql', '000002.sql'])
    expect(rows[1]).toEqual({
      id: '000001.sql',
      name: '000001',
      kind: 'versioned',
      checksum: 'sha1:a',
      ok: true,
      appliedAt: '2026-01-02T00:00:00.500Z',
      durationMs: null,
      appliedBy: null,
    })
  })

  test('gives a row back, but not one that another was committed after', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    const files = await filesOf(dir, ['select 1;\n', 'select 2;\n'])
    await record(sql, files)
    const [first, second] = files.map((file, i) => native.unrecord(table, file, files[i - 1]))
    await expect(sql.unsafe(first ?? '')).rejects.toMatchObject({ code: '23503' })
    await sql.unsafe(second ?? '')
    expect((await rowsOf(sql)).map(({ id }) => id)).toEqual(['000001.sql'])
  })

  test('is realigned with files that were committed again, link by link', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    await record(sql, await filesOf(dir, ['select 1;\n', 'select 2;\n', 'select 3;\n']))
    const files = await filesOf(dir, ['select 10;\n', 'select 2;\n', 'select 3;\n'])
    for (const file of files) await sql.unsafe(native.realign(table, file))
    expect((await raw(sql)).map(({ hash, previous_hash, filename }) => [filename, hash, previous_hash])).toEqual(
      files.map(({ id, checksum, native }) => [id, checksum, native.previous]),
    )
  })
})
