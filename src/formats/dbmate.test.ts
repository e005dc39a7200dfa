import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { checksum } from './checksum.ts'
import { dbmate } from './dbmate.ts'

const { dir, write, read, only, refusal } = formatFolder(dbmate, { refuse: true })

const pair = (up = '', down = '') => `-- migrate:up\n${up}\n-- migrate:down\n${down}\n`
const names = () => read().map(({ name }) => name)

describe('names', () => {
  test('a version is the leading digits as a string: 1 and 0001 are two', () => {
    write({
      '1_a.sql': pair(),
      '0001_b.sql': pair(),
      '20260101120000_c.sql': pair(),
      '3.sql': pair(),
      '4x-y.sql': pair(),
    })
    expect(read().map(({ id, name, checksum }) => [id, name, checksum])).toEqual([
      ['0001', '0001_b', null],
      ['1', '1_a', null],
      ['20260101120000', '20260101120000_c', null],
      ['3', '3', null],
      ['4', '4x-y', null],
    ])
  })

  test('the order is that of the file names, not of the numbers', () => {
    write({
      '2_x.sql': pair(),
      '10_x.sql': pair(),
      '1_x.sql': pair(),
      '3\u{ff5e}.sql': pair(),
      '30\u{1f600}.sql': pair(),
    })
    expect(names()).toEqual(['10_x', '1_x', '2_x', '30\u{1f600}', '3\u{ff5e}'])
    expect(['2', '10', '1', '20'].sort(dbmate.compare)).toEqual(['10', '1', '20', '2'])
    expect(dbmate.compare('1', '0001')).toBe(1)
    expect(dbmate.compare('1', '1')).toBe(0)
  })

  test('other files are ignored', () => {
    write({ '1_a.sql': pair(), 'schema.sql': 'x', '2_b.SQL': 'x', '3_c.txt': 'x', v4_d: 'x' })
    expect(names()).toEqual(['1_a'])
  })

  test('skips names that start with a dot, as in a mounted ConfigMap, and follows links', () => {
    mkdirSync(join(dir(), '..2026_01_01'))
    writeFileSync(join(dir(), '..2026_01_01', '1_a.sql'), pair())
    symlinkSync('..2026_01_01', join(dir(), '..data'))
    symlinkSync(join('..data', '1_a.sql'), join(dir(), '1_a.sql'))
    expect(names()).toEqual(['1_a'])
  })

  test('two files of one version are refused: dbmate would fail at the second, or never run it', () => {
    write({ '1_a.sql': pair(), '1_b.sql': pair() })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `1_a.sql and 1_b.sql in ${dir()} have the same version 1`,
      place: { file: join(dir(), '1_b.sql') },
    })
  })
})

