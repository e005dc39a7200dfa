import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { dbmate } from '../src/formats/dbmate.ts'
import type { Migration } from '../src/formats/types.ts'
import { bareRow, historyIn } from './support/history.ts'
import { type Sql, test, urlOf, writeFiles } from './support/postgres.ts'
import { shapeOf } from './support/shape.ts'

const table = '"public"."schema_migrations"'
const { native, rowsOf, idsOf, createdAs } = historyIn(dbmate, table)
const pair = (up: string, down = '') => `-- migrate:up\n${up}\n-- migrate:down\n${down}\n`

const read = (dir: string) => dbmate.read(dir, { placeholders: {}, database: 'shop', user: 'app', environment: {} })

/** As the engine sends it: the record, then the text, in one message; or the text alone, then the record. */
async function apply(sql: Sql, files: Migration[]): Promise<void> {
  for (const [i, file] of files.entries()) {
    const record = native.record(table, file, files[i - 1])
    for (const message of file.transactional ? [`${record};\n${file.text}`] : [file.text, record])
      await sql.unsafe(message)
  }
}

const sourceOf = async (sql: Sql) => (await sql`select prosrc from pg_proc where proname = 'f'`)[0]?.prosrc

describe('the history of dbmate', () => {
  test('is created as the tool creates it', async ({ sql }) => {
    await createdAs(sql, 'create table if not exists "public"."schema_migrations" (version varchar primary key)')
    expect(await rowsOf(sql)).toEqual([])
  })

  test('has a row per version, a string, which is taken back', async ({ sql, dir }) => {
    await sql.unsafe(native.create(table))
    await writeFiles(dir, { '1_a.sql': pair(''), '0001_b.sql': pair(''), '10_c.sql': pair('') })
    const files = read(dir)
    await apply(sql, files)
    expect(await sql`select * from schema_migrations order by version collate "C"`).toEqual([
      { version: '0001' },
      { version: '1' },
      { version: '10' },
    ])
    expect(await rowsOf(sql)).toEqual(['0001', '10', '1'].map(bareRow))
    for (const file of files.filter(({ id }) => id === '1')) await sql.unsafe(native.unrecord(table, file, undefined))
    expect(await idsOf(sql)).toEqual(['0001', '10'])
  })

  test('of an older release, with a limited length, is read too', async ({ sql }) => {
    await sql.unsafe('create table schema_migrations (version varchar(255) primary key)')
    await sql`insert into schema_migrations values ('20200101000000')`
    expect(await idsOf(sql)).toEqual(['20200101000000'])
  })
})

/** The program itself, of the packages that bench/ installs. */
const [program] = globSync('@dbmate/*/bin/dbmate', { cwd: join(import.meta.dirname, '../bench/node_modules') })
if (program === undefined) console.warn('NOT RUN: dbmate itself; `npm ci` in bench/ installs it')

describe.skipIf(program === undefined)('together with dbmate itself', () => {
  const run = async (database: string, dir: string, ...args: string[]) => {
    const url = `${urlOf(database)}?sslmode=disable`
    const flags = ['--url', url, '--migrations-dir', dir, '--no-dump-schema']
    const binary = join(import.meta.dirname, '../bench/node_modules', program ?? '')
    return (await promisify(execFile)(binary, [...flags, ...args], { env: {} })).stdout
  }
  const files = {
    '1_a.sql': pair('create table a (id int);', 'drop table a;'),
    '10_b.sql': `-- first\n\n--migrate:up foo:bar\ncreate function f() returns int language sql as $$\n  -- one;\r\n  select 1;\n$$;\n--\tmigrate:down\ndrop function f();\n`,
    '2_c.sql': '-- migrate:up transaction:false\r\nvacuum;\r\n-- migrate:down\r\n',
    '2026_d.sql': '-- migrate:up\ncreate table d (\r\n id int -- d\r\n);-- migrate:up here is prose\n-- migrate:down',
    'README.sql': 'this is no migration',
  }
  const order = ['10', '1', '2026', '2']

  test('what it applied is what we read, in its order, and it would take our table for its own', async ({
    sql,
    database,
    dir,
  }) => {
    await writeFiles(dir, files)
    const migrations = read(dir)
    const said = await run(database, dir, 'migrate')
    expect([...said.matchAll(/^Applying: (.*)\.sql$/gm)].map(([, name]) => name)).toEqual(
      migrations.map(({ name }) => name),
    )
    expect(migrations.map(({ id }) => id)).toEqual(order)
    expect(await idsOf(sql)).toEqual(order)
    const expected = [await shapeOf(sql, 'public'), await sourceOf(sql)]
    await sql.unsafe('drop table schema_migrations, a, d; drop function f()')
    await sql.unsafe(native.create(table))
    await apply(sql, migrations)
    expect([await shapeOf(sql, 'public'), await sourceOf(sql)]).toEqual(expected)
    expect(expected[1]).toContain('-- one;\r\n')
    expect(await run(database, dir, 'status')).toContain('Applied: 4\nPending: 0\n')
    expect(await run(database, dir, 'migrate')).toBe('')
  })

  test('each continues where the other stopped, up and down', async ({ sql, database, dir }) => {
    await writeFiles(dir, { '001_a.sql': files['1_a.sql'] })
    await sql.unsafe(native.create(table))
    await apply(sql, read(dir))
    await writeFiles(dir, { '002_b.sql': files['10_b.sql'] })
    expect(await run(database, dir, 'migrate')).toContain('Applying: 002_b.sql')
    expect(await idsOf(sql)).toEqual(['001', '002'])
    expect(await run(database, dir, 'rollback')).toContain('Rolling back: 002_b.sql')
    expect(await idsOf(sql)).toEqual(['001'])
    const [first] = read(dir)
    if (first) await sql.unsafe(`${native.unrecord(table, first, undefined)};\n${first.down?.().text}`)
    expect(await run(database, dir, 'status')).toContain('Applied: 0\nPending: 2\n')
  })

  test.for([
    ['no up', '-- x\n'],
    ['no down', '-- migrate:up\n'],
    ['capitals', '-- MIGRATE:UP\n-- migrate:down\n'],
    ['an indented section', ' -- migrate:up\n-- migrate:down\n'],
    ['a statement first', 'select 1;\n-- migrate:up\n-- migrate:down\n'],
    ['a block comment first', '/* x */\n-- migrate:up\n-- migrate:down\n'],
    ['down first', '-- migrate:down\n-- migrate:up\n'],
    ['a second down', `${pair('')}-- migrate:down\n`],
    ['a second up', '-- migrate:up\n-- migrate:up\n-- migrate:down\n'],
    ['several pairs', pair('') + pair('')],
    ['carriage returns alone', '-- migrate:up\rselect 1;\r-- migrate:down\r'],
  ])('both refuse a file with %s', async ([, text], { database, dir }) => {
    await writeFiles(dir, { '1_a.sql': text ?? '' })
    await expect(run(database, dir, 'migrate')).rejects.toThrow()
    expect(read(dir)).toMatchObject([{ refused: { kind: 'usage' } }])
  })

  test('`new` writes the file that we write', async ({ database, dir }) => {
    await run(database, dir, 'new', 'add_email')
    const [theirs] = read(dir)
    const [ours] = dbmate.create('add_email', { now: new Date(), files: [], reversible: false })
    expect(ours?.text).toBe(`${theirs?.text}${theirs?.down?.().text}`)
    expect(ours?.file).toMatch(/^\d{14}_add_email\.sql$/)
    expect(theirs?.name).toMatch(/^\d{14}_add_email$/)
  })
})
