import { expect, test } from 'vitest'
import { readDirectives } from './directives.ts'

test.each([
  ['-- pgbosun: no-transaction\nselect 1', false],
  ['-- a title\r\n\r\n  --pgbosun:no-transaction  \r\nselect 1', false],
  ['-- a title\r-- pgbosun: no-transaction\rselect 1', false],
  ['select 1;\n-- pgbosun: allow drop-table nobody reads it\n', true],
  ["insert into t values ('pgbosun: x')", true],
])('%j: in a transaction %s', (text, transactional) => {
  expect(readDirectives('x.sql', text)).toEqual({ transactional })
})

test.each([
  ['\n\nselect 1;\r\n -- pgbosun: no-transaction', 'is below the first statement of x.sql, line 4'],
  ['/* a */\n-- pgbosun: no-transaction', 'is below the first statement of x.sql, line 2'],
  ['-- a\n-- pgbosun: no-transactions', 'x.sql has the unknown directive "no-transactions" in line 2'],
])('%j is refused', (text, message) => {
  expect(() => readDirectives('x.sql', text)).toThrow(message)
})
