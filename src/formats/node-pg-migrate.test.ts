import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { checksum } from './checksum.ts'
import { nodePgMigrate } from './node-pg-migrate.ts'

const { dir, write, read, only, refusal } = formatFolder(nodePgMigrate)

describe('names', () => {
  test('the id is the base name without its last extension', () => {
    write({ '001_init.sql': 'select 1', '002_a.b.sql': 'select 2', '003.SQL': 'select 3' })
    expect(read().map(({ id, name, kind, checksum }) => [id, name, kind, checksum])).toEqual([
      ['001_init', '001_init', 'versioned', null],
      ['002_a.b', '002_a.b', 'versioned', null],
      ['003', '003', 'versioned', null],
    ])
  })

  test('skips folders and names that start with a dot, and follows links', () => {
    mkdirSync(join(dir(), '..2026_01_01'))
    writeFileSync(join(dir(), '..2026_01_01', '1_a.sql'), 'select 1')
    symlinkSync('..2026_01_01', join(dir(), '..data'))
    symlinkSync(join('..data', '1_a.sql'), join(dir(), '1_a.sql'))
    mkdirSync(join(dir(), 'seeds'))
    expect(read().map(({ id, text }) => [id, text])).toEqual([['1_a', 'select 1']])
  })

  test.each([
    ['README.md', 'is not a migration'],
    ['2_b.sql.bak', 'is not a migration'],
    ['views.sql', 'does not start with a number'],
    ['2_b.up.sql', 'is one of a pair of files'],
    ['2_b.down.sql', 'is one of a pair of files'],
  ])('%s is refused: it %s', (name, what) => {
    write({ '1_a.sql': 'select 1', [name]: 'select 2' })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(`${name} in ${dir()}: ${what}`),
      hint: expect.stringMatching(/./),
      place: { file: join(dir(), name) },
    })
  })

  test.each([
    'js',
    'ts',
    'mjs',
    'cjs',
    'mts',
    'cts',
  ])('a program in .%s is a migration that cannot be applied', (extension) => {
    write({ '1_a.sql': 'select 1', [`2_b.${extension}`]: 'exports.up = () => {}' })
    expect(read()).toMatchObject([
      { id: '1_a' },
      {
        id: '2_b',
        refused: { kind: 'usage', message: expect.stringContaining('is a program, but pgbosun only runs SQL') },
      },
    ])
  })

  test('all names that cannot be honoured are named at once', () => {
    write({ '1_a.sql': 'select 1', 'b.txt': '', 'a.md': '' })
    expect(refusal().message).toContain('a.md, b.txt')
  })

  test('two files of one name in the history are refused', () => {
    write({ '1_a.sql': 'select 1', '1_a.SQL': 'select 2' })
    expect(refusal()).toMatchObject({ kind: 'usage', message: expect.stringContaining('the same name') })
  })
})

describe('order', () => {
  const sorted = (...ids: string[]) => ids.toSorted(nodePgMigrate.compare)

  test('by the number, not by the text', () => {
    expect(sorted('10_x', '2_x', '0001_x')).toEqual(['0001_x', '2_x', '10_x'])
  })

  test('17 digits are a time in UTC and stand beside epoch times in ms', () => {
    // 1704110400000 is 2024-01-01T12:00:00Z
    expect(sorted('20240101120000001_c', '1704110400002_d', '20240101115959999_a', '1704110400000_b')).toEqual([
      '20240101115959999_a',
      '1704110400000_b',
      '20240101120000001_c',
      '1704110400002_d',
    ])
  })

  test('the same number: by the name with its extension, without punctuation, digits as numbers', () => {
    expect(sorted('1_part10', '1_part9')).toEqual(['1_part9', '1_part10'])
    // "1ab.sql" is before "1asql" once points and underscores are left out
    expect(sorted('1_a', '1_a_b')).toEqual(['1_a_b', '1_a'])
  })

  test('numbers of more digits than a double holds keep their order', () => {
    expect(sorted('90071992547409930_b', '90071992547409920_a', '900719925474099301_c')).toEqual([
      '90071992547409920_a',
      '90071992547409930_b',
      '900719925474099301_c',
    ])
    expect(sorted('100000000000000000001_b', '100000000000000000000_a')).toEqual([
      '100000000000000000000_a',
      '100000000000000000001_b',
    ])
  })

  test('is that in which files are read', () => {
    write({ '10_c.sql': '', '9_b.sql': '', '1_a.sql': '' })
    expect(read().map(({ id }) => id)).toEqual(['1_a', '9_b', '10_c'])
  })
})

