// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how goose writes variables
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { checksum } from './checksum.ts'
import type { ReadOptions } from './format.ts'
import { goose } from './goose.ts'

const options: ReadOptions = { placeholders: {}, database: 'shop', user: 'app', environment: { NAME: 'shop' } }
const { dir, write, read, refusal, ...folder } = formatFolder(goose, { ...options, refuse: true })
const only = (...lines: string[]) => folder.only(lines.join('\n'))
const up = '-- +goose Up\n'

describe('names', () => {
  test('a version is the number before the first underscore, and the order that of the numbers', () => {
    write({ '10_b.sql': up, '00002_c_1.sql': up, '1_.sql': up, '20260101120000_d.sql': up })
    expect(read().map(({ id, name, checksum }) => [id, name, checksum])).toEqual([
      ['1', '1_', null],
      ['2', '00002_c_1', null],
      ['10', '10_b', null],
      ['20260101120000', '20260101120000_d', null],
    ])
    expect(['10', '9007199254740993', '2', '9007199254740992'].sort(goose.compare)).toEqual([
      '2',
      '10',
      '9007199254740992',
      '9007199254740993',
    ])
  })

  test('other files are ignored, and Go files that are no migrations', () => {
    write({
      '1_a.sql': up,
      'README.md': '',
      '2_b.SQL': '',
      'helpers.go': '',
      'x_helpers.go': '',
      '3_c_test.go': '',
      '4_d.txt': '',
    })
    expect(read()).toHaveLength(1)
  })

  test('a migration in Go is a migration that cannot be applied, never skipped', () => {
    write({ '1_a.sql': up, '00002_b.go': 'package migrations' })
    expect(goose.read(dir(), options)).toMatchObject([
      { id: '1' },
      {
        ...{ id: '2', name: '00002_b.go', text: '' },
        refused: {
          kind: 'usage',
          message: `${join(dir(), '00002_b.go')} is a migration in Go, which only a program that was built with it can run`,
          place: { file: join(dir(), '00002_b.go') },
        },
      },
    ])
  })

  test.each([
    'a.sql',
    '1.sql',
    '0_a.sql',
    '00000_a.sql',
    '-1_a.sql',
    '9223372036854775808_a.sql',
    '1a_b.sql',
  ])('%s, without a version, is refused', (file) => {
    write({ [file]: up })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { file: join(dir(), file) } })
    expect(refusal().message).toContain('has no version')
  })

  test('two files of one version are refused', () => {
    write({ '1_a.sql': up, '001_b.sql': up })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `001_b.sql and 1_a.sql in ${dir()} have the same version 1`,
    })
  })
})

describe('sections', () => {
  test('are slices of the file, with the lines they begin in', () => {
    const text = '-- users\n-- +goose Up\n-- here\nselect 1;\n\n-- +goose Down\nselect 2;\n'
    const file = only(text)
    expect(file).toMatchObject({
      path: join(dir(), '1_a.sql'),
      text: '-- here\nselect 1;\n\n',
      line: 3,
      transactional: true,
      sha256: checksum(text),
    })
    expect(file.down?.()).toEqual({ path: join(dir(), '1_a.sql'), text: 'select 2;\n', line: 7, transactional: true })
    expect(file).not.toHaveProperty('shown')
    expect(file).not.toHaveProperty('hasDown')
  })

  test.each([
    '-- +goose Up',
    '--+goose up',
    '--   +goose   UP  ',
    '--+goose--Up',
    '-- Up +goose',
  ])('"%s" begins one', (line) => {
    expect(only(line, 'select 1;').text).toBe('select 1;')
  })

  test('Down is optional, and may be empty', () => {
    expect(only('-- +goose Up', 'select 1;').down).toBeUndefined()
    expect(only('-- +goose Up', 'select 1;', '-- +goose Down').down?.().text).toBe('')
  })

  test('line ends become line feeds, as goose sends them', () => {
    const file = only('-- +goose Up\r', 'select 1;\r', '-- +goose Down\r', 'select 2;\r', '')
    expect([file.text, file.down?.().text]).toEqual(['select 1;\n', 'select 2;\n'])
  })

  test('a byte order mark is removed', () => {
    expect(only('\ufeff-- +goose Up', 'select 1;').text).toBe('select 1;')
  })

  test('NO TRANSACTION counts wherever it is, for both directions', () => {
    for (const lines of [
      ['-- +goose NO TRANSACTION', '-- +goose Up', 'select 1;', '-- +goose Down'],
      ['-- +goose Up', 'select 1;', '-- +goose Down', 'select 2;', '-- +goose no transaction'],
    ]) {
      const file = only(...lines)
      expect([file.transactional, file.down?.().transactional]).toEqual([false, false])
    }
  })
})

