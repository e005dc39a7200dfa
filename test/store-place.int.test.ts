import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { besideDatabase } from '../src/backup/beside.ts'
import { test as base, client } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { open, uniqueName } from './support/postgres.ts'

/** `beside`: a folder on the device of the server's data. */
const test = base.extend<{ beside: string }>({
  beside: async ({ sql }, use) => {
    const [row] = await sql<
      { folder: string }[]
    >`select setting as folder from pg_settings where name = 'data_directory'`
    const folder = mkdtempSync(join(dirname(row!.folder), 'pgbosun-beside-'))
    await use(folder)
    rmSync(folder, { recursive: true })
  },
})

describe('a store on the disk of the server', () => {
  test('is seen, through links too; what cannot be seen is not said', async ({ sql, beside, dir, database }) => {
    const url = pathToFileURL(join(beside, 'not', 'there')).href
    const said = expect.stringContaining(`${url} is on the same disk as the server's own data, `)
    expect(await besideDatabase(sql, [url)
    ]).toEqual(said)
    symlinkSync(beside, join(dir, 'link'))
    expect(await besideDatabase(sql, [pathToFileURL(join(dir, 'link')]).href)).toBeDefined()
    for (const elsewhere of ['s3://bucket/backups', 'file:///proc/backups'])
      expect(await besideDatabase(sql, [elsewhere)
    ]).toBeUndefined()
    const name = uniqueName('nobody')
    await sql.unsafe(`create role ${name} login password 'p'`)
    const nobody = open(database, { name, password: 'p' })
    expect(await besideDatabase(nobody, [url)
    ]).toBeUndefined()
    await nobody.end()
  })

  test.skipIf(!client)('is said by backup, check and serve', async ({ beside, configured }) => {
    const port = await freePort()
    const backup = { store: pathToFileURL(beside).href, schedule: '0 3 * * *' }
    const { run, runJson, start } = await configured({ backup, more: { serve: { listen: `127.0.0.1:${port}` } } })
    const said = "is on the same disk as the server's own data"
    const made = await run('backup')
    expect([made.code, made.stderr]).toEqual([0, expect.stringContaining(said)])
    expect((await runJson('check')).json.warnings).toContainEqual(expect.stringContaining(said))
    const { child, finished } = start('serve', '--no-up')
    const conditions = await until('a condition', async () => {
      const { conditions } = await fetch(`http://127.0.0.1:${port}/status.json`)
        .then((answer) => answer.json() as Promise<{ conditions: object[] }>)
        .catch(() => ({ conditions: [] }))
      return conditions.length > 0 ? conditions : undefined
    })
    expect(conditions).toMatchObject([
      { name: 'store-beside-database', severity: 'warning', message: expect.stringContaining(said) },
    ])
    child.kill('SIGTERM')
    await finished
  })
})
