import { expect, test } from 'vitest'
import { renderEnd, renderFile } from './render.ts'

const file = { file: '002_b', alreadyApplied: false, durationMs: 1_200, transaction: true, locks: [], rewritten: [] }

test('each relation has a line, with its lock and what was written again', () => {
  const locks = [
    { object: 'public.users', mode: 'AccessExclusiveLock' },
    { object: 'public.orders', mode: 'ShareLock' },
  ]
  const rewritten = [
    { object: 'public.users', sizeBytes: 8_200_000 },
    { object: 'public.seen', sizeBytes: 0 },
  ]
  expect(renderFile({ ...file, locks, rewritten })).toEqual([
    'file      002_b  1.2 s',
    '            AccessExclusiveLock  public.users, rewritten (8.2 MB)',
    '            ShareLock            public.orders',
    '                                 public.seen, rewritten (now empty)',
  ])
})

test('a file says whether the database has it already, and that short locks may be missing', () => {
  expect(renderFile({ ...file, alreadyApplied: true, transaction: false })).toEqual([
    'file      002_b  1.2 s, already applied to the database, outside a transaction: short locks may be missing',
  ])
})

test('of many relations the first ones are shown', () => {
  const locks = Array.from({ length: 30 }, (_, n) => ({ object: `public.t${n}`, mode: 'ShareLock' }))
  const lines = renderFile({ ...file, locks })
  expect(lines).toHaveLength(22)
  expect(lines.at(-1)).toContain('10 more')
})

test('the end counts the files, and those that the database has', () => {
  expect(renderEnd([file], 'shop')).toBe('done      1 migration in 1.2 s on the copy; shop was only read')
  expect(renderEnd([{ ...file, alreadyApplied: true }, file, file], 'shop')).toBe(
    'done      3 migrations in 3.6 s on the copy; 1 of them is already applied to shop; shop was only read',
  )
})
