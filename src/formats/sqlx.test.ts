import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { sqlx } from './sqlx.ts'
import { sqlxHistory } from './sqlx-history.ts'

const now = new Date('2025-08-29T02:49:19.123Z')
const { dir, write, read, refusal } = formatFolder(sqlx)

describe('names', () => {
  test('reads a plain file: version, name, description', () => {
    write({ '20250829024919_create_users_table.sql': 'create table users ();\n' })
    expect(read()).toMatchObject([
      {
        id: '20250829024919',
        name: '20250829024919_create_users_table',
        kind: 'versioned',
        text: 'create table users ();\n',
        line: 1,
        transactional: true,
        native: { description: 'create users table', reversible: false },
      },
    ])
    expect(read()[0]?.down).toBeUndefined()
  })

  test('reads a pair, whose name and description leave .up out', () => {
    write({
      '1_users.up.sql': 'create table users ()',
      '1_users.down.sql': '-- no-transaction\ndrop table users',
    })
    const [users] = read()
    expect(users).toMatchObject({ name: '1_users', text: 'create table users ()', transactional: true })
    expect(users?.native).toEqual({ description: 'users', reversible: true })
    expect(users?.down?.()).toEqual({
      path: join(dir(), '1_users.down.sql'),
      text: '-- no-transaction\ndrop table users',
      line: 1,
      transactional: false,
    })
  })

  test('orders by version as 64-bit numbers, with leading zeros and signs as Rust reads them', () => {
    write({
      '10_c.sql': '',
      '0009_b.sql': '',
      '9007199254740993_e.sql': '',
      '9007199254740992_d.sql': '',
      '-1_a.sql': '',
      '+11_x.sql': '',
    })
    expect(read().map(({ id }) => id)).toEqual(['-1', '9', '10', '11', '9007199254740992', '9007199254740993'])
    expect(sqlx.compare('9007199254740992', '9007199254740993')).toBeLessThan(0)
    expect(sqlx.compare('10', '9')).toBeGreaterThan(0)
    expect(sqlx.compare('7', '7')).toBe(0)
  })

  test('takes the ending away as often as it is there, as Rust does', () => {
    write({ '1_a.sql.sql': '', '2_b.up.sql.up.sql': '', '3_.sql': '' })
    expect(read().map(({ native }) => native.description)).toEqual(['a', 'b', ''])
  })

  test('skips folders, and names without underscore or .sql or with a dot at the start', async () => {
    write({
      'README.md': '',
      '1.sql': '',
      'seed.sql': '',
      '2_b.sql.bak': '',
      '3_c.SQL': '',
      '.4_d.sql': '',
      '5_e.sql': '',
    })
    await mkdir(join(dir(), '6_f.sql'))
    expect(read().map(({ name }) => name)).toEqual(['5_e'])
  })

  test('follows the links of a mounted ConfigMap', async () => {
    await mkdir(join(dir(), '..data'))
    await writeFile(join(dir(), '..data', '1_a.sql'), 'select 1')
    await symlink('..data/1_a.sql', join(dir(), '1_a.sql'))
    expect(read().map(({ name, text }) => [name, text])).toEqual([['1_a', 'select 1']])
  })

  test.each([
    'x1_a.sql',
    '_a.sql',
    '1.5_a.sql',
    '9223372036854775808_a.sql',
    '0x1_a.sql',
  ])('refuses %s, as sqlx does', (name) => {
    write({ [name]: '' })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { file: join(dir(), name) } })
  })

  test.each([
    ['1_a.sql', '1_b.sql'],
    ['1_a.sql', '01_a.up.sql'],
    ['1_a.up.sql', '1_b.up.sql'],
  ])('refuses %s beside %s: one version, two files', (one, other) => {
    write({ [one]: '', [other]: '' })
    expect(refusal()).toMatchObject({ kind: 'usage', message: expect.stringContaining('have the same version 1') })
  })

  test('refuses two down files of one version', () => {
    write({ '1_a.up.sql': '', '1_a.down.sql': '', '1_b.down.sql': '' })
    expect(refusal().message).toBe(`1_a.down.sql and 1_b.down.sql in ${dir()} have the same version 1`)
  })

  test('takes a down file beside a plain one, and ignores one alone', () => {
    write({ '1_a.sql': 'select 1', '1_a.down.sql': 'select 2', '2_b.down.sql': 'select 3' })
    expect(read().map(({ id, down }) => [id, down?.().text])).toEqual([['1', 'select 2']])
  })
})

