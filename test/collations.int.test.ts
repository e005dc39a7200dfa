import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { inspectDatabase } from '../src/backup/inspect.ts'
import { adviceOnCollations } from '../src/check/collations.ts'
import { runJson } from './support/cli.ts'
import { open, type Sql, server, test, uniqueName, urlOf } from './support/postgres.ts'

const { major } = server()
const advice = (sql: Sql) => adviceOnCollations(sql, major * 10_000)
const inspect = (sql: Sql) => inspectDatabase(sql as unknown as Parameters<typeof inspectDatabase>[0])

/** As after an upgrade of the library: the version that is noted is not the one that the server has. */
const age = (sql: Sql, collation: string) =>
  sql.unsafe(`update pg_collation set collversion = '1.0' where oid = '${collation}'::regcollation`)

describe('a collation of another version', () => {
  test('is a warning with the statements to run, which put it right', async ({ sql, database, dir }) => {
    await sql.unsafe(`create schema app; create collation app.german (provider = icu, locale = 'de-DE');
      create table app.people (name text collate app.german, mail text collate app.german, other text, tag text);
      create index by_name on app.people (name); create index "By mail" on app.people (lower(mail));
      create index by_expression on app.people ((tag collate app.german || 'x')) where other < ('m' collate app.german);
      create index hashed on app.people using hash (name); create index patterns on app.people (name text_pattern_ops); create index by_other on app.people (other)`)
    expect(await advice(sql)).toEqual([])
    const now = await sql<
      { version: string }[]
    >`select collversion as version from pg_collation where collname = 'german'`
    expect((await inspect(sql)).collations).toEqual([{ name: 'app.german', version: now[0]!.version }])
    await age(sql, 'app.german')
    const [warning = '', ...more] = await advice(sql)
    expect(more).toEqual([])
    expect(warning).toContain(
      `the collation app.german had version 1.0, and the server now sorts by ${now[0]!.version}; 3 indexes depend on it`,
    )
    expect(warning).toContain('app."By mail", app.by_expression, app.by_name: run')
    const { json } = await runJson(['check'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    expect(json).toMatchObject({ exit_code: 0, warnings: expect.arrayContaining([warning]) })
    for (const [, statements = ''] of warning.matchAll(/`([^`]+)`/g))
      for (const statement of statements.split('; ')) await sql.unsafe(statement)
    expect(await advice(sql)).toEqual([])
  })

  test('that nothing is sorted by is none; one that divides a table names it', async ({ sql }) => {
    await sql.unsafe(`create collation german (provider = icu, locale = 'de-DE'); create collation unused (provider = icu, locale = 'fr-FR');
      create table people (name text collate german) partition by range (name)`)
    await age(sql, 'unused')
    expect(await advice(sql)).toEqual([])
    await age(sql, 'german')
    expect(await advice(sql)).toEqual([expect.stringContaining('wrong partition of public.people')])
  })

  test('of the whole database, from 15 on', async ({ skip }) => {
    if (major < 15) skip('a database has no version of its collation')
    const [name, admin] = [uniqueName('icu'), open('postgres')]
    await admin.unsafe(
      `create database ${name} template template0 locale_provider icu icu_locale 'en-US' lc_collate 'C' lc_ctype 'C'`,
    )
    const sql = open(name)
    try {
      await sql.unsafe(
        'create table t (a text primary key, b text, c text collate "C"); create index on t (b); create index on t (c)',
      )
      expect(await advice(sql)).toEqual([])
      await admin.unsafe(`update pg_database set datcollversion = '1.0' where datname = '${name}'`)
      expect(await advice(sql)).toEqual([
        expect.stringMatching(
          `database ${name} had version 1\\.0.*2 indexes depend on it and may miss rows: public\\.t_b_idx, public\\.t_pkey: run .*alter database ${name} refresh collation version`,
        ),
      ])
      const { database } = (await inspect(sql)) as Pick<Manifest, 'database'>
      expect(database.collation_version).toBe('1.0')
      await sql.unsafe('reindex table t')
      await sql.unsafe(`alter database ${name} refresh collation version`)
      expect(await advice(sql)).toEqual([])
    } finally {
      await sql.end()
      await admin.end()
    }
  })
})
