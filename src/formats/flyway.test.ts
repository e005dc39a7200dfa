// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are placeholders of Flyway

import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { beforeEach, describe, expect, test } from 'vitest'
import { formatFolder } from '../../test/support/format-folder.ts'
import { flyway } from './flyway.ts'
import { flywayChecksum, javaHash } from './flyway-checksum.ts'
import { flywayHistory } from './flyway-history.ts'
import { normalVersion } from './flyway-names.ts'
import type { ReadOptions } from './format.ts'
import type { Applied } from './types.ts'

const now = new Date('2025-08-29T02:49:19.123Z')
const { dir, write, read, ...folder } = formatFolder(flyway, { database: undefined, user: undefined })
const first = (options: Partial<ReadOptions> = {}) => {
  const [file] = read(options)
  if (!file) throw new Error('there is no migration')
  return file
}
const names = () => read().map(({ name }) => name)
const refusal = (options: Partial<ReadOptions> = {}) => folder.refusal(() => read(options))

describe('names', () => {
  test('reads version, description and script of a file in a folder', () => {
    write({ 'a/b/V1_01__create_users_table.sql': 'create table users ();\n' })
    expect(read()).toMatchObject([
      {
        id: '1.1',
        name: 'a/b/V1_01__create_users_table',
        kind: 'versioned',
        path: join(dir(), 'a/b/V1_01__create_users_table.sql'),
        text: 'create table users ();\n',
        line: 1,
        transactional: true,
        native: { version: '1.01', description: 'create users table', script: 'a/b/V1_01__create_users_table.sql' },
      },
    ])
  })

  test('reads a repeatable one, identified by its description', () => {
    write({ 'R__all_views.sql': 'select 1' })
    expect(read()).toMatchObject([
      { id: 'R:all views', kind: 'repeatable', native: { version: null, description: 'all views' } },
    ])
  })

  test('orders by version as numbers of any size wherever the files are, then repeatable ones by description', () => {
    write({
      'R__b.sql': '',
      'x/R__A.sql': '',
      'V10__f.sql': '',
      'V9.1__e.sql': '',
      'z/V1__a.sql': '',
      'V1_2__b.sql': '',
      'V1_10__c.sql': '',
      'V009__d.sql': '',
      'V99999999999999999999999__h.sql': '',
      'V99999999999999999999998__g.sql': '',
    })
    expect(read().map(({ id }) => id)).toEqual([
      ...['1', '1.2', '1.10', '9', '9.1', '10', '99999999999999999999998', '99999999999999999999999'],
      ...['R:A', 'R:b'],
    ])
  })

  test('compares versions like Flyway: 1 = 1.0 = 01', () => {
    expect(['1', '1.0', '01', '1.0.0', '001.00'].map(normalVersion)).toEqual(['1', '1', '1', '1', '1'])
    expect(['0', '0.0', '10', '1.10', '1.0.1', '007.050'].map(normalVersion)).toEqual([
      '0',
      '0',
      '10',
      '1.10',
      '1.0.1',
      '7.50',
    ])
    expect(flyway.compare('1.2', '1.10')).toBeLessThan(0)
    expect(flyway.compare('1.1', '1')).toBeGreaterThan(0)
    expect(flyway.compare('1', '1')).toBe(0)
    expect(flyway.compare('R:a', '9')).toBeGreaterThan(0)
    expect(flyway.compare('9', 'R:a')).toBeLessThan(0)
    expect(flyway.compare('R:a', 'R:b')).toBeLessThan(0)
  })

  test('a description may be missing, and is cut as the history has to cut it', () => {
    write({
      'V1.sql': '',
      'V2__.sql': '',
      [`V3__${'x'.repeat(201)}.sql`]: '',
      [`V4__${'x'.repeat(200)}.sql`]: '',
    })
    expect(read().map(({ native }) => native.description)).toEqual(['', '', `${'x'.repeat(197)}...`, 'x'.repeat(200)])
  })

  test('splits at the first two underscores, with any spelling of .sql', () => {
    write({ 'V1__a__b.SQL': '' })
    expect(read()).toMatchObject([{ name: 'V1__a__b', native: { description: 'a  b', script: 'V1__a__b.SQL' } }])
  })

  test.each([
    'V1_one_underscore.sql',
    'v1__a.sql',
    'V1.x__a.sql',
    'V__a.sql',
    'V1.__a.sql',
    'Readme.sql',
    'R1__a.sql',
    'a.sql',
    'V1__a.sql.bak',
    'V1__a.txt',
    '.V1__a.sql',
  ])('passes over %s, as Flyway does', (name) => {
    write({ [name]: 'select 1', 'V2__b.sql': '' })
    expect(names()).toEqual(['V2__b'])
  })

  test('follows the links of a mounted ConfigMap, and skips hidden folders', async () => {
    write({ '..2026_01_01/V1__a.sql': 'select 1', 'elsewhere/V2__b.sql': 'select 2' })
    await symlink('..2026_01_01', join(dir(), '..data'))
    await symlink('..data/V1__a.sql', join(dir(), 'V1__a.sql'))
    expect(names()).toEqual(['V1__a', 'elsewhere/V2__b'])
  })

  test('says that links go round in circles', async () => {
    await symlink('.', join(dir(), 'again'))
    expect(refusal()).toMatchObject({ kind: 'usage', message: expect.stringMatching(/cannot be read: ELOOP/) })
  })

  test.each([
    ['V1__a.sql', 'x/V1.0__b.sql', 'the version 1'],
    ['R__a_b.sql', 'x/R__a b.sql', 'the description "a b"'],
  ])('refuses %s beside %s', (one, other, what) => {
    write({ [one]: '', [other]: '' })
    expect(refusal()).toMatchObject({ kind: 'usage', message: expect.stringContaining(`both have ${what}`) })
  })
})

