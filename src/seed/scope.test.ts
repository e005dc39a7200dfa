import { describe, expect, test } from 'vitest'
import { parseCondition } from '../config/condition.ts'
import { renderCondition } from './scope.ts'

const sql = (text: string) => {
  const found = parseCondition(text)
  return found && renderCondition(found, 'r')
}

describe('a condition as SQL', () => {
  test.for([
    ['managed', 'r."managed"'],
    ['not Managed', '(not r."managed")'],
    ["tenant = 'it''s'", `(r."tenant" operator(pg_catalog.=) 'it''s')`],
    ['"My ""col" != -1.5', '(r."My ""col" operator(pg_catalog.<>) -1.5)'],
    [
      "a in (1, 2) and b is not null or c like 'x%'",
      `(((r."a" operator(pg_catalog.=) 1) or (r."a" operator(pg_catalog.=) 2)) and (not (r."b" is null))`,
    ],
    [
      'a between 1 and 3 and b',
      '(((r."a" operator(pg_catalog.>=) 1) and (r."a" operator(pg_catalog.<=) 3)) and r."b")',
    ],
    ['(a or b) and not c is true', '((r."a" or r."b") and (not (r."c" is true)))'],
    ['a not in (1)', '(not ((r."a" operator(pg_catalog.=) 1)))'],
  ] as const)('%s', ([text, expected]) => {
    expect(sql(text)).toContain(expected)
  })
})
