import { expect, test } from 'vitest'
import { copyLineOf } from './copy.ts'

test.each([
  ['COPY t, line 3, column b: "7"', 3],
  ['COPY t2, line 12', 12],
  ['COPY t, Zeile 4, Spalte b: »COPY x, Zeile 9«', 4],
  ['tのCOPY、行 5、列 b: "7"', 5],
  ['t 복사, 6번째 줄, b 열: "7"', 6],
  ['COPY t, 行 8: "x"', 8],
  ['PL/pgSQL function f7() line 1 at RAISE\nCOPY t, line 3: "1"', 3],
  ['SQL statement "select 1, 2"', undefined],
  [undefined, undefined],
])('%j is at line %j', (where, line) => {
  expect(copyLineOf({ where })).toBe(line)
})
