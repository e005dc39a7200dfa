import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { AppError } from '../errors.ts'
import { detectFormat, type HistoryFact } from './detect.ts'
import { inspectFolders } from './peek.ts'

const history = (...formats: HistoryFact['format'][]): HistoryFact[] =>
  formats.map((format) => ({ format, schema: 'public', table: `${format}_history` }))

/** Files by name; a text is what they begin with. */
type Files = Record<string, string>

const decide = (files: Files, ...histories: HistoryFact['format'][]) => {
  const names = Object.keys(files)
  const heads = Object.entries(files).map(([name, text]) => ({ name, text }))
  return detectFormat('migrations', { names, heads }, history(...histories))
}

function refused(files: Files, ...histories: HistoryFact['format'][]): AppError {
  try {
    const { format, because } = decide(files, ...histories)
    throw new Error(`it was not refused but taken for ${format}: ${because}`)
  } catch (error) {
    return error as AppError
  }
}

describe('content tells first', () => {
  test.each<[string, Files]>([
    ['dbmate', { '1_a.sql': '-- migrate:up\nselect 1' }],
    ['dbmate', { '1_a.sql': '--migrate:up transaction:false\nselect 1' }],
    ['goose', { '1_a.sql': '-- +goose Up\nselect 1' }],
    ['goose', { '1_a.sql': '-- +goose NO TRANSACTION\n-- +goose Up' }],
    ['graphile-migrate', { '000001.sql': '--! Previous: -\n--! Hash: sha1:x\n\nselect 1' }],
    ['graphile-migrate', { 'committed/': '', 'committed/000001-a.sql': '--! Previous: -\n', 'current.sql': '' }],
    ['node-pg-migrate', { '1_a.sql': '-- Up Migration\n\n-- Down Migration' }],
    ['pgbosun', { '1_a.sql': '-- pgbosun: no-transaction\nvacuum' }],
    ['sqlx', { '1_a.sql': '-- no-transaction\nvacuum' }],
  ])('%s: %j', (format, files) => {
    expect(decide(files).format).toBe(format)
  })

  test('and says what told', () => {
    expect(decide({ '1_a.sql': 'select 1', '2_b.sql': '-- migrate:up' })).toEqual({
      format: 'dbmate',
      because: '2_b.sql contains `-- migrate:up`',
    })
  })

  test('marks in the middle of a line, and prose, are none', () => {
    const prose =
      'select 1; -- migrate:up\n-- we use +goosebumps\n-- the up migration of no-transaction\n-- pgbosun: allow x y'
    expect(decide({ '1_a.sql': prose }).format).toBe('pgbosun')
  })

  test('`-- Up migration` in one of a pair is prose', () => {
    expect(decide({ '1_a.up.sql': '-- Up migration' }, 'golang-migrate').format).toBe('golang-migrate')
  })

  test('our comments for lint do not make a file ours', () => {
    expect(decide({ '1_a.sql': '-- migrate:up\n-- pgbosun: allow drop-table not used' }).format).toBe('dbmate')
  })

  test('two tools in one folder are refused, naming both', () => {
    expect(refused({ '1_a.sql': '-- migrate:up', '2_b.sql': '-- +goose Up' })).toMatchObject({
      kind: 'usage',
      message:
        'the files of migrations contradict each other: 1_a.sql contains `-- migrate:up` (dbmate), 2_b.sql contains `+goose` (goose)',
      hint: 'set `migrate.format` to dbmate or goose',
    })
  })
})

describe('then names', () => {
  test.each<[string, Files]>([
    ['flyway', { 'V1__a.sql': '' }],
    ['flyway', { 'V1.2__a.sql': '', 'R__views.sql': '', 'afterMigrate.sql': '' }],
    ['flyway', { 'tables/': '', 'tables/V2024_01__a.sql': '' }],
    ['flyway', { 'B3__base.sql': '' }],
    ['graphile-migrate', { 'committed/': '', 'current.sql': 'select 1' }],
    ['pgbosun', { '001_a.sql': '', '001_a.down.sql': '' }],
    ['pgbosun', { '001_a.sql': '', 'repeatable/': '', 'repeatable/v.sql': '' }],
    ['pgbosun', { '001_a.sql': '', 'README.md': '' }],
    ['pgbosun', { 'repeatable/': '', 'repeatable/v.sql': '' }],
  ])('%s: %j', (format, files) => {
    expect(decide(files).format).toBe(format)
  })

  test.each<[string, Files, HistoryFact['format']]>([
    ['pairs', { '1_a.up.sql': '', '1_a.down.sql': '' }, 'golang-migrate'],
    ['pairs', { '1_a.up.sql': '', '1_a.down.sql': '' }, 'sqlx'],
    ['plain names', { '1_a.sql': '' }, 'sqlx'],
    ['plain names', { '1_a.sql': '' }, 'node-pg-migrate'],
    ['plain names', { '1_a.sql': '' }, 'pgbosun'],
  ])('of %s %j the history decides: %s', (_, files, format) => {
    expect(decide(files, format).format).toBe(format)
  })

  test('pairs without a history are refused, naming the candidates', () => {
    expect(refused({ '1_a.up.sql': '', '1_a.down.sql': '' })).toMatchObject({
      kind: 'usage',
      message:
        'the files of migrations may be those of golang-migrate, sqlx or node-pg-migrate: 1_a.up.sql is one of a pair of files',
      hint: 'set `migrate.format` to golang-migrate, sqlx or node-pg-migrate',
    })
  })

  test('plain names with two histories are refused', () => {
    expect(refused({ '1_a.sql': '' }, 'sqlx', 'pgbosun')).toMatchObject({
      kind: 'usage',
      hint: 'set `migrate.format` to pgbosun or sqlx',
    })
  })

  test('names of two tools are refused', () => {
    expect(refused({ 'V1__a.sql': '', '001_a.sql': '' })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('V1__a.sql is named like a migration of Flyway, 001_a.sql has a number'),
      hint: expect.stringContaining('flyway, pgbosun, sqlx or node-pg-migrate'),
    })
  })

  test.each<[string, Files]>([
    ['001-init.sql', { '001-init.sql': '' }],
    ['init.sql', { 'init.sql': '', 'README.md': '' }],
    ['1700000000000_a.js', { '1700000000000_a.js': '' }],
    ['20240101_init/migration.sql', { '20240101_init/': '', '20240101_init/migration.sql': '' }],
  ])('%s is nobody’s, and refused', (name, files) => {
    expect(refused(files)).toMatchObject({
      kind: 'usage',
      message: `no format has files named like ${name} in migrations`,
      hint: expect.stringMatching(/migrate\.(format|dir)/),
    })
  })
})