describe('statements', () => {
  test('end at the end of a line, where a comment may follow a blank', () => {
    const lines = ['select 1; select 2; -- two', 'select', '-- inner;', '3 ;', ';']
    expect(only('-- +goose Up', ...lines).text).toBe(lines.join('\n'))
  })

  test.each([
    ['at the end', ['-- +goose Up', 'select 1;', '', 'select 2', ''], 4],
    ['before Down', ['-- +goose Up', 'select 1', '-- +goose Down'], 2],
    ['with a comment right after the semicolon', ['-- +goose Up', 'select 1;--x'], 2],
    ['with a comment after a line of blanks', ['-- +goose Up', 'select 1;', '  ', '-- end'], 4],
    [
      'in a function without a block',
      ['-- +goose Up', 'create function f() as $$', 'begin', 'end $$', 'language plpgsql'],
      2,
    ],
  ])('a missing semicolon is refused %s', (_, lines, line) => {
    write({ '1_a.sql': lines.join('\n') })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `line ${line} of ${join(dir(), '1_a.sql')} starts a statement that has no end for goose`,
      place: { file: join(dir(), '1_a.sql'), line, column: 1 },
    })
  })

  test('what is wrong downwards is said when it is needed', () => {
    const file = only('-- +goose Up', 'select 1;', '-- +goose Down', 'select 2')
    expect(file.text).toBe('select 1;\n')
    expect(refusal(() => file.down?.())).toMatchObject({ kind: 'usage', place: { line: 4 } })
  })

  test('a block without a semicolon gets one, so that the next is not part of it', () => {
    const block = (...lines: string[]) => ['-- +goose StatementBegin', ...lines, '-- +goose StatementEnd']
    const text = (...lines: string[]) => only('-- +goose Up', ...block(...lines), 'select 2;').text.split('\n')
    expect(text('select 1')).toEqual([...block('select 1').slice(0, -1), '; -- +goose StatementEnd', 'select 2;'])
    expect(text('select 1 -- ;')).toContain('; -- +goose StatementEnd')
    expect(text('select 1;', '')).toContain('-- +goose StatementEnd')
  })

  test('a block holds semicolons, and annotations within a statement are taken out of it', () => {
    const file = only(
      '-- +goose Up',
      '-- +goose StatementBegin',
      'do $$ begin',
      '-- +goose NO TRANSACTION',
      '  perform 1;',
      'end $$;',
      '-- +goose StatementEnd',
    )
    expect(file.text.split('\n')).toEqual([
      '-- +goose StatementBegin',
      'do $$ begin',
      '  perform 1;',
      'end $$;',
      '-- +goose StatementEnd',
    ])
    expect(file.transactional).toBe(false)
  })

  test('an empty block is fine, but goose would skip the line after it', () => {
    const empty = ['-- +goose Up', '-- +goose StatementBegin', '-- +goose StatementEnd', '']
    expect(only(...empty, '-- +goose Down').text).toBe('-- +goose StatementBegin\n-- +goose StatementEnd\n\n')
    write({ '1_a.sql': [...empty, 'select 1;'].join('\n') })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { line: 5 } })
  })
})

