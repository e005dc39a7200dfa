import { describe, expect, test } from 'vitest'
import { checksum } from '../../formats/checksum.ts'
import { dbmate } from '../../formats/dbmate.ts'
import { flyway } from '../../formats/flyway.ts'
import { goose } from '../../formats/goose.ts'
import { graphileMigrate } from '../../formats/graphile-migrate.ts'
import { nodePgMigrate } from '../../formats/node-pg-migrate.ts'
import type { Migration } from '../../formats/types.ts'
import { convertFiles } from './convert.ts'

const file = (name: string, extra: Partial<Migration> = {}): Migration => ({
  ...{
    id: String(BigInt(/^\d+/.exec(name)?.[0] ?? 0)),
    name,
    kind: 'versioned',
    path: `${name}.sql`,
    text: 'select 1;\n',
    line: 1,
  },
  ...{ transactional: true, sha256: '', checksum: null, native: {} },
  ...extra,
})

const formats = { goose, dbmate, flyway, 'node-pg-migrate': nodePgMigrate, 'graphile-migrate': graphileMigrate }
type FormatName = keyof typeof formats

const convert = (files: Migration[], format: FormatName = 'goose', source = 'select 1;\n') =>
  convertFiles(files, { format: formats[format], sourceOf: () => source })
const names = (files: Migration[], format?: FormatName) => convert(files, format).files.map(({ file }) => file)
const textOf = (text: string, extra: Partial<Migration> = {}) =>
  convert([file('1_a', { text, ...extra })]).files[0]?.text

describe('versions', () => {
  test('stay as they are written where they are numbers in order', () => {
    expect(names([file('0009_a'), file('10_b'), file('20260101120000_c')])).toEqual([
      '0009_a.sql',
      '10_b.sql',
      '20260101120000_c.sql',
    ])
  })

  test.each<[string, Migration[], FormatName]>([
    ['are strings that are one number', [file('1_a', { id: '1' }), file('01_b', { id: '01' })], 'dbmate'],
    ['are in another order', [file('10_a', { id: '10' }), file('2_b', { id: '2' })], 'dbmate'],
    [
      'have parts',
      [
        file('V1.1__a', { id: '1.1', native: { version: '1.1', description: 'a' } }),
        file('V2__b', { id: '2', native: { version: '2', description: 'b' } }),
      ],
      'flyway',
    ],
    ['do not fit', [file('1_a', { id: '1' }), file('9223372036854775808_b', { id: '9223372036854775808' })], 'flyway'],
    ['are names', [file('5_a', { id: '5_a' }), file('7_b', { id: '7_b' })], 'node-pg-migrate'],
    [
      'are digits of a name',
      [file('000005-a', { id: '000005.sql' }), file('000007-b', { id: '000007.sql' })],
      'graphile-migrate',
    ],
  ])('are counted where they %s, and it is said', (_, files, format) => {
    const { files: written, converted, warnings } = convert(files, format)
    expect(written.map(({ file }) => file)).toEqual(['001_a.sql', '002_b.sql'])
    expect(converted.map(({ file }) => file.id)).toEqual(['1', '2'])
    expect(warnings).toEqual([expect.stringContaining(`${files[0]?.name} becomes 001_a`)])
  })

  test('have as many digits as their number needs', () => {
    const files = Array.from({ length: 1000 }, (_, i) => file(`${i}_x`, { id: `${i}_x` }))
    expect(names(files, 'node-pg-migrate').at(-1)).toBe('1000_x.sql')
    expect(names(files, 'node-pg-migrate')[0]).toBe('0001_x.sql')
  })
})

