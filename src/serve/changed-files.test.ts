import { expect, test } from 'vitest'
import { type FilesSeen, fileConditions } from './changed-files.ts'

const seen = (configuration: string, migrations: Record<string, string>): FilesSeen => ({
  configuration,
  migrations: new Map(Object.entries(migrations)),
})
const then = seen('c', { 'm/1.sql': 'a', 'm/2.sql': 'b' })
const look = (now: FilesSeen, before = [] as ReturnType<typeof fileConditions>, at = '2026-01-01T00:00:00Z') =>
  fileConditions(then, now, { before, at })

test('unchanged files make no condition', () => {
  expect(look(then)).toEqual([])
})

test('a changed configuration is a condition, and so are new, changed and deleted migrations, with their names', () => {
  const conditions = look(seen('d', { 'm/2.sql': 'B', 'm/3.sql': 'c' }))
  expect(conditions.map(({ name, message }) => [name, message])).toEqual([
    ['configuration-changed', expect.stringContaining('has changed since `serve` was started')],
    [
      'migrations-pending',
      'the folder of migrations has changed since `up`: new: m/3.sql; changed: m/2.sql; gone: m/1.sql',
    ],
  ])
  const later = look(seen('d', { 'm/1.sql': 'a', 'm/2.sql': 'b' }), conditions, '2026-02-02T00:00:00Z')
  expect(later.map(({ name, since }) => [name, since])).toEqual([['configuration-changed', '2026-01-01T00:00:00Z']])
})

test('only the first of many files are named', () => {
  const many = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`m/${i + 3}.sql`, 'x']))
  const [condition] = look(seen('c', { 'm/1.sql': 'a', 'm/2.sql': 'b', ...many }))
  expect(condition?.message).toContain('new: m/3.sql, m/4.sql, m/5.sql and 4 more')
})
