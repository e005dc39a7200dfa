import { expect, test } from 'vitest'
import { openFormat } from './open.ts'
import type { FormatName } from './types.ts'

test.each<[FormatName, string, string | undefined]>([
  ['pgbosun', '002', '2'],
  ['pgbosun', '002_orders', '2'],
  ['pgbosun', 'orders', undefined],
  ['pgbosun', '27c6a30d7c24', undefined],
  ['golang-migrate', '000002_orders.up.sql', '2'],
  ['goose', '00002_orders', '2'],
  ['sqlx', '20250829024919', '20250829024919'],
  ['dbmate', '0002_orders', '0002'],
  ['dbmate', '2', '2'],
  ['flyway', '1.1', '1.1'],
  ['flyway', 'V1_1__orders', '1.1'],
  ['flyway', '01.0', '1'],
  ['flyway', 'R__views', undefined],
  ['node-pg-migrate', '1700000000000_orders', '1700000000000_orders'],
  ['node-pg-migrate', '1700000000000', '1700000000000'],
  ['graphile-migrate', '000002-orders', '000002.sql'],
  ['graphile-migrate', '000002', '000002.sql'],
  ['graphile-migrate', '2', '000002.sql'],
])('in %s, %s is the version %s', async (format, name, id) => {
  expect((await openFormat(format)).idOf(name)).toBe(id)
})
