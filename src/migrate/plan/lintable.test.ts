import { expect, test } from 'vitest'
import { dbmate } from '../../formats/dbmate.ts'
import { flyway } from '../../formats/flyway.ts'
import { goose } from '../../formats/goose.ts'
import { graphileMigrate } from '../../formats/graphile-migrate.ts'
import { pgbosun } from '../../formats/pgbosun.ts'
import { sqlx } from '../../formats/sqlx.ts'
import type { Migration } from '../../formats/types.ts'
import { lintFilesOf } from './lintable.ts'

const formats = { pgbosun, dbmate, flyway, goose, 'graphile-migrate': graphileMigrate, sqlx }
type FormatName = keyof typeof formats

const migration = (text: string, extra: Partial<Migration> = {}): Migration => ({
  ...{ id: '1', name: '1_x', kind: 'versioned', path: 'migrations/1_x.sql', text, line: 3 },
  ...{ transactional: true, sha256: '', checksum: '', native: {} },
  ...extra,
})

const lintFile = (text: string, format: FormatName = 'pgbosun', extra: Partial<Migration> = {}) =>
  lintFilesOf([migration(text, extra)], formats[format], () => true)[0]

test('a migration is looked at with its place, and how it is sent', () => {
  expect(lintFile('select 1')).toEqual({
    name: '1_x',
    path: 'migrations/1_x.sql',
    line: 3,
    text: 'select 1',
    mode: 'wrapped',
    demanded: true,
    pending: true,
  })
})

const copy = 'copy t from stdin;\n1\n\\.\n'

test.each<[string, string, FormatName, boolean, 'wrapped' | 'split']>([
  ['of statements', 'select 1', 'pgbosun', true, 'wrapped'],
  ['that asks to be outside a transaction', 'select 1', 'pgbosun', false, 'split'],
  ['with what cannot be in one', 'vacuum', 'pgbosun', true, 'split'],
  ['with rows', copy, 'pgbosun', true, 'wrapped'],
  ['of another tool with rows', copy, 'goose', true, 'split'],
  ['with a transaction of its own, which is refused', 'begin; select 1; commit', 'pgbosun', true, 'wrapped'],
  ['of another tool with a transaction around it', 'begin; select 1; commit', 'flyway', true, 'wrapped'],
  ['of another tool that is refused', '\\connect x', 'flyway', true, 'split'],
  ['that is refused, and asks to be outside a transaction', '\\connect x', 'pgbosun', false, 'split'],
])('a file %s is linted as it is sent: %j of %s', (_, text, format, transactional, mode) => {
  expect(lintFile(text, format, { transactional })).toMatchObject({ mode, demanded: transactional })
})

test('what is not sent is blank; what is sent in parts or refused is looked at as it stands', () => {
  expect(lintFile('begin; select 1; commit', 'flyway')?.text).toBe('       select 1;       ')
  expect(['vacuum', copy, 'commit'].map((text) => lintFile(text)?.text)).toEqual(['vacuum', copy, 'commit'])
})

test.each<[FormatName, string | undefined]>([
  ['pgbosun', undefined],
  ['dbmate', '-- migrate:up transaction:false'],
  ['goose', '-- +goose NO TRANSACTION'],
  ['sqlx', '-- no-transaction'],
  ['graphile-migrate', '--! no-transaction'],
  ['flyway', '-- runs outside a transaction by itself'],
])('a file of %s asks to be outside a transaction with %s', (format, outside) => {
  expect(lintFile('select 1', format)?.outside).toBe(outside)
})

test('each migration is asked whether it is applied', () => {
  const files = [migration('select 1', { name: '1_x' }), migration('select 2', { name: '2_x' })]
  const pending = lintFilesOf(files, pgbosun, ({ name }) => name === '2_x').map(({ name, pending }) => [name, pending])
  expect(pending).toEqual([
    ['1_x', false],
    ['2_x', true],
  ])
})