describe('sections', () => {
  test('are exact slices of the file, with their directives and the lines they begin in', () => {
    const text = '-- users\n\n-- migrate:up\ncreate table a ();\n\n-- migrate:down\ndrop table a;\n'
    const file = only(text)
    expect(file).toMatchObject({
      path: join(dir(), '1_a.sql'),
      text: '-- migrate:up\ncreate table a ();\n\n',
      line: 3,
      transactional: true,
      sha256: checksum(text),
    })
    expect(file.down?.()).toEqual({
      path: join(dir(), '1_a.sql'),
      text: '-- migrate:down\ndrop table a;\n',
      line: 6,
      transactional: true,
    })
  })

  test.each([
    '--migrate:up',
    '--\tmigrate:up',
    '--   migrate:up',
    '-- migrate:up  ',
    '-- migrate:up foo',
  ])('"%s" begins one', (up) => {
    expect(only(`${up}\nselect 1;\n-- migrate:down\n`).text).toBe(`${up}\nselect 1;\n`)
  })

  test.each([
    '-- MIGRATE:UP',
    ' -- migrate:up',
    '-- migrate:upwards',
    '--\u00a0migrate:up',
    '-- migrate: up',
    '/* migrate:up */',
  ])('"%s" does not', (up) => {
    write({ '1_a.sql': `${up}\n-- migrate:down\n` })
    expect(refusal()).toMatchObject({ kind: 'usage', message: `${join(dir(), '1_a.sql')} has no \`-- migrate:up\`` })
  })

  test('may be empty', () => {
    expect(only('-- migrate:up\n-- migrate:down').text).toBe('-- migrate:up\n')
  })

  test('Windows line ends stay as they are', () => {
    const file = only('-- migrate:up transaction:false\r\nselect 1;\r\n-- migrate:down\r\nselect 2;\r\n')
    expect(file).toMatchObject({
      text: '-- migrate:up transaction:false\r\nselect 1;\r\n',
      line: 1,
      transactional: false,
    })
    expect(file.down?.()).toMatchObject({ text: '-- migrate:down\r\nselect 2;\r\n', line: 3 })
  })

  test('a byte order mark before the first is left out', () => {
    expect(only(`\ufeff${pair('select 1;')}`).text).toBe('-- migrate:up\nselect 1;\n')
  })

  test.each([
    ['a file without up', '-- nothing\n', 1, 'has no `-- migrate:up`'],
    ['a file without down', '\n-- migrate:up\n', 2, 'has no `-- migrate:down`'],
    ['down before up', '-- migrate:down\n-- migrate:up\n', 1, 'has `-- migrate:down` before `-- migrate:up`'],
    [
      'a statement before up',
      '-- x\nselect 1;\n-- migrate:up\n-- migrate:down\n',
      2,
      'has a statement before `-- migrate:up`, in line 2',
    ],
    [
      'a block comment before up',
      '/* x */\n-- migrate:up\n-- migrate:down\n',
      1,
      'has a statement before `-- migrate:up`, in line 1',
    ],
    ['a second down', `${pair()}-- migrate:down\n`, 5, 'has a second `-- migrate:down` in line 5'],
    [
      'down in a string',
      "-- migrate:up\nselect '\n-- migrate:down\n';\n-- migrate:down\n",
      5,
      'has a second `-- migrate:down` in line 5',
    ],
    ['a second up', '-- migrate:up\n-- migrate:up\n-- migrate:down\n', 2, 'has a second `-- migrate:up` in line 2'],
  ])('%s is refused', (_, text, line, message) => {
    write({ '1_a.sql': text })
    const found = refusal()
    expect(found).toMatchObject({ kind: 'usage', place: { file: join(dir(), '1_a.sql'), line, column: 1 } })
    expect(found.message).toContain(`${join(dir(), '1_a.sql')} ${message}`)
    expect(found.hint).toBeTruthy()
  })

  test('several pairs are refused, naming the second: dbmate would apply one and record the file', () => {
    write({ '1_a.sql': `${pair('select 1;')}${pair('select 2;')}` })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `${join(dir(), '1_a.sql')} has a second \`-- migrate:up\` in line 5`,
      hint: expect.stringContaining('put each pair of sections into its own file'),
      place: { line: 5 },
    })
  })
})

describe('transaction:false', () => {
  test.each([
    ['-- migrate:up transaction:false', false],
    ['-- migrate:up foo:bar  transaction:false x', false],
    ['-- migrate:up transaction:true transaction:false', false],
    ['-- migrate:up transaction:false transaction:true', true],
    ['-- migrate:up transaction:FALSE', true],
    ['-- migrate:up transaction: false', true],
    ['-- migrate:up transaction:false:now', true],
    ['-- migrate:up Transaction:false', true],
    ['-- migrate:up\n-- transaction:false', true],
  ])('"%s": %s', (up, transactional) => {
    expect(only(`${up}\nselect 1;\n-- migrate:down\n`).transactional).toBe(transactional)
  })

  test('counts for its own section', () => {
    const up = only('-- migrate:up transaction:false\n-- migrate:down\n')
    expect([up.transactional, up.down?.().transactional]).toEqual([false, true])
    const down = only('-- migrate:up\n-- migrate:down transaction:false\n')
    expect([down.transactional, down.down?.().transactional]).toEqual([true, false])
  })
})

describe('create', () => {
  const now = new Date('2026-03-01T12:34:56.789Z')
  const created = () => dbmate.create('add email', { now, files: read(), reversible: false })

  test('writes what `dbmate new` writes', () => {
    expect(created()).toEqual([
      { file: '20260301123456_add_email.sql', text: '-- migrate:up\n\n\n-- migrate:down\n\n' },
    ])
  })

  test('goes on counting where the number sorts last, else takes the time', () => {
    write({ '001_a.sql': pair(), '002_b.sql': pair() })
    expect(created()).toMatchObject([{ file: '003_add_email.sql' }])
    write({ '9_c.sql': pair() })
    expect(created()).toMatchObject([{ file: '20260301123456_add_email.sql' }])
  })

  test('the file can be read', () => {
    write(Object.fromEntries(created().map(({ file, text }) => [file, text])))
    expect(names()).toEqual(['20260301123456_add_email'])
  })
})

test('does as the tool does: lower files are applied, files may be gone, and it keeps no checksum', () => {
  expect(dbmate.policy).toEqual({ outOfOrder: 'apply', missing: 'warn', edited: 'warn' })
  expect(dbmate.native?.lockKey).toBeUndefined()
  expect(dbmate.native?.start).toBeUndefined()
})
