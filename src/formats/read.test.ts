import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { committed } from '../../test/support/formats.ts'
import { formatNames, withSeveralFolders } from '../config/formats.ts'
import { openFormat } from './open.ts'
import { readMigrations } from './read.ts'
import type { FormatName } from './types.ts'
import { refuseUnread } from './unread.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgbosun-read-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), text)
  }
}

const within = (name: string) => join(dir, name)
const read = async (format: FormatName, ...dirs: [string, ...string[]]) =>
  (await readMigrations(dirs.map(within) as [string, ...string[]], format)).files
/** Name and path, relative to the test's folder. */
const found = async (format: FormatName, ...dirs: [string, ...string[]]) =>
  (await read(format, ...dirs)).map(({ name, path }) => [name, path.slice(dir.length + 1)])

const sections = '-- migrate:up\nselect 1;\n-- migrate:down\n'

test.each(formatNames)('the list of formats that take several folders is right about %s', async (name) => {
  expect((await openFormat(name)).readSeveral !== undefined).toBe(withSeveralFolders.includes(name))
})

describe('files of several folders', () => {
  test('of our own format are ordered by version, repeatable ones by name, with what undoes them wherever it is', async () => {
    write({
      'a/010_c.sql': 'select 10',
      'a/repeatable/b.sql': '',
      'b/2_b.sql': 'select 2',
      'b/001_a.sql': 'select 1',
      'b/010_c.down.sql': 'select -10',
      'b/repeatable/a-c.sql': '',
      'b/repeatable/a.sql': '',
    })
    expect(await found('pgbosun', 'a', 'b')).toEqual([
      ['001_a', 'b/001_a.sql'],
      ['2_b', 'b/2_b.sql'],
      ['010_c', 'a/010_c.sql'],
      ['repeatable/a-c', 'b/repeatable/a-c.sql'],
      ['repeatable/a', 'b/repeatable/a.sql'],
      ['repeatable/b', 'a/repeatable/b.sql'],
    ])
    const files = await read('pgbosun', 'a', 'b')
    expect(files.map(({ down }) => down?.().path)).toEqual([
      undefined,
      undefined,
      within('b/010_c.down.sql'),
      ...[undefined, undefined, undefined],
    ])
  })

  test('of dbmate are ordered by their names as bytes, not by their paths', async () => {
    write({ 'a/1-a.sql': sections, 'a/2_d.sql': sections, 'b/10_b.sql': sections, 'b/100_c.sql': sections })
    expect(await found('dbmate', 'b', 'a')).toEqual([
      ['1-a', 'a/1-a.sql'],
      ['100_c', 'b/100_c.sql'],
      ['10_b', 'b/10_b.sql'],
      ['2_d', 'a/2_d.sql'],
    ])
  })

  test('of Flyway are ordered by version at every depth, and each script is relative to its own location', async () => {
    write({
      'a/V2__b.sql': 'select 2',
      'a/x/R__z.sql': '',
      'b/y/V1.1__a.sql': 'select 1',
      'b/y/V1.1__a.sql.conf': 'executeInTransaction=false',
      'b/R__y.sql': '',
    })
    const files = await read('flyway', 'a', 'b')
    expect(files.map(({ native, path, transactional }) => [native.script, path, transactional])).toEqual([
      ['y/V1.1__a.sql', within('b/y/V1.1__a.sql'), false],
      ['V2__b.sql', within('a/V2__b.sql'), true],
      ['R__y.sql', within('b/R__y.sql'), true],
      ['x/R__z.sql', within('a/x/R__z.sql'), true],
    ])
  })

  test('of node-pg-migrate are ordered by the numbers of their names', async () => {
    write({ 'a/10_b.sql': 'select 10', 'b/9_a.sql': 'select 9', 'b/1700000000000_c.sql': 'select 1' })
    expect(await found('node-pg-migrate', 'a', 'b')).toEqual([
      ['9_a', 'b/9_a.sql'],
      ['10_b', 'a/10_b.sql'],
      ['1700000000000_c', 'b/1700000000000_c.sql'],
    ])
  })

  test.each<[FormatName, Record<string, string>, string]>([
    ['pgbosun', { 'a/001_a.sql': '', 'b/1_b.sql': '' }, 'DIR/a/001_a.sql and DIR/b/1_b.sql have the same version 1'],
    ['pgbosun', { 'b/1_a.sql': '', 'a/1_a.sql': '' }, 'DIR/a/1_a.sql and DIR/b/1_a.sql have the same version 1'],
    [
      'pgbosun',
      { 'a/1_a.down.sql': '', 'b/1_a.down.sql': '', 'a/1_a.sql': '' },
      'DIR/a/1_a.down.sql and DIR/b/1_a.down.sql have the same version 1',
    ],
    [
      'pgbosun',
      { 'a/repeatable/v.sql': '', 'b/repeatable/v.sql': '' },
      'DIR/a/repeatable/v.sql and DIR/b/repeatable/v.sql have the same name in the history',
    ],
    [
      'dbmate',
      { 'a/1_a.sql': sections, 'b/1_b.sql': sections },
      'DIR/a/1_a.sql and DIR/b/1_b.sql have the same version 1',
    ],
    [
      'flyway',
      { 'a/V1__a.sql': '', 'b/V01__b.sql': '' },
      'DIR/a/V1__a.sql and DIR/b/V01__b.sql both have the version 01',
    ],
    [
      'flyway',
      { 'a/R__a.sql': '', 'b/x/R__a.sql': '' },
      'DIR/a/R__a.sql and DIR/b/x/R__a.sql both have the description "a"',
    ],
    [
      'node-pg-migrate',
      { 'a/1_a.sql': '', 'b/1_a.SQL': '' },
      'DIR/a/1_a.sql and DIR/b/1_a.SQL have the same name in the history',
    ],
  ])('of %s: two of one version or name are refused with both paths (%#)', async (format, files, message) => {
    write(files)
    await expect(read(format, 'a', 'b')).rejects.toMatchObject({
      kind: 'usage',
      message: message.replaceAll('DIR', dir),
      place: { file: expect.stringContaining(within('b')) },
    })
  })

  test.each(
    formatNames.filter((name) => !withSeveralFolders.includes(name)),
  )('of %s are refused, because the tool takes one folder; a list of one is fine', async (format) => {
    write({ ...committed(['select 1;\n']), 'b/x': '' })
    await expect(read(format, 'committed', 'b')).rejects.toMatchObject({
      kind: 'usage',
      message: `migrate.dir has 2 folders, but the format ${format} takes one: ${within('committed')}, ${within('b')}`,
      hint: 'set one, or choose a format that takes several: pgbosun, dbmate, flyway, node-pg-migrate',
    })
    if (format === 'graphile-migrate') expect(await read(format, 'committed')).toHaveLength(1)
    else expect(await read(format, 'b')).toEqual([])
  })
})

