import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TocEntry } from '../archive/toc.ts'
import { boundExtensions, boundOf, boundWarnings, withoutExtensions } from './bound.ts'

const entry = (desc: string, tag: string, namespace = ''): TocEntry => ({
  ...{ id: 1, desc, tag, namespace, defn: '', dropStmt: '', owner: '', tablespace: '' },
  ...{ section: 'pre-data', dependencies: [] },
})

test('an extension that is bound to a database or a worker is named, with the reason', () => {
  expect(boundWarnings([{ name: 'pg_trgm' }, { name: 'pg_cron' }])).toEqual([
    'the backup has the extension pg_cron: it can only be created in the database that cron.database_name names, and its jobs run as soon as it is',
  ])
})

test('an extension is left out with its schemas, their rows and the remarks on them', () => {
  const kept = [
    entry('EXTENSION', 'pg_trgm'),
    entry('TABLE', 'job', 'public'),
    entry('SCHEMA', 'cron_app'),
    entry('COMMENT', 'EXTENSION pg_trgm'),
  ]
  const dropped = [
    entry('EXTENSION', 'pg_cron'),
    entry('COMMENT', 'EXTENSION pg_cron'),
    entry('TABLE DATA', 'job', 'cron'),
    entry('SEQUENCE SET', 'jobid_seq', 'cron'),
    entry('ACL', 'SCHEMA cron'),
    entry('ACL', 'TABLE job', 'cron'),
  ]
  const left = boundOf([{ name: 'pg_cron' }])
  expect(withoutExtensions([...kept, ...dropped], left)).toEqual(kept)
  expect(withoutExtensions([...kept, ...dropped], [])).toHaveLength(10)
})

test('docs/backups.md has the same table', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/backups.md'), 'utf8')
  for (const { name, advice, test: how } of boundExtensions)
    expect(page).toContain(`| \`${name}\` | ${advice.replaceAll(/[a-z_]+[._][a-z_]+(\(\))?/g, '`$&`')} | ${how} |`)
})
