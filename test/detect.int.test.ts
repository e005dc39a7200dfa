import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { formatNames } from '../src/config/formats.ts'
import { findFormat, findHistories } from '../src/formats/find.ts'
import { openFormat } from '../src/formats/open.ts'
import { quoteName } from '../src/sql/quote.ts'
import { run, runJson } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { open, type Sql, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

const nowhere = { table: undefined, schemas: ['public'] }

const found = async (sql: Sql, where: { table?: string; schemas?: string[] } = {}) =>
  (await sql.begin((db) => findHistories(db, { ...nowhere, ...where }))).map(
    ({ format, schema, table }) => `${format} ${schema}.${table}`,
  )

/** Our own, as far as it matters here. */
const own = 'create schema pgbosun; create table pgbosun.migrations (seq int primary key, sha256 text)'

const rails =
  'create table schema_migrations (version character varying not null primary key); create table ar_internal_metadata (key varchar primary key)'

describe('the histories of a database', () => {
  test('are those that our formats create', async ({ sql }) => {
    const expected: string[] = []
    for (const format of formatNames) {
      const { native } = await openFormat(format)
      if (!native) continue
      const [first = '', second] = native.table.split('.')
      const [schema, table] = second === undefined ? [`of_${format.replace('-', '_')}`, first] : [first, second]
      await sql.unsafe(`create schema if not exists ${schema}; ${native.create(quoteName(schema, table))}`)
      const seen = await sql.begin((db) => findHistories(db, { ...nowhere, schemas: [schema, 'public'] }))
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

  test('are looked for in the schemas that the role of the migrations sees', async ({ sql }) => {
    const role = uniqueName('r')
    await sql.unsafe(`create role ${role}; create schema ${role} authorization ${role}`)
    await sql.unsafe(
      `set role ${role}; create table ${role}._sqlx_migrations (version bigint, success boolean, checksum bytea); reset role`,
    )
    expect(await found(sql)).toEqual([])
    expect(await found(sql, { schemas: [role, 'public'] })).toEqual([`sqlx ${role}._sqlx_migrations`])
    expect(await found(sql, { schemas: ['public', role] })).toEqual([])
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
  test('the format is decided by files and history together', async ({ sql, dir }) => {
    await writeFiles(dir, { '1_a.up.sql': 'select 1', '1_a.down.sql': 'select 1' })
    const find = () => sql.begin((db) => findFormat(db, [dir], nowhere))
    await expect(find()).rejects.toMatchObject({
      kind: 'usage',
      hint: 'set `migrate.format` to golang-migrate, sqlx or node-pg-migrate',
    })
    await sql.unsafe('create table schema_migrations (version bigint not null primary key, dirty boolean not null)')
    expect(await find()).toEqual({ format: 'golang-migrate', because: '1_a.up.sql is one of a pair of files' })
  })

  test('needs no folder and no database', async ({ sql, dir }) => {
    expect(await findFormat(undefined, [join(dir, 'none')], nowhere)).toMatchObject({ format: 'pgbosun' })
    await sql.unsafe(
      'create table goose_db_version (id int primary key, version_id bigint, is_applied boolean, tstamp timestamp)',
    )
    expect(await sql.begin((db) => findFormat(db, [join(dir, 'none')], nowhere))).toEqual({
      format: 'goose',
      because: 'the database has public.goose_db_version of goose',
    })
  })
})

describe('migrate.format: auto', () => {
  const auto = (database: string) => ({ DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: 'auto' })
  const dbmateFiles = {
    'migrations/20260101_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n',
    'migrations/20260102_b.sql': '-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;\n',
  }
  const pairs = {
    'migrations/000001_a.up.sql': 'create table a (id int)',
    'migrations/000001_a.down.sql': 'drop table a',
    'migrations/000002_b.up.sql': 'create table b (id int)',
  }
  const golang = 'create table schema_migrations (version bigint not null primary key, dirty boolean not null)'

  test('goes by the content of the files', async ({ dir, database, sql }) => {
    await writeFiles(dir, dbmateFiles)
    const options = { cwd: dir, env: auto(database) }
    const planned = await runJson(['plan', '--exit-code'], options)
    expect(planned.code, planned.stderr).toBe(3)
    expect(planned.stderr).toContain('migrate.format auto: dbmate, because 20260101_a.sql contains `-- migrate:up`')
    const { code, stderr } = await run(['up'], options)
    expect(code, stderr).toBe(0)
    expect(await sql`select version from schema_migrations order by 1`).toEqual([
      { version: '20260101' },
      { version: '20260102' },
    ])
    expect((await run(['up'], options)).stdout).toContain('ready, nothing to do')
    expect((await runJson(['migrate', 'status'], options)).json).toMatchObject({
      format: 'dbmate',
      applied: ['20260101_a', '20260102_b'],
      pending: [],
      problems: [],
    })
    const created = await runJson(['migrate', 'new', 'more'], options)
    expect(created.json.file).toMatch(/migrations\/\d{14}_more\.sql$/)
    expect((await runJson(['migrate', 'status'], options)).json.pending).toHaveLength(1)
  })

  test('names the candidates where files and database do not tell, before anything is changed', async ({
    dir,
    database,
    sql,
  }) => {
    await writeFiles(dir, pairs)
    const options = { cwd: dir, env: auto(database) }
    const hint = 'set `migrate.format` to golang-migrate, sqlx or node-pg-migrate'
    for (const command of [
      ['up'],
      ['plan'],
      ['migrate'],
      ['migrate', 'status'],
      ['migrate', 'verify'],
      ['migrate', 'new', 'more'],
    ])
      expect(await fails(command, options)).toMatchObject({
        kind: 'usage',
        hint,
        message: expect.stringMatching(/golang-migrate, sqlx or node-pg-migrate/),
      })
    expect(await sql`select nspname from pg_namespace where nspname = 'pgbosun'`).toEqual([])

    await sql.unsafe(`${golang}; insert into schema_migrations values (1, false); create table a (id int)`)
    const migrated = await runJson(['migrate'], options)
    expect(migrated.json.results).toMatchObject([{ name: '000002_b', status: 'applied' }])
    expect(await sql`select version::int from schema_migrations`).toEqual([{ version: 2 }])
    expect((await runJson(['check'], options)).json).toMatchObject({
      current_version: '000002_b',
      pending_migrations: [],
    })
  })

  test('refuses files of one tool beside the history of another', async ({ dir, database, sql }) => {
    await writeFiles(dir, dbmateFiles)
    await sql.unsafe(`${golang}; insert into schema_migrations values (1, false)`)
    expect(await fails(['up'], { cwd: dir, env: auto(database) })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(
        'look like dbmate (20260101_a.sql contains `-- migrate:up`), but the database has public.schema_migrations of golang-migrate',
      ),
      hint: 'set `migrate.format` to dbmate or golang-migrate',
    })
  })

  test('a history of Alembic is answered with how Alembic is run', async ({ dir, database }) => {
    await writeFiles(dir, { 'migrations/env.py': '', 'migrations/versions/a.py': 'down_revision = None\n' })
    expect(await fails(['plan'], { cwd: dir, env: auto(database) })).toMatchObject({
      kind: 'usage',
      hint: 'let pgbosun run it: `migrate.command: [alembic, upgrade, head]`',
    })
  })

  test('an empty folder is ours until the database says something else', async ({ dir, database, sql }) => {
    await writeFiles(dir, { 'migrations/.gitkeep': '' })
    const options = { cwd: dir, env: auto(database) }
    expect((await runJson(['migrate', 'status'], options)).json).toMatchObject({
      format: 'pgbosun',
      applied: [],
      pending: [],
    })
    expect((await run(['up'], options)).stdout).toContain('ready, nothing to do')
    expect(await sql`select nspname from pg_namespace where nspname = 'pgbosun'`).toEqual([])

    await sql.unsafe(`${golang}; insert into schema_migrations values (7, false)`)
    const { json } = await runJson(['migrate', 'status'], options)
    expect(json).toMatchObject({
      format: 'golang-migrate',
      applied: ['7'],
      warnings: ['the database is ahead of the files: 7'],
    })
    expect((await run(['up'], options)).stdout).toContain('ready, nothing to do')
  })

  test('without a folder the history tells', async ({ dir, database, sql }) => {
    const options = { cwd: dir, env: auto(database) }
    expect((await run(['up'], options)).stdout).toContain('ready, nothing to do')
    await sql.unsafe(`${golang}; insert into schema_migrations values (7, false)`)
    const up = await runJson(['up'], options)
    expect(up.code, up.stderr).toBe(0)
    expect(up.json.warnings).toEqual(['the database is ahead of the files: 7'])
    expect((await runJson(['check'], options)).json).toMatchObject({ current_version: '7' })
    expect(await fails(['migrate'], options)).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('does not exist'),
    })
  })

  test('works for a database that does not exist yet', async ({ dir }) => {
    const name = uniqueName('new')
    const config = { databases: { [name]: {} }, migrate: { format: 'auto' } }
    await writeFiles(dir, { ...dbmateFiles, 'pgbosun.yaml': JSON.stringify(config) })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name) } }
    const planned = await runJson(['plan'], options)
    expect(planned.code, planned.stderr).toBe(0)
    const steps = planned.json.steps as { name: string; changes: { object: string }[] }[]
    expect(steps.find((step) => step.name === 'migrate')?.changes.map(({ object }) => object)).toEqual([
      'schema pgbosun',
      'migration 20260101_a',
      'migration 20260102_b',
    ])
    const { code, stderr } = await run(['up'], options)
    expect(code, stderr).toBe(0)
    const sql = open(name)
    expect(await sql`select count(*)::int as count from schema_migrations`).toEqual([{ count: 2 }])
    await sql.end()
    expect((await run(['up'], options)).stdout).toContain('ready, nothing to do')
  })

  test('a pair of files for a database that does not exist yet is refused before it is created', async ({
    dir,
    sql,
  }) => {
    const name = uniqueName('new')
    await writeFiles(dir, {
      ...pairs,
      'pgbosun.yaml': JSON.stringify({ databases: { [name]: {} }, migrate: { format: 'auto' } }),
    })
    expect(await fails(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(name) } })).toMatchObject({ kind: 'usage' })
    expect(await sql`select datname from pg_database where datname = ${name}`).toEqual([])
  })

  test('looks where the role of the migrations would, in each database on its own', async ({ dir, database, sql }) => {
    const role = uniqueName('r')
    const other = uniqueName('other')
    await sql.unsafe(`create role ${role}; create schema ${role} authorization ${role}`)
    await sql.unsafe(
      `set role ${role}; ${golang.replace('schema_migrations', `${role}.schema_migrations`)}; insert into ${role}.schema_migrations values (1, false); reset role`,
    )
    await sql.unsafe(`grant usage on schema public to ${role}`)
    await writeFiles(dir, { ...pairs, 'migrations/000002_b.up.sql': `create table ${role}.b (id int)` })
    for (const [path, text] of Object.entries(dbmateFiles))
      await writeFiles(dir, { [path.replace('migrations', 'other')]: text })
    const config = {
      databases: { [other]: { migrate: { dir: 'other', format: 'auto' } } },
      migrate: { format: 'auto', role },
    }
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify(config) })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const { code, stderr } = await run(['up'], options)
    expect(code, stderr).toBe(0)
    expect(await sql.unsafe(`select version::int from ${role}.schema_migrations`)).toEqual([{ version: 2 }])
    const status = await runJson(['migrate', 'status'], options)
    expect(status.json.databases).toMatchObject([
      { database: null, format: 'golang-migrate' },
      { database: other, format: 'dbmate' },
    ])
  })
})
