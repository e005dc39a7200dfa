import { describe, expect, test } from 'vitest'
import { type Sizes, sizeKey } from './estimate.ts'
import { findingLine, jsonFinding, renderFinding, renderGithub, renderLine, renderSummary, sizeText } from './render.ts'
import type { Finding } from './types.ts'

const finding: Finding = {
  rule: 'add-serial-column',
  level: 'warn',
  file: '002_b',
  path: 'db, mine/002:b.sql',
  line: 3,
  column: 7,
  message: '100% of users is written',
  why: 'A reason.',
  lock: 'AccessExclusiveLock',
  rewrite: '-- file 1\nselect 1;',
  table: { schema: 'app', name: 'users' },
  cost: 'rewrite',
  excerpt: '  3 | alter table app.users add n serial\n    | ^',
}

const sizes = (totalBytes: number, rows: number | undefined, heapBytes = totalBytes): Sizes =>
  new Map([[sizeKey({ schema: 'app', name: 'users' }), { totalBytes, heapBytes, rows }]])
const unknown: Sizes = new Map()

describe('the size of a table', () => {
  test.each<[string, Sizes, Partial<Finding>]>([
    ['8 kB, never analysed: less than a second to rewrite', sizes(8000, undefined), {}],
    ['0 B, about 0 rows: less than a second to rewrite', sizes(0, 0), {}],
    ['8 kB, about 1 row: less than a second to rewrite', sizes(8000, 1), {}],
    ['12 GB, about 40,000,000 rows: about 2 min to rewrite', sizes(12e9, 40_000_000), {}],
    ['12 GB, about 40,000,000 rows: about 25 s to read', sizes(12e9, 40_000_000, 10e9), { cost: 'scan' }],
    ['1.5 GB, about 3,000,000 rows: about 10 s to build an index', sizes(1.5e9, 3_000_000, 1e9), { cost: 'build' }],
    ['1.5 GB, about 3,000,000 rows', sizes(1.5e9, 3_000_000), { cost: null }],
  ])('%s', (text, known, more) => {
    expect(sizeText({ ...finding, ...more }, known)).toBe(text)
  })

  test('is not mentioned where it is not known', () => {
    expect(sizeText(finding, unknown)).toBeUndefined()
    expect(sizeText({ ...finding, table: null }, sizes(1, 1))).toBeUndefined()
  })
})

test('people read place, excerpt, lock, size, why and the safe way', () => {
  expect(renderFinding(finding, sizes(12e9, 40_000_000)).join('\n')).toBe(
    [
      'db, mine/002:b.sql:3:7  warn  add-serial-column: 100% of users is written',
      '  3 | alter table app.users add n serial',
      '    | ^',
      '  lock  AccessExclusiveLock on app.users',
      '  size  app.users is 12 GB, about 40,000,000 rows: about 2 min to rewrite',
      '  why   A reason.',
      '  safe  -- file 1',
      '        select 1;',
    ].join('\n'),
  )
})

test('people are spared what is not known', () => {
  expect(renderFinding({ ...finding, lock: null, rewrite: null, table: null }, unknown).join('\n')).toBe(
    'db, mine/002:b.sql:3:7  warn  add-serial-column: 100% of users is written\n  3 | alter table app.users add n serial\n    | ^\n  why   A reason.',
  )
})

test('an annotation escapes what would end it', () => {
  expect(renderGithub({ ...finding, why: 'A\r\nreason: b, c.' }, unknown, finding.path)).toBe(
    '::warning file=db%2C mine/002%3Ab.sql,line=3,col=7,title=add-serial-column::' +
      '100%25 of users is written%0AA%0D%0Areason: b, c.%0A%0ASafe:%0A-- file 1%0Aselect 1;',
  )
  expect(renderGithub({ ...finding, level: 'error', rewrite: null }, sizes(8000, 5), 'a.sql')).toBe(
    '::error file=a.sql,line=3,col=7,title=add-serial-column::100%25 of users is written (8 kB, about 5 rows: less than a second to rewrite)%0AA reason.',
  )
})

test('one line has place, rule and size', () => {
  expect(renderLine(finding, unknown)).toBe('db, mine/002:b.sql:3:7  warn  add-serial-column: 100% of users is written')
  expect(renderLine(finding, sizes(8000, 5))).toMatch(/ \(8 kB, about 5 rows: less than a second to rewrite\)$/)
  expect(findingLine(finding, sizes(8000, 5))).toBe(
    'db, mine/002:b.sql:3:7 add-serial-column: 100% of users is written (8 kB, about 5 rows: less than a second to rewrite)',
  )
})

test('the document has numbers instead of words', () => {
  const { excerpt: _, ...rest } = finding
  expect(jsonFinding(finding, sizes(2e9, 40))).toEqual({
    ...rest,
    table: 'app.users',
    size_bytes: 2e9,
    rows: 40,
    estimated_ms: 20_000,
  })
  expect(jsonFinding(finding, unknown)).toEqual({
    ...rest,
    table: 'app.users',
    size_bytes: null,
    rows: null,
    estimated_ms: null,
  })
})

test('the summary counts', () => {
  expect(renderSummary([], 1)).toEqual(['0 errors, 0 warnings in 1 file'])
  const error = { ...finding, rule: 'fk-type-mismatch', level: 'error' } as const
  const many = Array.from({ length: 10 }, () => finding)
  expect(renderSummary([error, ...many, { ...finding, rule: 'drop-table' }], 12)).toEqual([
    '10  add-serial-column  warn',
    ' 1  drop-table  warn',
    ' 1  fk-type-mismatch  error',
    '1 error, 11 warnings in 12 files',
  ])
  const old = [finding, { ...finding, path: '1.sql' }, error]
  expect(renderSummary([], 5, old)).toEqual([
    '0 errors, 0 warnings in 5 files; 3 findings in 2 applied files: `--all` shows them',
  ])
  expect(renderSummary([], 5, [error])[0]).toContain('; 1 finding in 1 applied file: ')
})
