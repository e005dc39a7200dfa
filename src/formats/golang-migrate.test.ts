import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { checksum } from './checksum.ts'
import type { NativeRow } from './format.ts'
import { golangMigrate, golangMigrateLockKey } from './golang-migrate.ts'

const { dir, write, read, refusal } = formatFolder(golangMigrate)

describe('names', () => {
  test('a version is a number, and the order that of the numbers', () => {
    write({ '000010_b.up.sql': '', '2_c.up.sql': '', '0001_a.up.sql': '', '9007199254740993_d.up.sql': '' })
    expect(read().map(({ id, name, checksum }) => [id, name, checksum])).toEqual([
      ['1', '0001_a', null],
      ['2', '2_c', null],
      ['10', '000010_b', null],
      ['9007199254740993', '9007199254740993_d', null],
    ])
    expect(['10', '9007199254740993', '2', '9007199254740992'].sort(golangMigrate.compare)).toEqual([
      '2',
      '10',
      '9007199254740992',
      '9007199254740993',
    ])
  })

  test('any ending will do, the last direction counts, and other names are ignored', () => {
    write({
      '1_a.up.pgsql': 'select 1',
      '2_b.up.x.down.sql': 'select 2',
      '3_.up.': 'select 3',
      '4_d.sql': '',
      '5.up.sql': '',
      'x_1_a.up.sql': '',
      '6_e.UP.sql': '',
      'README.md': '',
    })
    expect(read().map(({ id, name, text }) => [id, name, text])).toEqual([
      ['1', '1_a', 'select 1'],
      ['2', '2_b.up.x', ''],
      ['3', '3_', 'select 3'],
    ])
  })

  test('one version and direction twice is refused', () => {
    write({ '1_a.up.sql': '', '001_b.up.sql': '', '001_b.down.sql': '' })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `001_b.up.sql and 1_a.up.sql in ${dir()} are both "up" of version 1`,
      place: { file: join(dir(), '1_a.up.sql') },
    })
  })

  test('a version that does not fit into the history is refused, not skipped', () => {
    write({ '9223372036854775807_a.up.sql': '' })
    expect(read()).toHaveLength(1)
    write({ '9223372036854775808_b.up.sql': '' })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { file: join(dir(), '9223372036854775808_b.up.sql') } })
  })
})

describe('files', () => {
  test('are whole, each its own script', () => {
    write({ '1_a.up.sql': 'begin;\r\nselect 1;\r\ncommit;\r\n', '1_other.down.sql': 'select 2;\n' })
    const [file] = read()
    expect(file).toMatchObject({
      path: join(dir(), '1_a.up.sql'),
      name: '1_a',
      text: 'begin;\r\nselect 1;\r\ncommit;\r\n',
      line: 1,
      transactional: true,
      sha256: checksum('begin;\nselect 1;\ncommit;\n'),
    })
    expect(file?.down?.()).toEqual({
      path: join(dir(), '1_other.down.sql'),
      text: 'select 2;\n',
      line: 1,
      transactional: true,
    })
  })

  test('a side that is missing is an empty migration upwards, and downwards nothing undoes it', () => {
    write({ '1_a.up.sql': 'select 1', '2_b.down.sql': 'select 2' })
    const [first, second] = read()
    expect(first?.down).toBeUndefined()
    expect(second).toMatchObject({
      id: '2',
      name: '2_b',
      text: '',
      path: join(dir(), '2_b.down.sql'),
      sha256: checksum(''),
    })
    expect(second?.down?.().text).toBe('select 2')
  })

  test('may be empty', () => {
    write({ '1_a.up.sql': ' \n', '1_a.down.sql': '' })
    const [file] = read()
    expect([file?.text, file?.down?.().text]).toEqual([' \n', ''])
  })
})

describe('what the one row means', () => {
  const row = (id: string, ok = true): NativeRow => ({
    id,
    name: id,
    kind: 'versioned',
    checksum: null,
    ok,
    appliedAt: null,
    durationMs: null,
    appliedBy: null,
  })
  const expanded = (...rows: NativeRow[]) =>
    golangMigrate.native?.expand?.(rows, read()).map(({ id, name, ok }) => [id, name, ok])
  beforeEach(() => write({ '01_a.up.sql': '', '02_b.up.sql': '', '10_c.up.sql': '' }))

  test('nothing: nothing is applied', () => expect(expanded()).toEqual([]))

  test('every file up to it is applied', () => {
    expect(expanded(row('2'))).toEqual([
      ['1', '01_a', true],
      ['2', '02_b', true],
    ])
  })

  test('a version without a file is there as well', () => {
    expect(expanded(row('3'))).toEqual([
      ['1', '01_a', true],
      ['2', '02_b', true],
      ['3', '3', true],
    ])
    expect(expanded(row('11'))?.at(-1)).toEqual(['11', '11', true])
  })

  test('only the newest is dirty', () => {
    expect(expanded(row('2', false))).toEqual([
      ['1', '01_a', true],
      ['2', '02_b', false],
    ])
  })

  test('-1 is the first file, whose `down` failed', () => {
    expect(expanded(row('-1', false))).toEqual([['1', '01_a', false]])
    expect(golangMigrate.native?.expand?.([row('-1', false)], [])).toEqual([row('-1', false)])
  })
})

describe('lock key', () => {
  test.each([
    [['database_name'], 1764327054n],
    [['database_name', 'schema_name_1'], 2453313553n],
    [['database_name', 'schema_name_1', 'schema_name_2'], 3743845847n],
    [['/mydb', 'public', 'schema_migrations'], 616192132n],
    [['mydb', 'public', 'schema_migrations'], 2103762914n],
    [['coder', 'public', 'schema_migrations'], 4187539795n],
  ] as [[string, ...string[]], bigint][])('of %j', (names, key) => {
    expect(golangMigrateLockKey(...names)).toBe(key)
  })

  test('is that of the command line', () => {
    const where = { database: 'mydb', schema: 'public', table: 'schema_migrations' }
    expect(golangMigrate.native?.lockKey?.(where)).toBe(616192132n)
  })
})

describe('create', () => {
  const now = new Date('2026-03-01T12:34:56.789Z')
  const created = () => golangMigrate.create('add email', { now, files: read(), reversible: false })

  test('writes the two empty files of `migrate create`', () => {
    expect(created()).toEqual([
      { file: '20260301123456_add_email.up.sql', text: '' },
      { file: '20260301123456_add_email.down.sql', text: '' },
    ])
  })

  test('goes on counting in a folder that counts', () => {
    write({ '000001_a.up.sql': '', '000009_b.down.sql': '' })
    expect(created()).toMatchObject([{ file: '000010_add_email.up.sql' }, { file: '000010_add_email.down.sql' }])
  })
})

test('skips nothing silently', () => {
  expect(golangMigrate.policy).toEqual({ outOfOrder: 'error', missing: 'error', edited: 'warn' })
})
