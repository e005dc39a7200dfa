import { expect, test } from 'vitest'
import { openFormat } from '../../formats/open.ts'
import type { FormatName } from '../../formats/types.ts'
import { isApplied, type SeenMigration } from './is-applied.ts'

const rows = (...ids: string[]): SeenMigration[] =>
  ids.map((text) => {
    const id = text.replace(/[!^]$/, '')
    return { id, name: id, done: !text.endsWith('!'), baseline: text.endsWith('^') }
  })

/** `!` after an id: it has not finished; `^`: it is a baseline. */
test.each<[FormatName, string, string[], boolean]>([
  ['pgbosun', '2', ['1', '2'], true],
  ['pgbosun', '2', ['1'], false],
  ['pgbosun', '2', [], false],
  ['pgbosun', '2', ['1', '2!'], false],
  // its own row counts more than a newer one
  ['pgbosun', '2', ['2!', '3'], false],
  // the first files were joined into the third
  ['pgbosun', '2', ['3'], true],
  ['pgbosun', '9', ['10'], true],
  ['dbmate', '0002', ['0001', '0003'], false],
  ['dbmate', '0002', ['0001', '0002'], true],
  ['sqlx', '2', ['3'], false],
  ['golang-migrate', '2', ['3'], true],
  // golang-migrate started the third: the second is done
  ['golang-migrate', '2', ['3!'], true],
  ['golang-migrate', '3', ['3!'], false],
  ['golang-migrate', '1', ['-1!'], false],
  ['flyway', '1.1', ['1', '1.1'], true],
  ['flyway', '1.1', ['1.0.1'], false],
  ['flyway', '1', ['1.1'], true],
  ['flyway', '1.9', ['1.10'], true],
  ['flyway', '2', ['5^'], true],
  ['node-pg-migrate', '001', ['001_init'], true],
  ['node-pg-migrate', '002', ['001_init'], false],
  ['node-pg-migrate', '002_orders', ['001_init', '003_more'], true],
  ['graphile-migrate', '000002.sql', ['000001.sql', '000002.sql'], true],
  ['graphile-migrate', '000002.sql', ['000001.sql'], false],
])('%s: %s is reached at %j: %s', async (format, id, ids, expected) => {
  const { compare, policy } = await openFormat(format)
  expect(isApplied(id, rows(...ids), { compare, ordered: policy.outOfOrder === 'error' })).toBe(expected)
})

test('a baseline stands for what is below it where files may be applied in any order', async () => {
  const { compare } = await openFormat('dbmate')
  expect(isApplied('0002', rows('0005^'), { compare, ordered: false })).toBe(true)
})
