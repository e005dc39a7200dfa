import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { checksum } from './checksum.ts'
import type { ReadOptions } from './format.ts'
import { hashOf } from './graphile-file.ts'
import { graphileMigrate } from './graphile-migrate.ts'

const { dir, write, ...folder } = formatFolder(graphileMigrate, { environment: { REGION: 'eu' } })

const first = 'sha1:005c6eb7364156e6b0d158d8b2767a24f1ce6611'
const second = 'sha1:25e74b3f7d5496bbcd41cc6010dc1847e9d9c230'

/** A committed file with the right hash. */
const committed = (body: string, { previous = null as string | null, extra = '' } = {}) =>
  `--! Previous: ${previous ?? '-'}\n--! Hash: ${hashOf(body, previous)}\n${extra}\n${body}`

const two = {
  'migrations/committed/000001.sql': committed('select 1;\n'),
  'migrations/committed/000002-more.sql': committed('select 2;\n', { previous: first, extra: '--! Message: more\n' }),
}

const read = (subfolder = 'migrations', more: Partial<ReadOptions> = {}) => folder.read(more, subfolder)

function refusal(files: Record<string, string>, more: Partial<ReadOptions> = {}) {
  write(files)
  return folder.refusal(() => read('migrations', more))
}

describe('the hash', () => {
  test('of its documentation: the first migration, and one after it', () => {
    expect(hashOf('select 1;\n', null)).toBe(first)
    expect(hashOf('select 2;\n', first)).toBe(second)
  })

  test('does not see blanks around the body', () => {
    expect(hashOf('\n  select 2;\n\n', first)).toBe(second)
  })
})

describe('the folder', () => {
  test('is the one that holds `committed`, or that', () => {
    write({ ...two, 'migrations/current.sql': 'select 3' })
    for (const subfolder of ['migrations', 'migrations/committed']) {
      expect(read(subfolder).map(({ id, name, checksum, native }) => [id, name, checksum, native])).toEqual([
        ['000001.sql', '000001', first, { hash: first, previous: null, message: null }],
        ['000002.sql', '000002-more', second, { hash: second, previous: first, message: 'more' }],
      ])
    }
  })

  test('may be mounted without that name', () => {
    write({ 'mounted/000001.sql': two['migrations/committed/000001.sql'] })
    expect(read('mounted').map(({ id }) => id)).toEqual(['000001.sql'])
  })

  test('may have nothing committed yet', () => {
    write({ 'migrations/current.sql': 'select 1' })
    expect(read()).toEqual([])
  })

  test('is not taken for one where SQL files have other names', () => {
    expect(refusal({ 'migrations/001_init.sql': 'select 1' })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('001_init.sql'),
    })
  })

  test('skips the names that graphile-migrate skips', () => {
    write({ ...two, 'migrations/committed/000003_x.sql': 'x', 'migrations/committed/README.md': 'x' })
    expect(read().map(({ id }) => id)).toEqual(['000001.sql', '000002.sql'])
  })

  test('two files of one number are refused', () => {
    expect(refusal({ ...two, 'migrations/committed/000002.sql': 'select 3' })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('000002-more.sql and 000002.sql'),
    })
  })

  test('digits are ordered as text', () => {
    expect(['9.sql', '10.sql', '000002.sql'].toSorted(graphileMigrate.compare)).toEqual([
      '000002.sql',
      '10.sql',
      '9.sql',
    ])
  })
})

