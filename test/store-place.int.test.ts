import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { besideDatabase } from '../src/backup/beside.ts'
import { test as base, client, filesBelow } from './support/backup.ts'
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
    expect(await besideDatabase(sql, [url])).toEqual(said)
    symlinkSync(beside, join(dir, 'link'))
    expect(await besideDatabase(sql, [pathToFileURL(join(dir, 'link')).href])).toBeDefined()
    for (const elsewhere of ['s3://bucket/backups', 'file:///proc/backups'])
      expect(await besideDatabase(sql, [elsewhere])).toBeUndefined()
    const name = uniqueName('nobody')
    await sql.unsafe(`create role ${name} login password 'p'`)
    const nobody = open(database, { name, password: 'p' })
    expect(await besideDatabase(nobody, [url])).toBeUndefined()
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

describe.skipIf(!client)('a store', () => {
  test('gets its marker before its first backup, once; an older one with its next backup', async ({
    configured,
    store,
    database,
  }) => {
    const marker = join(store, 'pgbosun-store.json')
    const { runJson, run } = await configured()
    expect((await runJson('backup', 'list')).json).toMatchObject({ exit_code: 0, backups: [] })
    expect((await runJson('restore', 'latest', '--into', uniqueName('copy'), '--yes')).json).toMatchObject({
      exit_code: 62,
    })
    expect(filesBelow(store)).toEqual([])
    expect((await run('backup')).code).toBe(0)
    const first = readFileSync(marker, 'utf8')
    expect(JSON.parse(first)).toEqual({
      store: expect.stringMatching(/^[0-9a-f-]{36}$/),
      created_at: expect.stringMatching(/Z$/),
      tool_version: expect.any(String),
    })
    expect((await run('backup')).code).toBe(0)
    expect(readFileSync(marker, 'utf8')).toBe(first)
    rmSync(marker)
    expect((await runJson('backup', 'list')).json.backups).toHaveLength(2)
    expect((await run('backup')).code).toBe(0)
    expect(JSON.parse(readFileSync(marker, 'utf8')).store).not.toBe(JSON.parse(first).store)

    const [claim] = readdirSync(join(store, database, 'series'))
    expect(claim).toMatch(/^default-\d+\.json$/)
    expect(JSON.parse(readFileSync(join(store, database, 'series', claim!), 'utf8'))).toMatchObject({
      environment: 'dev',
      timeline: 1,
      claim: expect.any(String),
    })

    // another one is mounted: it has no backup of this database
    rmSync(join(store, database), { recursive: true })
    const checked = await configured({ more: { check: { backupMaxAge: '1h' } } })
    expect((await checked.runJson('check')).json).toMatchObject({
      exit_code: 50,
      errors: [expect.stringContaining('is the right store mounted here?')],
    })
  })

  test('that two servers use for one series is said by backup and check, and none is the latest', async ({
    configured,
    store,
    database,
  }) => {
    const here = await configured()
    const [first, second] = [await here.runJson('backup', 'run'), await here.runJson('backup', 'run')]
    expect([first.json.warnings, second.json.warnings]).toEqual([[], []])
    // as if it came from a server whose log is farther
    const path = join(store, database, String(second.json.id), 'manifest.json')
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    expect(manifest.origin).toEqual({ environment: 'dev', host: expect.any(String), timeline: 1, conflict: null })
    writeFileSync(path, sealManifest({ ...manifest, lsn: 'FFFFFFFF/0' }))

    const behind = await here.runJson('backup', 'run')
    const said = expect.stringMatching(/^another server seems to make backups of this series: .* behind that of /)
    expect(behind.json).toMatchObject({ exit_code: 0, warnings: [expect.stringContaining(': another server seems')] })
    expect(manifestOf(store, database, behind.json.id)).toMatchObject({
      origin: { conflict: 'behind' },
      warnings: [said],
    })
    const checked = (await here.runJson('check')).json
    expect(checked.exit_code).toBe(50)
    expect(checked.errors).toContainEqual(
      expect.stringContaining(`another server seems to have made the backup ${behind.json.id} of ${database}`),
    )
    const into = uniqueName('copy')
    expect((await here.runJson('restore', 'latest', '--into', into, '--yes')).json).toMatchObject({
      exit_code: 70,
      touched: false,
      error: { kind: 'restore', hint: expect.stringContaining('give the id of the one to restore') },
    })
    expect((await here.runJson('restore', String(behind.json.id), '--into', into, '--yes')).code).toBe(0)
  })

  test('has backups of one environment, or says so', async ({ configured, store, database }) => {
    const [dev, prod] = [await configured(), await configured({ more: { environment: 'prod' } })]
    const warned = async (one: typeof dev) => (await one.runJson('backup', 'run')).json.warnings
    expect(await warned(dev)).toEqual([])
    expect(await warned(prod)).toEqual([expect.stringContaining('was made for environment dev, this one for prod')])
    // it was given another name, and that is all
    expect(await warned(prod)).toEqual([])
    expect((await prod.runJson('check')).code).toBe(0)
    expect((await prod.runJson('restore', 'latest', '--into', uniqueName('copy'), '--yes')).code).toBe(0)
    expect(readdirSync(join(store, database, 'series'))).toHaveLength(1)
  })
})

const manifestOf = (store: string, database: string, id: unknown) =>
  JSON.parse(readFileSync(join(store, database, String(id), 'manifest.json'), 'utf8'))
