import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { client, test } from './support/backup.ts'
import { uniqueName } from './support/postgres.ts'

describe.skipIf(!client)('backup.counts', () => {
  const filled = `create table small as select generate_series(1, 7); create table big as select from generate_series(1, 1000001);
    create function one(int) returns int language sql immutable return 1; create table coded as select n from generate_series(1, 9) n; create index on coded (one(n))`
  const manifestOf = (store: string, database: string) => {
    const [id] = readdirSync(`${store}/${database}`).filter((entry) => /^\d{8}T/.test(entry))
    return JSON.parse(readFileSync(`${store}/${database}/${id}/manifest.json`, 'utf8')) as Manifest
  }

  test('sampled: what is too large is estimated, not compared, and said so', { timeout: 120_000 }, async ({
    configured,
    sql,
    database,
    store,
  }) => {
    await sql.unsafe(filled)
    const pgbosun = await configured({ backup: { counts: 'sampled' } })
    expect((await pgbosun.run('backup')).code).toBe(0)
    const manifest = manifestOf(store, database)
    expect(manifest).toMatchObject({ counts: 'sampled', rows: { 'public.coded': 9, 'public.small': 7 } })
    expect(Object.keys(manifest.estimated_rows ?? {})).toEqual(['public.big'])
    expect(manifest.estimated_rows?.['public.big']).toBeGreaterThan(1_000_000)
    const { code, json, stderr } = await pgbosun.runJson('restore', '--into', uniqueName('copy'), '--yes')
    expect(code, stderr).toBe(0)
    expect(json).toMatchObject({ rows_compared: 16, tables_compared: 2, not_compared: ['public.big'] })
    expect((await pgbosun.run('restore', '--into', uniqueName('copy'), '--yes')).stdout).toMatch(
      /1 table of more than 1000000 rows was not compared(.|\n)*16 rows in 2 tables match/,
    )
  })

  test('none: nothing is counted, nothing compared, and the restore says so', { timeout: 120_000 }, async ({
    configured,
    sql,
    database,
    store,
  }) => {
    await sql.unsafe('create table t as select generate_series(1, 7)')
    const pgbosun = await configured({ backup: { counts: 'none' } })
    expect((await pgbosun.run('backup')).code).toBe(0)
    expect(manifestOf(store, database)).toMatchObject({ counts: 'none', rows: {}, estimated_rows: {} })
    const { code, stdout } = await pgbosun.run('restore', '--into', uniqueName('copy'), '--yes')
    expect([code, stdout]).toEqual([0, expect.stringContaining('nothing was compared')])
    expect(stdout).not.toContain('match')
  })
})