describe('a file', () => {
  const one = (text: string) => ({ 'migrations/committed/000001.sql': text })
  const place = () => ({ file: join(dir(), 'migrations/committed/000001.sql') })

  test('is sent from the first line of its body, which keeps its line', () => {
    const text = committed('\n\n  select 1;\n')
    write(one(text))
    expect(read()[0]).toMatchObject({ text: '  select 1;\n', line: 6, transactional: true, sha256: checksum(text) })
    expect(read()[0]?.down).toBeUndefined()
  })

  test.each([
    ['--! no-transaction\nvacuum', false],
    ['--!no-transaction\nvacuum', false],
    ['\n--! no-transaction\nvacuum', false],
    ['--! no-transaction', false],
    ['--! no-transactions\nvacuum', true],
    ['-- here\n--! no-transaction\nvacuum', true],
  ])('%j runs in a transaction: %s', (body, transactional) => {
    write(one(committed(body)))
    expect(read()[0]?.transactional).toBe(transactional)
  })

  test.each([
    ['no headers', 'select 1;\n', 1, 'no empty line after its headers'],
    ['no empty line', `--! Previous: -\n--! Hash: ${first}\nselect 1;\n`, 3, 'no empty line after its headers'],
    ['no Hash', '--! Previous: -\n\nselect 1;\n', 1, '--! Hash:'],
    ['no Previous', `--! Hash: ${first}\n\nselect 1;\n`, 1, '--! Previous:'],
    ['a header twice', `--! Previous: -\n--! Previous: -\n--! Hash: ${first}\n\nselect 1;\n`, 2, 'Previous twice'],
    ['CRLF', committed('select 1;\n').replaceAll('\n', '\r\n'), 1, 'CRLF'],
    ['CRLF in its body', committed('select 1;\nselect 2;\n').replaceAll(';\n', ';\r\n'), 1, 'CRLF'],
    ['a byte order mark', `\uFEFF${committed('select 1;\n')}`, 1, 'byte order mark'],
    ['a changed body', committed('select 1;\n').replace('select 1', 'select 9'), 1, 'changed after it was committed'],
    [
      'a valid hash that is allowed to be invalid',
      committed('select 1;\n', { extra: '--! AllowInvalidHash\n' }),
      1,
      'its hash is valid',
    ],
    ['a file before it that is not there', committed('select 2;\n', { previous: first }), 1, 'is the first file'],
  ])('with %s is refused', (_, text, line, message) => {
    expect(refusal(one(text))).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(message),
      hint: expect.stringMatching(/./),
      place: { ...place(), line },
    })
  })

  test('may have an invalid hash where its headers allow it: that hash is recorded', () => {
    write(one(`--! Previous: -\n--! Hash: ${first}\n--! AllowInvalidHash\n\nselect 9;\n`))
    expect(read()[0]).toMatchObject({ checksum: first, text: 'select 9;\n', line: 5 })
  })

  test('may have other headers', () => {
    write(one(committed('select 1;\n', { extra: '--! Author: me\n' })))
    expect(read()).toHaveLength(1)
  })

  test('must name the hash of the one before', () => {
    const other = committed('select 3;\n', { previous: 'sha1:0000000000000000000000000000000000000000' })
    expect(refusal({ ...two, 'migrations/committed/000003.sql': other })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(`000002-more.sql, the file before it, has the hash ${second}`),
    })
  })
})

describe('placeholders', () => {
  const sent = (body: string, more: Partial<ReadOptions> = {}, gmrc?: string) => {
    write({ 'migrations/committed/000001.sql': committed(body), ...(gmrc !== undefined && { '.gmrc': gmrc }) })
    return read('migrations', more)[0]
  }

  test('its own are the database and its owner; the hash is that of the text before', () => {
    const body = "select ':DATABASE_NAME', 1::int, :DATABASE_OWNER, :DATABASE_NAMES"
    expect(sent(body)).toMatchObject({
      text: "select 'shop', 1::int, app, :DATABASE_NAMES",
      checksum: hashOf(body, null),
    })
  })

  test('the owner is the database where there is no user, and what .gmrc says before all', () => {
    expect(sent(':DATABASE_OWNER', { user: undefined })?.text).toBe('shop')
    expect(sent(':DATABASE_OWNER', {}, '{"databaseOwner": "boss"}')?.text).toBe('boss')
  })

  test('others come from migrate.placeholders, with or without colon, and are put in as they are', () => {
    const placeholders = { A_B: "it's $&", ':AB': 'x', EMPTY: '' }
    expect(sent("':A_B' :AB :A_BC :EMPTY; $1", { placeholders })?.text).toBe("'it's $&' x :A_BC ; $1")
  })

  test('those of .gmrc are known too; migrate.placeholders win', () => {
    const gmrc = '{"placeholders": {":VISITOR": "v", ":ROLE_X": "r", ":REGION": "!ENV"}}'
    expect(sent(':VISITOR :ROLE_X :REGION', { placeholders: { ROLE_X: 'mine' } }, gmrc)?.text).toBe('v mine eu')
  })

  test('what came from the environment is not shown to people', () => {
    const file = sent("select ':REGION', :DATABASE_NAME", { placeholders: { REGION: '!ENV' } })
    expect(file).toMatchObject({ text: "select 'eu', shop", shown: "select ':REGION', shop" })
    expect(sent('select 1')).not.toHaveProperty('shown')
  })

  test('a replaced one may make the first line ask for no transaction, as there', () => {
    expect(sent(':MODE\nvacuum', { placeholders: { MODE: '--! no-transaction' } })?.transactional).toBe(false)
  })

  test.each([
    [{ DATABASE_NAME: 'x' }, 'is built into graphile-migrate'],
    [{ lower: 'x' }, 'cannot be a placeholder'],
    [{ A: 'x' }, 'cannot be a placeholder'],
    [{ NOWHERE: '!ENV' }, 'NOWHERE is not set'],
  ])('%j is refused', (placeholders, message) => {
    expect(refusal(two, { placeholders })).toMatchObject({ kind: 'usage', message: expect.stringContaining(message) })
  })
})