describe('baseline migrations', () => {
  const applied = (...rows: [id: string, name: string, status: Applied['status']][]): Applied[] =>
    rows.map(([id, name, status], i) => ({
      ...{ id, name, status, seq: i + 1, checksum: null, sha256: null, appliedAt: null },
      ...{ durationMs: null, appliedBy: null, toolVersion: null, progress: null },
    }))
  const chosen = (rows: Applied[]) => flyway.choose?.(read(), rows).map(({ id, name }) => `${id} ${name}`)
  const all = ['B3__base.sql', 'B2__old.sql', 'V1__a.sql', 'V2__b.sql', 'V3.0__c.sql', 'V3.1__d.sql', 'R__v.sql']

  beforeEach(() => write(Object.fromEntries(all.map((name) => [name, '']))))

  test('are read beside the versioned one of the same version, and create counts them', () => {
    expect(read().map(({ id, native }) => `${id} ${native.type}`)).toEqual([
      ...['1 SQL', 'B:2 SQL_BASELINE', '2 SQL', 'B:3 SQL_BASELINE', '3 SQL', '3.1 SQL', 'R:v SQL'],
    ])
  })

  test('begin a database without history: the newest, and what is above it', () => {
    expect(chosen([])).toEqual(['3 B3__base', '3.1 V3.1__d', 'R:v R__v'])
  })

  test('are none for a database with another history', () => {
    const others = ['1 V1__a', '2 V2__b', '3 V3.0__c', '3.1 V3.1__d', 'R:v R__v']
    expect(chosen(applied(['1', 'V1__a', 'applied']))).toEqual(others)
    expect(chosen(applied(['3', '<< Flyway Baseline >>', 'baseline']))).toEqual(others)
  })

  test.each(['baseline', 'started', 'failed'] as const)('stay with a database that began with one: %s', (status) => {
    expect(chosen(applied(['2', 'B2__old', status]))).toEqual(['2 B2__old', '3 V3.0__c', '3.1 V3.1__d', 'R:v R__v'])
  })

  test('two of one version are refused', () => {
    write({ 'x/B3.0__again.sql': '' })
    expect(refusal().message).toContain('both have the version 3.0')
  })
})