describe('names', () => {
  test.each([
    ['1_create users', '1_create_users.sql'],
    ['1', '1_migration.sql'],
    ['1_', '1_migration.sql'],
    ['1-add-índex', '1_add-_ndex.sql'],
    ['1_down', '1_down_migration.sql'],
    ['1_a.down', '1_a_down.sql'],
    [`1_${'x'.repeat(300)}`, `1_${'x'.repeat(180)}.sql`],
  ])('%s becomes %s', (name, expected) => {
    expect(names([file(name)])).toEqual([expected])
  })

  test('come from the description, where there is one', () => {
    expect(
      names([file('sub/V1__x', { id: '1', native: { version: '01', description: 'add email' } })], 'flyway'),
    ).toEqual(['01_add_email.sql'])
  })

  test('of repeatable files keep their order', () => {
    const repeatable = (description: string) =>
      file(`R__${description}`, { id: `R:${description}`, kind: 'repeatable', native: { version: null, description } })
    expect(names([repeatable('a'), repeatable('b c')], 'flyway')).toEqual(['repeatable/a.sql', 'repeatable/b_c.sql'])
    expect(names([repeatable('a b'), repeatable('a-b')], 'flyway')).toEqual([
      'repeatable/1_a_b.sql',
      'repeatable/2_a-b.sql',
    ])
  })
})

describe('texts', () => {
  test('are what is sent, with our checksum', () => {
    const { converted, files } = convert([file('1_a', { down: () => ({ ...file('1_a'), text: 'drop table a;' }) })])
    expect(files).toEqual([
      { file: '1_a.sql', text: 'select 1;\n' },
      { file: '1_a.down.sql', text: 'drop table a;' },
    ])
    expect(converted[0]?.file).toMatchObject({
      sha256: checksum('select 1;\n'),
      checksum: checksum('select 1;\n'),
      name: '1_a',
    })
  })

  test.each<[string, string, Partial<Migration>, string]>([
    [
      'our directive where the tool’s asks for it',
      'vacuum a;',
      { transactional: false },
      '-- pgbosun: no-transaction\nvacuum a;',
    ],
    [
      'none for a statement that needs none',
      'create index concurrently on a (b);',
      {},
      'create index concurrently on a (b);',
    ],
    ['none for nothing to run', '-- empty\n', { transactional: false }, '-- empty\n'],
    ['no BEGIN and COMMIT around all of it', 'begin;\nselect 1;\ncommit;', {}, '      \nselect 1;\n       '],
    [
      'the isolation level of BEGIN',
      'begin isolation level serializable;\nselect 1;\ncommit;',
      {},
      `set transaction isolation level serializable;${' '.repeat(35)}\nselect 1;\n       `,
    ],
    [
      'our directive for other transactions',
      'begin; select 1; commit; select 2;',
      {},
      '-- pgbosun: no-transaction\nbegin; select 1; commit; select 2;',
    ],
    ['rows of a COPY', 'copy a from stdin;\n1\n\\.\n', {}, 'copy a from stdin;\n1\n\\.\n'],
    [
      'rows of a COPY within a transaction',
      'begin;\ncopy a from stdin;\n1\n\\.\ncommit;\n',
      {},
      '      \ncopy a from stdin;\n1\n\\.\n       \n',
    ],
  ])('have %s', (_, text, extra, expected) => {
    expect(textOf(text, extra)).toBe(expected)
  })

  test('an empty down script is none', () => {
    expect(names([file('1_a', { down: () => ({ ...file('1_a'), text: ' \n' }) })])).toEqual(['1_a.sql'])
  })

  test.each([
    ['\\i other.sql', 'migration', 'contains the psql command \\i'],
    ['begin; select 1;', 'lint', 'begins a transaction and leaves it open'],
  ])('%s is refused', (text, kind, message) => {
    expect(() => textOf(text)).toThrow(expect.objectContaining({ kind, message: expect.stringContaining(message) }))
  })

  test('that values were put into are said', () => {
    const { warnings } = convert(
      [file('1_a', { text: "select 'x';", id: '1', native: { version: '1', description: 'a' } })],
      'flyway',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of Flyway
      "select '${x}';",
    )
    expect(warnings).toEqual([expect.stringMatching(/were written into 1_a: .* secret ones included/)])
    expect(convert([file('1_a', { shown: 'select' })]).warnings).toHaveLength(1)
    expect(convert([file('1_a')], 'flyway').warnings).toEqual([])
  })
})
