import { expect, test } from 'vitest'
import { everyRule, putsDataAtRisk } from './at-risk.ts'
import { lintFiles } from './lint.ts'
import { loadParser } from './parse.ts'
import { rules } from './rules.ts'
import type { Finding } from './types.ts'

const parser = await loadParser()

const findingsIn = (text: string, heedAllows = false): Finding[] =>
  lintFiles({
    parser,
    files: [{ name: '002', path: '002.sql', text, line: 1, mode: 'wrapped' }],
    levels: everyRule,
    heedAllows,
  })

test('rules of lost data and rewritten tables ask for a backup, and so does what cannot be read', () => {
  const asking = rules
    .filter(({ name, example }) =>
      findingsIn(example).some((finding) => finding.rule === name && putsDataAtRisk(finding)),
    )
    .map(({ name }) => name)
  expect(asking).toEqual([
    'syntax-error',
    'add-column-volatile-default',
    'add-serial-column',
    'add-stored-generated-column',
    'alter-column-type',
    'drop-column',
    'drop-table',
    'truncate',
    'vacuum-full',
    'unbatched-update',
  ])
})

test('a loss that a comment allows is still a loss', () => {
  const text = '-- pgbosun: allow drop-table nobody reads it\ndrop table users'
  expect(findingsIn(text, true).some(putsDataAtRisk)).toBe(false)
  expect(
    findingsIn(text)
      .filter(putsDataAtRisk)
      .map(({ rule }) => rule),
  ).toEqual(['drop-table'])
})

test.each([
  'vacuum full',
  'alter tabel users add column note text',
  'delete from users',
])('a backup is asked for by: %s', (text) => {
  expect(findingsIn(text).some(putsDataAtRisk)).toBe(true)
})

test.each([
  'create table users (id int); drop table users',
  'alter table users add column note text',
  'create index concurrently i on users (id)',
  'delete from users where id = 7',
])('no backup is asked for by: %s', (text) => {
  expect(findingsIn(text).filter(putsDataAtRisk)).toEqual([])
})
