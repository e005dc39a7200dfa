import { describe, expect, test } from 'vitest'
import { holdsDownPart } from './foreign.ts'

describe('a file with a part that undoes it', () => {
  test.each([
    ['-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n', 'line 3', 'migrate.format: dbmate'],
    ['-- +goose Up\ncreate table a ();\n-- +goose Down\ndrop table a;\n', 'line 3', 'migrate.format: goose'],
    ['-- +migrate Up\ncreate table a ();\n\n-- +migrate Down\ndrop table a;\n', 'line 4', 'sql-migrate'],
    ['-- Up Migration\r\nselect 1;\r\n-- Down Migration\r\nselect 2;\r\n', 'line 3', 'migrate.format: node-pg-migrate'],
  ])('is known by its mark: %j', (text, line, hint) => {
    const error = holdsDownPart('m/1_a.sql', text)
    expect(error).toMatchObject({ kind: 'usage', place: { file: 'm/1_a.sql', column: 1 } })
    expect(error?.message).toContain(line)
    expect(error?.hint).toContain(hint)
  })

  test.each([
    'create table a ();',
    '-- Down migration: see 001_a.down.sql\nselect 1;',
    "insert into notes values ('scroll down -- migrate:down');",
    '-- migrate:downtown\nselect 1;',
    '-- the down migration is in another file\nselect 1;',
  ])('is no file that only speaks of it: %j', (text) => {
    expect(holdsDownPart('m/1_a.sql', text)).toBeUndefined()
  })
})