describe('sections', () => {
  test('up and down, each from its marker to the other', () => {
    const file = only('-- a table\n-- Up Migration\ncreate table a ();\n\n-- Down Migration\ndrop table a;\n')
    expect([file.text, file.line]).toEqual(['-- Up Migration\ncreate table a ();\n', 2])
    expect(file.down?.()).toEqual({
      path: join(dir(), '1_a.sql'),
      text: '\n-- Down Migration\ndrop table a;\n',
      line: 4,
      transactional: true,
    })
  })

  test('down may come first', () => {
    const file = only('-- Down Migration\ndrop table a;\n-- Up Migration\ncreate table a ();\n')
    expect([file.text, file.line]).toEqual(['-- Up Migration\ncreate table a ();\n', 3])
    expect(file.down?.().text).toBe('-- Down Migration\ndrop table a;\n')
  })

  test.each(['--up migration', '  ---- UP \t Migration', '-- - up migration of users'])('%s is a marker', (line) => {
    expect(only(`select 0;\n${line}\nselect 1;`).text).toBe(`${line}\nselect 1;`)
  })

  test.each(['-- upmigration', '-- the up migration', 'select 1; -- up migration'])('%s is none', (line) => {
    const text = `select 0;\n${line}\nselect 1;`
    expect(only(text).text).toBe(text)
  })

  test('without markers the whole file is run, and nothing undoes it', () => {
    const file = only('create table a ();\r\n')
    expect(file.text).toBe('create table a ();\r\n')
    expect(file.down).toBeUndefined()
    expect(file.sha256).toBe(checksum('create table a ();\n'))
  })

  test('only the first marker of a direction counts', () => {
    const file = only('-- up migration\nselect 1;\n-- up migration\nselect 2;\n-- down migration\nselect 3;')
    expect(file.text).toContain('select 2')
    expect(file.text).not.toContain('select 3')
  })

  test('a file with only a Down marker would undo itself, and is refused', () => {
    write({ '1_a.sql': 'create table a ();\n\n-- Down Migration\ndrop table a;\n' })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining('undo itself'),
      hint: 'add a line `-- Up Migration` above the first statement',
      place: { file: join(dir(), '1_a.sql'), line: 2 },
    })
  })

  test('… unless nothing is below it', () => {
    expect(only('create table a ();\n-- Down Migration\n\n-- nothing\n').text).toContain('create table a')
  })

  test('every file is sent as one transaction: there is no directive', () => {
    expect(only('-- no-transaction\nselect 1').transactional).toBe(true)
  })

  test('a byte order mark is not sent', () => {
    expect(only('\uFEFF-- Up Migration\nselect 1').text).toBe('-- Up Migration\nselect 1')
  })
})

describe('new files', () => {
  const now = new Date('2026-11-21T10:11:12.345Z')
  const create = (name: string, ...names: string[]) => {
    write(Object.fromEntries(names.map((name) => [name, ''])))
    return nodePgMigrate.create(name, { now, files: read(), reversible: false })
  }

  test('have an epoch time in ms, dashes, and both markers', () => {
    expect(create('add user_email')).toEqual([
      { file: '1795255872345_add-user-email.sql', text: '-- Up Migration\n\n-- Down Migration' },
    ])
  })

  test.each([
    ['a count', '0009_a.sql', '0010_x.sql'],
    ['a time in UTC', '20240101120000000_a.sql', '20261121101112345_x.sql'],
    ['a time in UTC that has not come', '20990101120000000_a.sql', '20990101120000001_x.sql'],
    ['an epoch time', '1700000000000_a.sql', '1795255872345_x.sql'],
    ['an epoch time that has not come', '1895255872345_a.sql', '1895255872346_x.sql'],
  ])('continue a folder that numbers with %s', (_, there, file) => {
    expect(create('x', there)[0]?.file).toBe(file)
  })

  test.each(['x.up', 'x.down', 'a/b', ''])('refuse the name "%s"', (name) => {
    expect(() => create(name)).toThrow('cannot be the name of a migration')
  })
})

test('its lock is the one of its command line', () => {
  expect(nodePgMigrate.native?.lockKey?.({ database: 'shop', schema: 'public', table: 'pgmigrations' })).toBe(
    7241865325823964n,
  )
})

test('its check of the order makes a lower file and a missing one errors; it never sees a change', () => {
  expect(nodePgMigrate.policy).toEqual({ outOfOrder: 'error', missing: 'error', edited: 'warn' })
})