describe('annotations that goose refuses', () => {
  test.each([
    ['prose that mentions goose', ['-- +goose Up', '-- see +goose docs'], 2],
    ['an unknown one', ['-- +goose Up', '-- +goose Sideways'], 2],
    ['an empty one', ['-- +goose Up', '-- +goose'], 2],
    ['two at once', ['-- +goose Up', '-- +goose NO TRANSACTION +goose'], 2],
    ['two blanks in NO TRANSACTION', ['-- +goose Up', '-- +goose NO  TRANSACTION'], 2],
    ['one that is indented', [' -- +goose Up'], 1],
    ['one after a tab', ['-- +goose Up', '\t-- +goose Down'], 2],
    ['a second Up', ['-- +goose Up', '-- +goose Up'], 2],
    ['Down first', ['-- +goose Down', '-- +goose Up'], 1],
    ['a second Down', ['-- +goose Up', '-- +goose Down', '-- +goose Down'], 3],
    ['Down within a block', ['-- +goose Up', '-- +goose StatementBegin', '-- +goose Down'], 3],
    ['a block before Up', ['-- +goose StatementBegin'], 1],
    ['a block within another', ['-- +goose Up', '-- +goose StatementBegin', '-- +goose StatementBegin'], 3],
    ['an end without a beginning', ['-- +goose Up', '-- +goose StatementEnd'], 2],
    ['a beginning without an end', ['-- +goose Up', '-- +goose StatementBegin', 'select 1;'], 3],
    ['a statement before Up', ['-- x', 'select 1;', '-- +goose Up'], 2],
    ['no Up', ['-- x', ''], 1],
  ])('%s', (_, lines, line) => {
    write({ '1_a.sql': lines.join('\n') })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { file: join(dir(), '1_a.sql'), line, column: 1 } })
    expect(refusal().hint).toBeTruthy()
  })

  test('a line that does not fit its buffer', () => {
    const longest = `select '${'x'.repeat(4 * 1024 * 1024 - 11)}';`
    expect(only('-- +goose Up', longest).text).toHaveLength(4 * 1024 * 1024 - 1)
    write({ '1_a.sql': `-- +goose Up\n${longest} ` })
    expect(refusal()).toMatchObject({ kind: 'usage', place: { line: 2 } })
  })
})

describe('ENVSUB', () => {
  test('fills statements between ON and OFF, and shows people the file', () => {
    const file = only(
      '-- +goose ENVSUB ON',
      '-- +goose Up',
      '-- costs $5',
      'create table $NAME ();',
      '-- +goose ENVSUB OFF',
      "select '$NAME';",
      '-- +goose Down',
      "select '$NAME';",
      '-- +goose ENVSUB ON',
      'drop table ${NAME};',
    )
    expect(file.text).toBe("-- costs $5\ncreate table shop ();\n-- +goose ENVSUB OFF\nselect '$NAME';\n")
    expect(file.shown).toBe(file.text.replace('table shop', 'table $NAME'))
    expect(file.down?.()).toMatchObject({ text: "select '$NAME';\n-- +goose ENVSUB ON\ndrop table shop;", line: 8 })
  })

  test('the checksum is that of the file, whatever the variables are', () => {
    const lines = ['-- +goose ENVSUB ON', '-- +goose Up', "select '$NAME';"]
    expect(only(...lines).sha256).toBe(checksum(lines.join('\n')))
  })

  test('may begin within a statement', () => {
    const file = only('-- +goose Up', 'select', '-- +goose ENVSUB ON', '$NAME;')
    expect(file.text).toBe('select\nshop;')
  })

  test('a variable that cannot be substituted is refused, without its value', () => {
    write({ '1_a.sql': '-- +goose ENVSUB ON\n-- +goose Up\nselect 1,\n  ${OTHER?not $NAME};' })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `line 4 of ${join(dir(), '1_a.sql')} has a variable that cannot be substituted: $OTHER: not `,
      place: { line: 4 },
    })
  })
})

describe('create', () => {
  const now = new Date('2026-03-01T12:34:56.789Z')
  const created = (name = 'AddEmail to.users') => goose.create(name, { now, files: read(), reversible: false })

  test('writes what `goose create` writes', () => {
    expect(created()).toEqual([
      {
        file: '20260301123456_addemail_to_users.sql',
        text: `-- +goose Up
-- +goose StatementBegin
SELECT 'up SQL query';
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
SELECT 'down SQL query';
-- +goose StatementEnd
`,
      },
    ])
  })

  test('goes on counting in a folder that counts', () => {
    write({ '00001_a.sql': up, '00009_b.sql': up })
    expect(created('_-x__y.')).toMatchObject([{ file: '00010_x_y_.sql' }])
  })

  test('the file can be read', () => {
    write(Object.fromEntries(created().map(({ file, text }) => [file, text])))
    expect(read()[0]?.text).toContain('up SQL query')
    expect(read()[0]?.down?.().text).toContain('down SQL query')
  })
})

test('does as the tool does: a lower file is an error, files may be gone, and it keeps no checksum', () => {
  expect(goose.policy).toEqual({ outOfOrder: 'error', missing: 'warn', edited: 'warn' })
  expect(goose.native?.start).toBeUndefined()
})

test('the lock key is that of its session locker', () => {
  expect(goose.native?.lockKey?.({ database: 'a', schema: 'b', table: 'c' })).toBe(4097083626n)
  expect(crc32('goose')).toBe(4097083626)
})