describe('what cannot be honoured', () => {
  test.each([
    ['U1__a.sql', 'undoes a migration'],
    ['beforeMigrate.sql', 'is a callback'],
    ['x/afterMigrate__grants.sql', 'is a callback'],
    ['afterEachMigrate.sql', 'is a callback'],
    ['beforeRepeatables.sql', 'is a callback'],
    ['afterMigrateError.sh', 'another language than SQL (.sh)'],
    ['V1__a.java', 'another language than SQL (.java)'],
    ['db/V1_1__A.class', 'another language than SQL (.class)'],
    ['R__a.py', 'another language than SQL (.py)'],
    ['V2__a.ps1', 'another language than SQL (.ps1)'],
  ])('%s is refused, naming it', (name, why) => {
    write({ 'V0__ok.sql': '', [name]: '' })
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(why),
      place: { file: join(dir(), name) },
      hint: expect.any(String),
    })
  })

  test('callbacks of commands that are never run, and names that only begin like one, are ignored', () => {
    write({
      'afterClean.sql': '',
      'beforeUndo.sql': '',
      'afterInfo__x.sql': '',
      'beforeMigrateAll.sql': '',
      'Backup.sh': '',
    })
    expect(read()).toEqual([])
  })

  test('a version that does not fit into the history is refused', () => {
    write({ [`V${'1'.repeat(51)}__a.sql`]: '' })
    expect(refusal().message).toContain('more than 50 characters')
  })
})

describe('checksum', () => {
  const text = 'CREATE TABLE a (id int);\nSELECT 1;\n'

  test.each([
    ['LF', text],
    ['CRLF', text.replaceAll('\n', '\r\n')],
    ['CR', text.replaceAll('\n', '\r')],
    ['byte order mark and CRLF', `\uFEFF${text.replaceAll('\n', '\r\n')}`],
    ['no newline at the end', text.trimEnd()],
  ])('is CRC-32 of the lines, signed: %s', (_, content) => {
    write({ 'V1__a.sql': content })
    expect(first().checksum).toBe('1455298515')
  })

  test('that early versions recorded, of the bytes, is accepted', () => {
    const old = 'alter table location_history add column valid_until timestamp with time zone;\n'
    write({ 'V1_1__add_column_location_history_valid_until.sql': old })
    expect(first().checksum).toBe('-1039259818')
    expect(first().accepts?.('-1340212107')).toBe(true)
    expect(first().accepts?.('-1340212108')).toBe(false)
    write({ 'V1_1__add_column_location_history_valid_until.sql': old.replace('\n', '\r\n') })
    expect(first().accepts?.('-1340212107')).toBe(true)
  })

  test('of a versioned file does not depend on placeholders, that of a repeatable one does', () => {
    const content = 'create view v as select ${what};\n'
    write({ 'V1__a.sql': content, 'R__a.sql': content })
    const [versioned, repeatable] = read({ placeholders: { what: '1' } })
    expect(versioned).toMatchObject({ text: 'create view v as select 1;\n', checksum: flywayChecksum(content) })
    expect(repeatable?.checksum).toBe(flywayChecksum('create view v as select 1;'))
    expect(repeatable?.accepts?.(flywayChecksum(content))).toBe(true)
    expect(repeatable?.accepts?.(flywayChecksum('create view v as select 2;'))).toBe(false)
  })

  test('counts in UTF-8', () => {
    expect(flywayChecksum('ä\n€')).toBe(String(crc32('ä€') | 0))
  })
})

describe('placeholders', () => {
  const replaced = (text: string, options: Partial<ReadOptions> = {}) => {
    write({ 'sub/V1__a.sql': text })
    return first(options).text
  }

  test('are replaced everywhere, their names in any case', () => {
    const text = '-- ${who}\nselect \'${WHO}\', "${Who}", $tag$${x}$tag$, ${who}${empty}'
    expect(replaced(text, { placeholders: { wHo: 'me', empty: '', x: 'no' } })).toBe(
      '-- me\nselect \'me\', "me", $tag$${x}$tag$, me',
    )
  })

  test.each([
    ['$${a}', '$${a}'],
    ['$$${a}', '$$1'],
    ['$x${a}', '$x1'],
    ['$1 ${a}', '$1 1'],
    ['$', '$'],
    ['{a} }', '{a} }'],
  ])('are recognised in %s as by Flyway', (text, expected) => {
    expect(replaced(`${text}-- \${a}`, { placeholders: { a: '1' } })).toBe(`${expected}-- 1`)
  })

  test('of Flyway itself are known as far as we know them', () => {
    const options = { database: 'shop', user: 'me', placeholders: { 'flyway:defaultSchema': 'app' } }
    expect(replaced('${flyway:database} ${flyway:user} ${flyway:filename}', options)).toBe('shop me V1__a.sql')
    expect(replaced('${flyway:table} ${flyway:environment} ${flyway:defaultSchema}', options)).toBe(
      'flyway_schema_history default app',
    )
    expect(replaced('${flyway:timestamp}')).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  })

  test.each([
    ['select 1;\n  select ${nobody}', 'nobody', 2, 10],
    ['ä${flyway:defaultSchema}', 'flyway:defaultSchema', 1, 2],
    ['${flyway:user}', 'flyway:user', 1, 1],
    ['select ${never closed\nselect 2', 'never closed', 1, 8],
  ])('without a value are refused with their place: %s', (text, name, line, column) => {
    write({ 'V1__a.sql': text })
    const path = join(dir(), 'V1__a.sql')
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: `${path} has the placeholder \${${name}} without a value in line ${line}`,
      place: { file: path, line, column },
      hint: expect.stringContaining(`set "${name}" in \`migrate.placeholders\``),
    })
  })
})

