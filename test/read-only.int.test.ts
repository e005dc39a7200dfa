import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { start } from './support/cli.ts'
import { test as base, urlOf, writeFiles } from './support/postgres.ts'

/** A shell's words that make folders read-only for whatever runs behind them. */
const readOnly = (...folders: string[]) => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  `${folders.map((folder) => `mount --bind ${folder} ${folder} && mount -o remount,ro,bind ${folder}`).join(' && ')} && exec "$@"`,
  'sh',
]

const [file = '', ...words] = readOnly('/tmp')
const missing = spawnSync(file, [...words, 'true']).status === 0 ? undefined : 'folders cannot be mounted here'
if (missing !== undefined) console.warn(`NOT RUN: commands without a writable /tmp: ${missing}`)

const test = base.extend<{ store: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  store: async ({}, use) => {
    const dir = mkdtempSync('/var/tmp/pgbosun-test-')
    await use(dir)
    rmSync(dir, { recursive: true, force: true })
  },
})

describe.skipIf(missing !== undefined || !client)('where nothing can be written but the store', () => {
  test('every command works, as long as there is shared memory', { timeout: 60_000 }, async ({
    dir,
    store,
    database,
    sql,
  }) => {
    await writeFiles(dir, {
      'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href } }),
      'migrations/0001_a.sql': 'create table a as select generate_series(1, 10) x;\n',
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const into = `${database}_copy`
    const restore = ['restore', '--into', into, '--yes']
    for (const args of [['up'], ['backup', 'run'], ['backup', 'verify'], ['check']]) {
      const { code, stderr } = await start(args, { ...options, through: readOnly('/tmp', '/dev/shm') }).finished
      expect(code, stderr).toBe(0)
    }
    const refused = await start(restore, { ...options, through: readOnly('/tmp', '/dev/shm') }).finished
    expect(refused.code, refused.stderr).toBe(2)
    expect(refused.stderr).toContain('the folder for temporary files, /tmp, is on a read-only file system')
    expect(refused.stderr).toContain('mount a writable /tmp')
    expect(await sql`select from pg_database where datname = ${into}`).toHaveLength(0)

    const restored = await start(restore, { ...options, through: readOnly('/tmp') }).finished
    expect(restored.code, restored.stderr).toBe(0)
  })
})