describe('.gmrc', () => {
  test.each([
    ['{"afterAllMigrations": ["grants.sql"]}', 'afterAllMigrations'],
    ['{"beforeAllMigrations": "roles.sql"}', 'beforeAllMigrations'],
    ["{afterAllMigrations: [{_: 'command', command: \"it's\",},],}", 'afterAllMigrations'],
    ['{"pgSettings": {"search_path": ["app_public"]}}', 'is not a string'],
    ['not json', 'cannot be read'],
    ['3', 'cannot be read'],
    ['{"placeholders": {":NUMBER": 3}}', 'is not a string'],
  ])('%s is refused', (gmrc, message) => {
    expect(refusal({ ...two, '.gmrc': gmrc })).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(message),
      hint: expect.stringMatching(/./),
      place: { file: join(dir(), '.gmrc') },
    })
  })

  test('as `graphile-migrate init` writes it, with comments, is none of our business', () => {
    const gmrc = `/*
 * "afterAllMigrations": ["in a comment.sql"]
 */
{
  // "connectionString": "postgres://appuser:apppassword@host:5432/appdb",
  "pgSettings": {
    // "search_path": "app_public,app_private,app_hidden,public",
  },
  "placeholders": {
    // ":DATABASE_VISITOR": "!ENV", // Uses process.env.DATABASE_VISITOR
  },
  "afterReset": [
    // "afterReset.sql",
  ],
 
  "afterAllMigrations": [
    // { "_": "command", "shadow": true, "command": "if [ \\"$IN_TESTS\\" != \\"1\\" ]; then ./scripts/dump-db; fi" },
  ],
  "//generatedWith": "1.4.1"
}
`
    write({ ...two, '.gmrc': gmrc })
    expect(read()).toHaveLength(2)
  })

  test('settings of the session go with every file', () => {
    write({ ...two, '.gmrc': '{"pgSettings": {"search_path": "app_public,public", "statement_timeout": 5000}}' })
    expect(read().map(({ settings }) => settings)).toEqual([
      { search_path: 'app_public,public', statement_timeout: '5000' },
      { search_path: 'app_public,public', statement_timeout: '5000' },
    ])
  })

  test('actions for the shadow database only are none of our business', () => {
    write({ ...two, '.gmrc': '{"afterAllMigrations": [{"_": "command", "command": "dump", "shadow": true}]}' })
    expect(read()).toHaveLength(2)
  })

  test('a program is read as text', () => {
    const file = (text: string) => ({ ...two, '.gmrc.js': text })
    write(file('module.exports = {\n  // afterAllMigrations: ["x"],\n  afterAllMigrations: [ ],\n  pgSettings: {},\n}'))
    expect(read()).toHaveLength(2)
    expect(refusal(file('module.exports = { afterAllMigrations: [`grants.sql`] }')).message).toContain(
      'afterAllMigrations',
    )
    expect(refusal(file('module.exports = { pgSettings }')).message).toContain('pgSettings')
  })

  test('of another folder is none of our business, whatever is in it', () => {
    const foreign = 'module.exports = { pgSettings: { search_path: "x" }, afterAllMigrations: ["x"] }'
    write({ 'db/migrations/committed/000001.sql': two['migrations/committed/000001.sql'], '.gmrc.js': foreign })
    expect(read('db/migrations')).toHaveLength(1)
  })

  test('counts beside the folder whose `committed` was given, and further up where it names the folder', () => {
    const hook = '{"afterAllMigrations": ["x.sql"], "migrationsFolder": "./db/migrations"}'
    write({ 'db/migrations/committed/000001.sql': two['migrations/committed/000001.sql'], '.gmrc': hook })
    expect(() => read('db/migrations/committed')).toThrow('afterAllMigrations')
    write({ '.gmrc': hook.replace('db/', 'other/') })
    expect(read('db/migrations')).toHaveLength(1)
  })
})

test('a new file is made by its own `commit`', () => {
  expect(() => graphileMigrate.create('x', { now: new Date(0), files: [], reversible: false })).toThrow(
    expect.objectContaining({ kind: 'usage', hint: expect.stringContaining('graphile-migrate commit') }),
  )
})

test('its lock is the one of its command line', () => {
  expect(graphileMigrate.native?.lockKey?.({ database: 'a', schema: 'graphile_migrate', table: 'migrations' })).toBe(
    4727445306447283n,
  )
})

test('what it skips silently is an error: a lower file, a gap, an edited file', () => {
  expect(graphileMigrate.policy).toEqual({ outOfOrder: 'error', missing: 'error', edited: 'error' })
})