describe('the history', () => {
  test('of another tool contradicts what the content says', () => {
    expect(refused({ '1_a.sql': '-- migrate:up' }, 'golang-migrate')).toMatchObject({
      kind: 'usage',
      message:
        'the files of migrations look like dbmate (1_a.sql contains `-- migrate:up`), but the database has public.golang-migrate_history of golang-migrate',
      hint: 'set `migrate.format` to dbmate or golang-migrate',
    })
  })

  test('of another tool does not matter where the right one is there too', () => {
    expect(decide({ '1_a.sql': '-- migrate:up' }, 'alembic', 'dbmate').format).toBe('dbmate')
  })

  test('of Rails is not that of dbmate', () => {
    expect(refused({ '1_a.sql': '-- migrate:up' }, 'rails')).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('of Rails'),
    })
  })

  test('alone decides for an empty folder and for none', () => {
    expect(decide({}, 'goose').format).toBe('goose')
    expect(detectFormat('migrations', undefined, history('flyway')).format).toBe('flyway')
  })

  test('is missing too: our own format', () => {
    expect(decide({}).format).toBe('pgbosun')
    expect(decide({ 'README.md': '' }).format).toBe('pgbosun')
    expect(detectFormat('migrations', undefined, [])).toEqual({
      format: 'pgbosun',
      because: 'there are no files and no history',
    })
  })

  test('of two tools and no files is refused', () => {
    expect(refused({}, 'goose', 'dbmate')).toMatchObject({
      kind: 'usage',
      hint: 'set `migrate.format` to goose or dbmate',
    })
  })
})

test.each<[string, Files, HistoryFact['format'][]]>([
  ['Alembic', { 'env.py': '', 'script.py.mako': '', 'versions/': '' }, []],
  ['Alembic', { 'versions/': '', 'versions/1a2b_init.py': 'revision = "1a2b"\ndown_revision = None\n' }, []],
  ['Alembic', {}, ['alembic']],
  ['Liquibase', { 'db.changelog-master.yaml': '' }, []],
  ['Liquibase', { '001_a.sql': '--liquibase formatted sql\n--changeset me:1' }, []],
  ['Atlas', { '20240101000000_a.sql': '', 'atlas.sum': '' }, []],
  ['sqitch', { 'sqitch.plan': '', 'deploy/': '' }, []],
  ['sqitch', { 'users.sql': '-- Deploy shop:users to pg\n\nbegin;' }, []],
  ['Rails', {}, ['rails']],
])('%s is recognised and refused: %j %j', (name, files, histories) => {
  expect(refused(files, ...histories)).toMatchObject({
    kind: 'usage',
    message: expect.stringContaining(`are those of ${name}, which is not a format of pgbosun`),
    hint: expect.stringContaining('migrate.command'),
  })
})

test('a folder of another tool that Atlas only sums up is that tool’s', () => {
  expect(decide({ '1_a.up.sql': '', '1_a.down.sql': '', 'atlas.sum': '' }, 'golang-migrate').format).toBe(
    'golang-migrate',
  )
})

describe('a folder', () => {
  const within = (files: Files, look: (dir: string) => void) => {
    const dir = mkdtempSync(join(tmpdir(), 'pgbosun-detect-'))
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true })
      writeFileSync(join(dir, name), text)
    }
    look(dir)
    rmSync(dir, { recursive: true })
  }

  test('is read with its subfolders, without names that start with a dot, and without a byte order mark', () => {
    within(
      { '1_a.sql': '\uFEFF-- no-transaction\n', '.keep': '', 'committed/1.sql': 'x', 'README.md': 'text' },
      (dir) =>
        expect(inspectFolders([dir])).toEqual({
          names: ['1_a.sql', 'README.md', 'committed/', 'committed/1.sql'],
          heads: [
            { name: '1_a.sql', text: '-- no-transaction\n' },
            { name: 'committed/1.sql', text: 'x' },
          ],
        }),
    )
  })

  test('of a thousand files is known from the heads of the first and the last', () => {
    const names = Array.from({ length: 1000 }, (_, i) => `${1000 + i}_a.sql`)
    within(Object.fromEntries(names.map((name) => [name, 'x'.repeat(10_000)])), (dir) => {
      const facts = inspectFolders([dir])
      expect(facts?.names).toHaveLength(1000)
      expect(facts?.heads.map(({ name, text }) => `${name} ${text.length}`)).toEqual(
        [...names.slice(0, 12), ...names.slice(-12)].map((name) => `${name} 8192`),
      )
    })
  })

  test('may not be there', () => {
    within({}, (dir) => expect(inspectFolders([join(dir, 'none')])).toBeUndefined())
  })
})
