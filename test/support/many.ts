import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backupId, encodeName } from '../../src/archive/layout.ts'
import type { Manifest } from '../../src/archive/manifest.ts'
import { sealManifest } from '../../src/archive/seal.ts'

const rows = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`public.table_number_${i}`, i * 1000]))

/** A manifest like those of a database with 60 tables. */
export const manifestOf = (
  database: string,
  startedAt: Date,
  hex: string,
  change: Partial<Manifest> = {},
): Manifest => ({
  schema_version: 1,
  id: backupId(startedAt, hex),
  series: { name: 'default', system_identifier: '7000000000000000001', database, kind: 'logical' },
  slot: startedAt.toISOString(),
  started_at: startedAt.toISOString(),
  finished_at: startedAt.toISOString(),
  duration_ms: 10,
  tool_version: '1',
  server_version: '15.18',
  server_version_num: 150_018,
  client_version: '15.18',
  lsn: '0/1',
  database: {
    ...{ name: database, owner: 'o', encoding: 'UTF8', locale_provider: 'c', collate: 'C', ctype: 'C', locale: null },
    ...{ icu_rules: null, connection_limit: -1, acl: null, settings: [], comment: null, size_bytes: 1000 },
  },
  roles: ['o'],
  extensions: [],
  migration: null,
  rows,
  objects: [
    { name: 'dump.zst', size_bytes: 10, sha256: 'a'.repeat(64) },
    { name: 'globals.sql.zst', size_bytes: 10, sha256: 'b'.repeat(64) },
  ],
  dump_size_bytes: 10,
  warnings: [],
  verified_at: startedAt.toISOString(),
  ...change,
})

/** Puts a backup into the folder of a store, whose objects have the sizes that the manifest says, and no content. Returns its id. */
export function putBackup(root: string, manifest: Manifest): string {
  const folder = join(root, encodeName(manifest.series.database), manifest.id)
  mkdirSync(folder, { recursive: true })
  for (const { name, size_bytes } of manifest.objects) writeFileSync(join(folder, name), Buffer.alloc(size_bytes))
  writeFileSync(join(folder, 'manifest.json'), sealManifest(manifest))
  return manifest.id
}

/** One an hour, the newest an hour ago. */
export function putMany(root: string, database: string, count: number): string[] {
  const now = Date.now()
  return Array.from({ length: count }, (_, i) => {
    const hex = `abcd${i.toString(16).padStart(4, '0')}`
    return putBackup(root, manifestOf(database, new Date(now - (count - i) * 3_600_000), hex))
  })
}
