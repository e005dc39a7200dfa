import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { findServerBinaries, startServer } from '../scripts/server.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { backUp, client, test } from './support/backup.ts'
import { open, server, uniqueName, urlOf } from './support/postgres.ts'

/** Programs of an older major, with which a backup can be made. */
const older = findServerBinaries().find((dir) => {
  const [, major] = /(\d+)\/bin$/.exec(dir) ?? []
  return Number(major) < server().major && existsSync(join(dir, 'pg_dump'))
})
if (!older)
  process.stderr.write('NOT RUN: a restore of an older server’s backup, because there is no older server here\n')

describe.skipIf(!client)('a backup of another server', () => {
  test.skipIf(!older)(
    'of an older major is restored on a newer one, with every row',
    { timeout: 120_000 },
    async ({ configured, store }) => {
      const source = await startServer(older!, { settings: ['fsync=off'] })
      try {
        const name = uniqueName('old')
        execFileSync('psql', ['-qXc', `create database ${name}`, source.url('postgres')])
        const [owner, reader] = ['postgres', uniqueName('reader')]
        for (const url of [source.url(name), urlOf('postgres')])
          execFileSync('psql', ['-qXc', `create role ${reader}`, url])
        const rich = readFileSync(join(import.meta.dirname, 'support/rich.sql'), 'utf8')
        execFileSync('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', source.url(name)], {
          input: rich.replaceAll('"$owner"', owner).replaceAll('"$reader"', reader),
          stdio: ['pipe', 'ignore', 'inherit'],
        })
        const { manifest } = await backUp(store, source.url(name))
        expect(Math.floor(manifest.server_version_num / 10_000)).toBe(source.major)
        const into = uniqueName('new')
        const pgbosun = await configured({ backup: { databases: [name] } })
        const { code, json, stderr } = await pgbosun.runJson('restore', '--database', name, '--into', into, '--yes')
        expect(code, stderr).toBe(0)
        expect(json).toMatchObject({
          tables_compared: Object.keys(manifest.rows).length,
          differences: [],
          not_compared: [],
        })
        const sql = open(into)
        const [row] = await sql`select count(*)::int as rows from app.people`.finally(() => sql.end())
        expect(row).toEqual({ rows: 501 })
      } finally {
        await source.remove()
      }
    },
  )

  test('with an extension that this server does not have is exit 70 before anything is loaded', {
    timeout: 120_000,
  }, async ({ pgbosun, store, database }) => {
    const { id } = await backUp(store, urlOf(database))
    const path = join(store, database, id, 'manifest.json')
    const { sha256: _, ...manifest } = JSON.parse(await readFile(path, 'utf8')) as Manifest & { sha256: string }
    const extensions = [...manifest.extensions, { name: 'of the other server', version: '1.0' }]
    await writeFile(path, sealManifest({ ...manifest, extensions }))
    const into = uniqueName('copy')
    const { code, json } = await pgbosun.runJson('restore', '--into', into, '--yes')
    expect([code, json.touched, json.missing_extensions]).toEqual([70, false, ['of the other server']])
    expect(json.error?.message).toContain('this server does not have the extension of the other server')
    const sql = open('postgres')
    const rows = await sql`select from pg_database where datname = ${into}`.finally(() => sql.end())
    expect(rows).toHaveLength(0)
  })
})