describe('the file beside a migration', () => {
  const withConf = (conf: string, text = 'select ${x}') => {
    write({ 'V1__a.sql': text, 'V1__a.sql.conf': conf })
  }

  test('says that it runs outside a transaction', () => {
    withConf('# why\r\n\r\n executeInTransaction = false \r\n', 'select 1')
    expect(first().transactional).toBe(false)
    withConf('executeInTransaction=true', 'select 1')
    expect(first().transactional).toBe(true)
  })

  test('says that placeholders are none', () => {
    withConf('placeholderReplacement=false\nencoding=UTF-8')
    expect(first().text).toBe('select ${x}')
  })

  test.each([
    ['executeInTransaction=false\nshouldExecute=true', 2, 'has shouldExecute in line 2'],
    ['encoding=ISO-8859-1', 1, 'has encoding=ISO-8859-1 in line 1'],
    ['\n\nfoo: bar', 3, 'has foo in line 3'],
    ['executeInTransaction=no', 1, 'has executeInTransaction=no in line 1'],
    ['placeholderReplacement=', 1, 'has placeholderReplacement= in line 1'],
  ])('is refused with its line: %j', (conf, line, message) => {
    withConf(conf)
    expect(refusal()).toMatchObject({
      kind: 'usage',
      message: expect.stringContaining(message),
      place: { file: join(dir(), 'V1__a.sql.conf'), line },
    })
  })

  test('may be left over from another file', () => {
    write({ 'V1__a.sql': '', 'V2__b.sql.conf': 'nonsense' })
    expect(names()).toEqual(['V1__a'])
  })
})

test.each([
  ['empty', Buffer.from([0xff, 0xfe, 0x73, 0])],
  ['Latin-1', Buffer.from([0x73, 0xe9])],
])('another encoding is refused: %s', (_, bytes) => {
  write({ 'V1__a.sql': bytes })
  expect(refusal().message).toContain('is not UTF-8 text')
})

describe('lock key', () => {
  test('is built on the hash that Java gives the quoted name', () => {
    expect(javaHash('"public"."flyway_schema_history"')).toBe(2125624436)
    expect(javaHash('"concurrent_test"."schema_version"')).toBe(-575131958)
  })

  test.each([
    ['public', 'flyway_schema_history', 77433833903597n],
    ['concurrent_test', 'schema_version', 77431133147203n],
  ])('of %s.%s', (schema, table, key) => {
    expect(flywayHistory.lockKey?.({ database: 'any', schema, table })).toBe(key)
  })
})

describe('a new migration', () => {
  const create = (name = 'add email') => flyway.create(name, { now, files: read(), reversible: false })

  test.each([
    [[], 'V20250829024919__add_email.sql'],
    [['V1__a.sql', 'R__v.sql'], 'V2__add_email.sql'],
    [['V009__a.sql'], 'V010__add_email.sql'],
    [['V1.9__a.sql', 'V1.2__b.sql'], 'V1.10__add_email.sql'],
    [['V1_02__a.sql'], 'V1.03__add_email.sql'],
    [['V20250101000000__a.sql'], 'V20250829024919__add_email.sql'],
  ])('after %j is %s', (existing, expected) => {
    write(Object.fromEntries(existing.map((name) => [name, ''])))
    expect(create()).toEqual([{ file: expected, text: '' }])
  })

  test('cannot be reversible', () => {
    expect(() => flyway.create('x', { now, files: [], reversible: true })).toThrow('cannot be reversible')
  })
})