describe('-- no-transaction', () => {
  test.each([
    ['-- no-transaction\ncreate index concurrently i on t (a)', false],
    ['-- no-transaction, because', false],
    [' -- no-transaction\nselect 1', true],
    ['\n-- no-transaction\nselect 1', true],
    ['-- NO-TRANSACTION\nselect 1', true],
    ['--no-transaction\nselect 1', true],
    ['\uFEFF-- no-transaction\nselect 1', true],
  ])('counts only as the first bytes: %j', (text, transactional) => {
    write({ '1_a.sql': text })
    expect(read()[0]?.transactional).toBe(transactional)
  })
})

describe('checksum', () => {
  const vector = '732dd6fa554ee7cf2b12caa7de486d35b60326cbb0fadccc7c537fb9750917e293550610ebffcbd185284ce99600a267'

  test('is SHA-384 of the bytes of the file', () => {
    write({ '1_a.up.sql': 'select 1;\n', '1_a.down.sql': 'select 2;\n' })
    expect(read()[0]?.checksum).toBe(vector)
  })

  test('includes a byte order mark, which is not sent', () => {
    write({ '1_a.sql': '\uFEFFselect 1;\n' })
    expect(read()[0]).toMatchObject({ text: 'select 1;\n' })
    expect(read()[0]?.checksum).not.toBe(vector)
  })

  test('of a checkout with other line endings is accepted, that of another text is not', () => {
    write({ '1_a.sql': 'select 1;\r\n', '2_b.sql': 'select 1;\n', '3_c.sql': 'select 2;\n' })
    const [crlf, lf, other] = read()
    expect(crlf?.checksum).not.toBe(vector)
    expect(crlf?.accepts?.(vector)).toBe(true)
    expect(lf?.accepts?.(crlf?.checksum ?? '')).toBe(true)
    expect(other?.accepts?.(vector)).toBe(false)
  })

  test('needs UTF-8', () => {
    write({ '1_a.sql': Buffer.from([0x73, 0xe9]) })
    expect(refusal()).toMatchObject({ kind: 'usage', message: `${join(dir(), '1_a.sql')} is not UTF-8 text` })
  })
})

describe('lock key', () => {
  test.each([
    ['mydb', 293176876009260204n],
    ['matrixauthenticationservice', 1881340119163255118n],
  ])('of %s', (database, key) => {
    expect(sqlxHistory.lockKey?.({ database, schema: 'public', table: '_sqlx_migrations' })).toBe(key)
  })
})

describe('a new migration', () => {
  const create = (name = 'add email', reversible = false) => sqlx.create(name, { now, files: read(), reversible })

  test('has the time in UTC, and the text of sqlx-cli', () => {
    expect(create()).toEqual([{ file: '20250829024919_add_email.sql', text: '-- Add migration script here\n' }])
  })

  test('is a pair with --reversible', () => {
    expect(create('add email', true)).toEqual([
      { file: '20250829024919_add_email.up.sql', text: '-- Add up migration script here\n' },
      { file: '20250829024919_add_email.down.sql', text: '-- Add down migration script here\n' },
    ])
  })

  test('is a pair where the newest is one', () => {
    write({ '1_a.up.sql': '', '1_a.down.sql': '' })
    expect(create().map(({ file }) => file)).toEqual(['0002_add_email.up.sql', '0002_add_email.down.sql'])
  })

  test.each([
    [['0001_a.sql', '0002_b.sql'], '0003_x.sql'],
    [['1_a.sql'], '0002_x.sql'],
    [['3_a.sql'], '20250829024919_x.sql'],
    [['20250829024918_a.sql'], '20250829024919_x.sql'],
    [['20991231235959_a.sql'], '20991231235960_x.sql'],
  ])('after %j is %s', (names, expected) => {
    write(Object.fromEntries(names.map((name) => [name, ''])))
    expect(create('x')).toMatchObject([{ file: expected }])
  })

  test.each(['a.up', 'a.down', 'a/b', ''])('cannot be called %j', (name) => {
    expect(() => create(name)).toThrow(/cannot be the name of a migration/)
  })
})
