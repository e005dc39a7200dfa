import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { checksum } from '../src/formats/checksum.ts'
import { createMigration } from '../src/formats/new-file.ts'
import { pgbosun } from '../src/formats/pgbosun.ts'
import { noReadOptions, readMigrations as readFolder } from '../src/formats/read.ts'
import { isUnsendable, planSending, unsendableError } from '../src/migrate/plan/sending.ts'
import { test, writeFiles } from './support/postgres.ts'

const readMigrations = async (dir: string) => (await readFolder([dir])).files

test('reads migrations by version as a number, and leaves other files alone', async ({ dir }) => {
  await writeFiles(dir, {
    '10_c.sql': 'c',
    '9_b.sql': 'b',
    '001_create_users.sql': 'a',
    '.hidden.sql': '',
    'README.md': '',
  })
  await writeFiles(dir, { 'deep/2_x.sql': '', '001_create_users.down.sql': 'undo', '9_down.sql': 'undo' })
  expect((await readMigrations(dir)).map(({ name, id, down }) => [name, id, down?.().path])).toEqual([
    ['001_create_users', '1', join(dir, '001_create_users.down.sql')],
    ['9_b', '9', join(dir, '9_down.sql')],
    ['10_c', '10', undefined],
  ])
})

test('follows symbolic links, as a mounted ConfigMap has them', async ({ dir }) => {
  await writeFiles(dir, { '..2026_01_01/001_a.sql': 'select 1' })
  await symlink('..2026_01_01', join(dir, '..data'))
  await symlink('..data/001_a.sql', join(dir, '001_a.sql'))
  expect(await readMigrations(dir)).toMatchObject([{ name: '001_a', text: 'select 1' }])
})

test('one checksum for every line ending, with or without a byte order mark; the text itself stays', async ({
  dir,
}) => {
  await writeFiles(dir, { '1_a.sql': 'a\nb\n', '2_a.sql': '\uFEFFa\r\nb\r\n', '3_a.sql': 'a\rb\r' })
  const files = await readMigrations(dir)
  expect(new Set(files.map(({ sha256 }) => sha256))).toEqual(new Set([checksum('a\nb\n')]))
  expect(files.map(({ text }) => text)).toEqual(['a\nb\n', 'a\r\nb\r\n', 'a\rb\r'])
})

test.for<[string, Record<string, string | Buffer>, RegExp]>([
  ['a malformed name', { 'users.sql': '', '001_a.sql': '' }, /users\.sql/],
  ['a name with blanks', { '001_a b.sql': '' }, /001_a b\.sql/],
  ['a version beyond bigint', { '9223372036854775808_a.sql': '' }, /9223372036854775808/],
  ['two files of one version', { '001_a.sql': '', '1_b.sql': '' }, /001_a\.sql and 1_b\.sql .* same version 1/],
  ['two undo files of one version', { '1_down.sql': '', '01_a.down.sql': '' }, /01_a\.down\.sql and 1_down\.sql/],
  ['text that is not UTF-8', { '1_a.sql': Buffer.from([0x61, 0xff]) }, /1_a\.sql is not UTF-8/],
  ['a NUL', { '1_a.sql': 'a\0' }, /1_a\.sql is not UTF-8/],
  [
    'an unknown directive',
    { '1_a.sql': '-- x\n\n-- pgbosun: no-transactions\n' },
    /1_a\.sql .*"no-transactions" in line 3/,
  ],
  [
    'a directive too late',
    { '1_a.sql': 'select 1;\n-- pgbosun: no-transaction\n' },
    /below the first statement .*line 2/,
  ],
])('refuses %s', async ([, files, message], { dir }) => {
  await writeFiles(dir, files)
  await expect(readMigrations(dir)).rejects.toMatchObject({ kind: 'usage', message: expect.stringMatching(message) })
})

test('refuses a folder that is not there', async ({ dir }) => {
  await expect(readMigrations(join(dir, 'none'))).rejects.toMatchObject({ kind: 'usage', message: /does not exist/ })
})

test.for<[string, string, string, number, number]>([
  ['its own COMMIT', 'select 1;\n  commit;', 'lint', 2, 3],
  ['its own BEGIN', '-- x\nBEGIN;\ncreate table a ();\nCOMMIT;', 'lint', 2, 1],
  ['an open comment', 'select 1;\n/* never\nclosed', 'migration', 2, 1],
  ['an open string after an emoji', "select '😀', 'x", 'migration', 1, 13],
  ['an open dollar quote', 'do $$ begin', 'migration', 1, 4],
  ['a psql command', 'select 1;\n\\connect other', 'migration', 2, 1],
  ['COPY FROM STDIN whose rows do not end', "copy t from stdin;\nit's\n", 'migration', 1, 1],
  ['a BEGIN without COMMIT outside a transaction', '-- pgbosun: no-transaction\nselect 1;\nbegin;', 'lint', 3, 1],
  ['no statement outside a transaction', '-- pgbosun: no-transaction\n', 'lint', 1, 27],
])('refuses %s before anything is changed, with its place', async ([, text, kind, line, column], { dir }) => {
  await writeFiles(dir, { '1_a.sql': text })
  const [file] = await readMigrations(dir)
  const sending = planSending(file!, { foreign: false })
  if (!isUnsendable(sending)) throw new Error('it was not refused')
  expect(unsendableError(file!.name, file!, sending)).toMatchObject({
    kind,
    place: { file: join(dir, '1_a.sql'), line, column },
    hint: expect.any(String),
  })
})

test('new files continue the numbers of the folder, and never replace one', async ({ dir }) => {
  const folder = join(dir, 'new')
  const now = new Date('2026-03-04T05:06:07Z')
  const create = async (name: string, reversible = false) =>
    createMigration({ format: pgbosun, dirs: [folder], files: pgbosun.read(folder, noReadOptions) }, name, {
      now,
      reversible,
    })
  await mkdir(folder)
  expect(await create('create users')).toEqual([join(folder, '20260304050607_create_users.sql')])
  expect(await create('create users')).toEqual([join(folder, '20260304050608_create_users.sql')])
  expect((await readMigrations(folder)).map(({ name }) => name)).toEqual([
    '20260304050607_create_users',
    '20260304050608_create_users',
  ])
  for (const name of ['', 'a/b', 'down', 'x.down', 'ü']) {
    await expect(create(name)).rejects.toMatchObject({ kind: 'usage' })
  }
})