describe('a folder must count once', () => {
  const refusal = async (format: FormatName, ...dirs: [string, ...string[]]) => {
    const error = await read(format, ...dirs).catch((error: unknown) => error)
    return error instanceof Error ? error.message.replaceAll(`${dir}/`, '') : error
  }

  test('one that is listed twice is refused, also under another path', async () => {
    write({ 'a/1_a.sql': sections, 'b/2_b.sql': sections })
    symlinkSync(within('a'), within('link'))
    for (const format of withSeveralFolders) {
      expect(await refusal(format, 'a', 'b', 'a')).toBe('migrate.dir has a twice')
      expect(await refusal(format, 'a', 'link')).toBe('a and link in migrate.dir are the same folder')
    }
  })

  test('one inside another is refused where the format reads it with that one', async () => {
    write({
      'a/1_a.sql': sections,
      'a/b/2_b.sql': sections,
      'a/repeatable/3_c.sql': sections,
      'a/.hidden/4_d.sql': sections,
      'ab/5_e.sql': sections,
    })
    expect(await refusal('flyway', 'a', 'a/b')).toBe('a/b is inside a, and the format flyway reads it with that folder')
    expect(await refusal('flyway', 'a/b', 'a')).toBe('a/b is inside a, and the format flyway reads it with that folder')
    expect(await refusal('pgbosun', 'a', 'a/repeatable')).toBe(
      'a/repeatable is inside a, and the format pgbosun reads it with that folder',
    )
    expect((await read('flyway', 'a', 'a/.hidden', 'ab')).length).toBe(0)
    expect((await found('pgbosun', 'a', 'a/b')).map(([, path]) => path)).toEqual([
      ...['a/1_a.sql', 'a/b/2_b.sql', 'a/repeatable/3_c.sql'],
    ])
    expect((await found('dbmate', 'a', 'a/b', 'a/repeatable')).map(([, path]) => path)).toEqual([
      ...['a/1_a.sql', 'a/b/2_b.sql', 'a/repeatable/3_c.sql'],
    ])
  })

  test('one that is not there is named', async () => {
    write({ 'a/1_a.sql': '' })
    expect(await refusal('pgbosun', 'a', 'none')).toBe('none cannot be read: it does not exist')
    expect(await refusal('pgbosun', 'a', 'a/1_a.sql')).toBe('a/1_a.sql cannot be read: ENOTDIR')
  })
})

test('a folder with SQL, none of it a migration, is named, although another folder has migrations', async () => {
  write({ 'a/1_a.sql': sections, 'b/old.sql': 'select 1', 'c/x.txt': '' })
  const folder = await readMigrations([within('a'), within('b')], 'dbmate')
  expect(() => refuseUnread(folder)).toThrow(
    `no file in ${within('b')} is a migration in the format dbmate, but there is SQL: old.sql`,
  )
  expect(() => refuseUnread({ ...folder, dirs: [within('a'), within('c')] })).not.toThrow()
})
