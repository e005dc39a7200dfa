import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { formatNames } from '../src/config/formats.ts'
import { quoteName } from '../src/db/sql.ts'
import { findFormat, findHistories } from '../src/migrate/dialects/find.ts'
import { openDialect } from '../src/migrate/dialects/open.ts'
import { type Sql, test, uniqueName, writeFiles } from './support/postgres.ts'

const nowhere = { table: undefined, role: undefined }

const found = async (sql: Sql, where: { table?: string; role?: string } = {}) =>
  (await sql.begin((db) => findHistories(db, { ...nowhere, ...where }))).map(
    ({ format, schema, table }) => `${format} ${schema}.${table}`,
  )

/** Our own, as far as it matters here. */
const own = 'create schema pgbosun; create table pgbosun.migrations (seq int primary key, sha256 text)'

const rails =
  'create table schema_migrations (version character varying not null primary key); create table ar_internal_metadata (key varchar primary key)'

describe('the histories of a database', () => {
  test('are those that our dialects create', async ({ sql }) => {
    const expected: string[] = []
    for (const format of formatNames) {
      const { native } = await openDialect(format)
      if (!native) continue
      const [first = '', second] = native.table.split('.')
      const [schema, table] = second === undefined ? [`of_${format.replace('-', '_')}`, first] : [first, second]
      await sql.unsafe(`create schema if not exists ${schema}; ${native.create(quoteName(schema, table))}`)
      const search = [schema, 'public'].join(', ')
      const seen = await sql.begin(async (db) => {
        await db.unsafe(`set local search_path = ${search}`)
        return findHistories(db, nowhere)
      })
      expected.push(`${format} ${schema}.${table}`)
      expect(seen.map((fact) => `${fact.format} ${fact.schema}.${fact.table}`)).toContain(expected.at(-1))
    }
    expect(expected).toHaveLength(formatNames.length - 1)
  })

  test.for<[string, string]>([
    ['dbmate', 'create table schema_migrations (version varchar primary key)'],
    ['dbmate', 'create table schema_migrations (version varchar(128) primary key)'],
    ['rails', rails],
    [
      'rails',
      'create table schema_migrations (version varchar(255) not null); create unique index on schema_migrations (version)',
    ],
    ['golang-migrate', 'create table schema_migrations (version bigint not null primary key, dirty boolean not null)'],
    ['', 'create table schema_migrations (version bigint not null primary key, inserted_at timestamp)'],
    ['', 'create table pgmigrations (id int)'],
    ['', 'create view schema_migrations as select 1::bigint as version, false as dirty'],
  ])('tell tools with the same table name apart by columns: %s has %s', async ([format, ddl], { sql }) => {
    await sql.unsafe(ddl)
    expect(await found(sql)).toEqual(format === '' ? [] : [`${format} public.schema_migrations`])
  })

  test('are recognised of tools that are no format', async ({ sql }) => {
    await sql.unsafe(`create table alembic_version (version_num varchar(32) primary key);
      create table databasechangelog (id varchar(255), author varchar(255), filename varchar(255), md5sum varchar(35));
      create schema sqitch; create table sqitch.changes (change_id text primary key, script_hash text);
      create schema atlas_schema_revisions; create table atlas_schema_revisions.atlas_schema_revisions (version varchar primary key, hash varchar)`)
    expect(await found(sql)).toEqual([
      'alembic public.alembic_version',
      'atlas atlas_schema_revisions.atlas_schema_revisions',
      'liquibase public.databasechangelog',
      'sqitch sqitch.changes',
    ])
  })

  test('are looked for where the role of the migrations would find them', async ({ sql }) => {
    const role = uniqueName('r')
    await sql.unsafe(`create role ${role}; create schema ${role} authorization ${role}`)
    await sql.unsafe(
      `set role ${role}; create table ${role}.pgmigrations (id int, name varchar(255), run_on timestamp); reset role`,
    )
    expect(await found(sql)).toEqual([])
    expect(await found(sql, { role })).toEqual([`node-pg-migrate ${role}.pgmigrations`])
  })

  test('of our own counts once it has rows', async ({ sql }) => {
    await sql.unsafe(own)
    expect(await found(sql)).toEqual([])
    await sql.unsafe(`insert into pgbosun.migrations values (1, '')`)
    expect(await found(sql)).toEqual(['pgbosun pgbosun.migrations'])
  })

  test('are only the one that the configuration names, where it names one', async ({ sql }) => {
    await sql.unsafe(`${rails}; create schema app; create table app.done (version bigint primary key, dirty boolean)`)
    expect(await found(sql)).toEqual(['rails public.schema_migrations'])
    expect(await found(sql, { table: 'app.done' })).toEqual(['golang-migrate app.done'])
    expect(await found(sql, { table: 'schema_migrations' })).toEqual(['rails public.schema_migrations'])
    expect(await found(sql, { table: 'app.other' })).toEqual([])
  })
})

describe('the format of a folder and a database', () => {
  test('is decided by both', async ({ sql, dir }) => {
    await writeFiles(dir, { '1_a.up.sql': 'select 1', '1_a.down.sql': 'select 1' })
    const find = () => sql.begin((db) => findFormat(db, dir, nowhere))
    await expect(find()).rejects.toMatchObject({
      kind: 'usage',
      hint: 'set `migrate.format` to golang-migrate, sqlx or node-pg-migrate',
    })
    await sql.unsafe('create table schema_migrations (version bigint not null primary key, dirty boolean not null)')
    expect(await find()).toEqual({ format: 'golang-migrate', because: '1_a.up.sql is one of a pair' })
  })

  test('needs no folder and no database', async ({ sql, dir }) => {
    expect(await findFormat(undefined, join(dir, 'none'), nowhere)).toMatchObject({ format: 'pgbosun' })
    await sql.unsafe(
      'create table goose_db_version (id int primary key, version_id bigint, is_applied boolean, tstamp timestamp)',
    )
    expect(await sql.begin((db) => findFormat(db, join(dir, 'none'), nowhere))).toEqual({
      format: 'goose',
      because: 'the database has public.goose_db_version of goose',
    })
  })
})
