import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { test as base, client, type Pgbosun } from './support/backup.ts'
import { open, uniqueName, urlOf } from './support/postgres.ts'

type Shop = {
  pgbosun: Pgbosun
  /** Folders of the two stores, which are not there yet, and their URLs. */
  one: string
  two: string
  urls: [string, string]
  /** The folder of a backup in a store. */
  at(store: string, id: string): string
  /** Makes a backup. @returns its id */
  made(): Promise<string>
}

/** A database with two rows, and backups in two folders. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir, configured, database }, use) => {
    const sql = open(database)
    await sql.unsafe('create table t (id int primary key); insert into t values (1), (2)')
    await sql.end()
    const [one, two] = [join(dir, 'one'), join(dir, 'two')]
    const urls: [string, string] = [pathToFileURL(one).href, pathToFileURL(two).href]
    const pgbosun = await configured({ backup: { store: undefined, stores: urls } })
    await use({
      ...{ pgbosun, one, two, urls },
      at: (store, id) => join(store, database, id),
      made: async () => (await pgbosun.runJson('backup')).json.id as string,
    })
  },
})

const objects = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((name) => !name.startsWith('lease-'))
      .map((name) => [name, readFileSync(join(folder, name)).toString('base64')]),
  )

/** Replaces a byte in the middle of a file. */
function damage(file: string): void {
  const bytes = readFileSync(file)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  writeFileSync(file, bytes)
}

const restoreInto = (pgbosun: Pgbosun, id = 'latest') =>
  pgbosun.runJson('restore', id, '--into', uniqueName('copy'), '--yes')

describe.skipIf(!client)('several stores', () => {
  test('get the same backup, which is one in the list', async ({ shop: { pgbosun, one, two, urls, at } }) => {
    const { code, json } = await pgbosun.runJson('backup')
    expect({ code, stores: json.stores, failed: json.failed_stores }).toEqual({ code: 0, stores: urls, failed: [] })
    const id = json.id as string
    expect(objects(at(two, id))).toEqual(objects(at(one, id)))
    expect(Object.keys(objects(at(one, id)))).toEqual(['dump.zst', 'globals.sql.zst', 'manifest.json'])
    const list = await pgbosun.runJson('backup', 'list')
    expect(list.json.backups).toMatchObject([{ id, stores: urls, verified: true }])
    expect((await pgbosun.runJson('backup', 'verify', 'all')).json.results).toMatchObject([
      { id, ok: true, store: urls[0] },
      { id, ok: true, store: urls[1] },
    ])
  })

  test('of a schedule that names its own: nothing of it goes to, or is missed in, the others', async ({
    shop: { one, two, urls },
    configured,
    database,
  }) => {
    const schedules = [
      { name: 'hourly', schedule: '@hourly', stores: [urls[0]] },
      // with a slash more
      { name: 'nightly', schedule: '0 3 * * *', stores: [`${urls[1]}/`] },
      { name: 'weekly', schedule: '@weekly' },
    ]
    const pgbosun = await configured({ backup: { store: undefined, stores: urls, schedules } })
    const made = async (schedule: string) => (await pgbosun.runJson('backup', '--schedule', schedule)).json
    const nightly = await made('nightly')
    expect(nightly).toMatchObject({ exit_code: 0, stores: [urls[1]], failed_stores: [] })
    expect(existsSync(one)).toBe(false)
    expect(await made('weekly')).toMatchObject({ stores: urls })
    const hourly = await made('hourly')
    expect(hourly).toMatchObject({ exit_code: 0, stores: [urls[0]] })
    expect(existsSync(join(two, database, hourly.id as string))).toBe(false)

    const { code, json, stdout } = await pgbosun.runJson('check')
    expect([code, stdout.includes('newest backup')]).toEqual([0, false])
    expect((await pgbosun.runJson('backup', 'copy', '--to', urls[0])).json.backups).toEqual([])
    expect(json.error).toBe(null)
    const listed = (await pgbosun.runJson('backup', 'list')).json.backups as { id: string; stores: string[] }[]
    expect(listed.find(({ id }) => id === nightly.id)?.stores).toEqual([urls[1]])
    // one that is asked for by its id is copied, and so is everything to a store that is not configured
    const copied = await pgbosun.runJson('backup', 'copy', nightly.id as string, '--to', urls[0])
    expect(copied.json.backups).toMatchObject([{ id: nightly.id }])
    const other = await pgbosun.runJson('backup', 'copy', '--to', `${urls[0]}-3`)
    expect(other.json.backups).toHaveLength(3)
    // what one of them lacks of its own is missed
    const { id } = await made('weekly')
    rmSync(join(two, database, id as string), { recursive: true })
    expect(String((await pgbosun.runJson('check')).json.warnings)).toContain(
      `${urls[1]} does not have the newest backup`,
    )
  })

  test('are known to the schedules that name them', async ({ shop: { urls }, configured }) => {
    const stores = [`${urls[0]}-other`]
    const pgbosun = await configured({
      backup: { store: undefined, stores: urls, schedules: [{ name: 'hourly', schedule: '@hourly', stores }] },
    })
    const { code, json } = await pgbosun.runJson('backup', 'list')
    expect([code, json.error?.message]).toEqual([
      2,
      expect.stringContaining('backup.schedules: `stores` of a schedule names a store that is not in `backup.stores`'),
    ])
  })

  test('of which one fails: the backup is good, 60 names the store, and `backup copy` fills it', async ({
    shop: { pgbosun, one, two, urls, at },
  }) => {
    writeFileSync(two, 'no folder')
    const { code, json } = await pgbosun.runJson('backup')
    expect(code).toBe(60)
    expect(json.stores).toEqual([urls[0]])
    expect(json.failed_stores).toMatchObject([{ store: urls[1] }])
    const { message, hint } = json.error as { message: string; hint: string }
    const id = json.id as string
    expect(message).toContain(`is good, and in ${urls[0]}, but not in ${urls[1]}`)
    expect(hint).toContain(`backup copy ${id} --to ${urls[1]}`)

    // it is never said that there are no backups, and what is there is shown
    const list = await pgbosun.runJson('backup', 'list')
    expect([list.code, list.json.backups]).toMatchObject([60, [{ id, stores: [urls[0]] }]])
    expect((await restoreInto(pgbosun)).code).toBe(0)
    const check = await pgbosun.runJson('check')
    expect(JSON.stringify(check.json)).toContain(`the store ${urls[1]} cannot be read`)

    rmSync(two)
    expect(JSON.stringify((await pgbosun.runJson('check')).json)).toContain(
      `${urls[1]} does not have the newest backup`,
    )
    const copied = await pgbosun.runJson('backup', 'copy', '--to', urls[1])
    expect([copied.code, copied.json.backups]).toMatchObject([0, [{ id }]])
    expect(objects(at(two, id))).toEqual(objects(at(one, id)))
    expect((await pgbosun.runJson('backup', 'copy', '--to', urls[1])).json.backups).toEqual([])
    expect((await pgbosun.runJson('backup', 'copy', id, '--to', urls[1])).json.backups).toEqual([])
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ id, stores: urls }])
  })

  test('of which none can be written to: 60, as with one', async ({ shop: { pgbosun, one, two } }) => {
    writeFileSync(one, 'no folder')
    writeFileSync(two, 'no folder')
    const { code, json } = await pgbosun.runJson('backup')
    expect([code, json.id, json.stores]).toEqual([60, null, []])
    expect((await pgbosun.runJson('backup', 'list')).code).toBe(60)
    expect((await restoreInto(pgbosun)).code).toBe(60)
    expect((await pgbosun.runJson('backup', 'verify', 'latest')).code).toBe(60)
  })

  test('of which one cannot be read: what was asked of all of them is 60, with what the other has', async ({
    shop: { pgbosun, one, two, at, made },
  }) => {
    const id = await made()
    rmSync(two, { recursive: true })
    writeFileSync(two, 'no folder')
    const verified = await pgbosun.runJson('backup', 'verify', 'all')
    expect([verified.code, verified.json.results]).toMatchObject([60, [{ id, ok: true }]])
    expect((await pgbosun.runJson('backup', 'verify', 'latest')).code).toBe(0)
    const to = pathToFileURL(`${one}-more`).href
    const copied = await pgbosun.runJson('backup', 'copy', '--to', to)
    expect([copied.code, copied.json.backups]).toMatchObject([60, [{ id }]])
    expect((await pgbosun.runJson('backup', 'copy', id, '--to', to)).code).toBe(0)
    expect((await pgbosun.runJson('backup', 'pin', id)).code).toBe(60)
    expect(readdirSync(at(one, id)).some((name) => name.startsWith('pin-'))).toBe(true)
  })

  test('with a damaged copy: the other one is read, and the damaged one is replaced', async ({
    shop: { pgbosun, one, urls, at, made },
  }) => {
    const id = await made()
    damage(join(at(one, id), 'dump.zst'))
    const restored = await restoreInto(pgbosun)
    expect([restored.code, restored.json.rows_compared]).toEqual([0, 2])
    expect(JSON.stringify(restored.json.warnings)).toContain(`trying again with the one in ${urls[1]}`)

    const verified = await pgbosun.runJson('backup', 'verify', 'latest')
    expect([verified.code, verified.json.results]).toMatchObject([
      0,
      [
        { ok: false, store: urls[0] },
        { ok: true, store: urls[1] },
      ],
    ])
    expect(JSON.stringify(verified.json.warnings)).toContain(`the copy of ${id} in ${urls[0]} is damaged`)
    expect((await pgbosun.runJson('backup', 'verify', 'all')).code).toBe(61)
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toMatchObject([{ id, verified: true }])

    const copied = await pgbosun.runJson('backup', 'copy', '--to', urls[0])
    expect([copied.code, copied.json.backups]).toMatchObject([0, [{ id }]])
    expect((await pgbosun.runJson('backup', 'verify', 'all')).code).toBe(0)
  })

  test('with a damaged copy: the other one is restored for a test', async ({
    shop: { one, urls, at, made },
    configured,
  }) => {
    const id = await made()
    damage(join(at(one, id), 'dump.zst'))
    const role = uniqueName('verify')
    const sql = open('postgres')
    await sql.unsafe(`create role ${role} login createdb password 'p'; grant pg_read_all_settings to ${role}`)
    onTestFinished(async () => {
      await sql.unsafe(`drop role ${role}`)
      await sql.end()
    })
    const url = new URL(urlOf('postgres'))
    Object.assign(url, { username: role, password: 'p' })
    const verify = { where: 'same-server', url: { env: 'VERIFY_URL' } }
    const pgbosun = await configured({
      backup: { store: undefined, stores: urls, verify },
      env: { VERIFY_URL: url.href },
    })
    const tested = await pgbosun.runJson('backup', 'verify', 'latest', '--restore')
    expect([tested.code, tested.json.results], JSON.stringify(tested.json)).toMatchObject([0, [{ id, ok: true }]])
    expect(JSON.stringify(tested.json.warnings)).toContain(`trying again with the one in ${urls[1]}`)
    const { json } = await pgbosun.runJson('backup', 'list')
    expect(json.backups).toMatchObject([{ id, verified: true, restore_test: { ok: true }, stores: [urls[1]] }])
  })

  test('whose copies are all damaged: 61, and nothing is left of the restore', async ({
    shop: { pgbosun, one, two, at, made },
  }) => {
    const id = await made()
    for (const store of [one, two]) damage(join(at(store, id), 'dump.zst'))
    expect((await restoreInto(pgbosun, id)).code).toBe(61)
    expect((await pgbosun.runJson('backup', 'copy', '--to', pathToFileURL(`${one}-more`).href)).code).toBe(61)
    expect(readdirSync(`${one}-more`, { recursive: true }).filter((name) => String(name).includes(id))).toEqual([])
  })

  test('are pinned together', async ({ shop: { pgbosun, one, two, at, made } }) => {
    const id = await made()
    await pgbosun.run('backup', 'pin', id, '--note', 'audit')
    const pins = (store: string) => readdirSync(at(store, id)).filter((name) => name.startsWith('pin-'))
    expect([pins(one), pins(two)]).toMatchObject([[expect.any(String)], [expect.any(String)]])
    await pgbosun.run('backup', 'unpin', id)
    expect([pins(one), pins(two)]).toEqual([[], []])
  })
})

describe.skipIf(!client)('a store among several', () => {
  test('has rules of its own for what it keeps', async ({ dir, configured }) => {
    const url = (name: string) => pathToFileURL(join(dir, name)).href
    const pgbosun = await configured({
      backup: { store: undefined, stores: [{ url: url('few'), keep: { last: 1 } }, url('many')], keep: { last: 3 } },
    })
    await pgbosun.runJson('backup')
    await pgbosun.runJson('backup')
    const later = new Date(Date.now() + 2 * 3_600_000).toISOString()
    const { json } = await pgbosun.runJson('backup', 'prune', '--dry-run', '--now', later)
    const actions = (json.backups as { store: string; action: string }[]).map(({ store, action }) => [store, action])
    expect(actions).toEqual([
      [url('few'), 'keep'],
      [url('few'), 'delete'],
      [url('many'), 'keep'],
      [url('many'), 'keep'],
    ])
  })

  test('that must be a mount and is none gets nothing', async ({ dir, configured }) => {
    const [good, unmounted] = [pathToFileURL(join(dir, 'good')).href, pathToFileURL('/pgbosun-unmounted').href]
    const pgbosun = await configured({
      backup: { store: undefined, stores: [good, { url: unmounted, mustBeMount: true }] },
    })
    const { code, json } = await pgbosun.runJson('backup')
    expect([code, json.stores, json.failed_stores]).toMatchObject([60, [good], [{ store: unmounted }]])
    expect(() => readdirSync('/pgbosun-unmounted')).toThrow()
  })

  test('is named once, and not beside `store`', async ({ dir, configured }) => {
    const url = pathToFileURL(join(dir, 'a')).href
    const twice = await configured({ backup: { store: undefined, stores: [url, { url: `${url}/` }] } })
    const both = await configured({ backup: { stores: [url] } })
    const misplaced = await configured({ backup: { store: undefined, stores: [{ url: 's3://b', mustBeMount: true }] } })
    for (const pgbosun of [twice, both, misplaced]) expect((await pgbosun.runJson('backup', 'list')).code).toBe(2)
  })

  test('that is another by another name is refused, and nothing is written', async ({
    shop: { pgbosun, one, two, made },
    database,
  }) => {
    mkdirSync(one)
    symlinkSync(one, two)
    const { code, json } = await pgbosun.runJson('backup')
    expect([code, (json.error as { message: string }).message]).toEqual([
      60,
      expect.stringContaining('are the same place'),
    ])
    expect(backupsIn(one, database)).toEqual([])
    expect(readdirSync(one).filter((name) => name.includes('probe'))).toEqual([])

    // the files of another store are no other name of it
    rmSync(two)
    cpSync(one, two, { recursive: true })
    const id = await made()
    expect([backupsIn(one, database), backupsIn(two, database)]).toEqual([[id], [id]])
  })

  test('is needed by `backup copy`', async ({ shop: { pgbosun, urls, made } }) => {
    await made()
    expect((await pgbosun.runJson('backup', 'copy')).code).toBe(2)
    expect((await pgbosun.runJson('backup', 'copy', '--to', 'nowhere')).code).toBe(2)
    expect((await pgbosun.runJson('backup', 'copy', '20200101T000000Z-0a1b2c3d', '--to', urls[0])).code).toBe(62)
  })
})

describe.skipIf(!client)('serve', () => {
  test('makes the backup of a slot in the stores that there are, and fills the other when it is back', {
    timeout: 60_000,
  }, async ({ dir, configured, database }) => {
    const [one, two] = [join(dir, 'one'), join(dir, 'two')]
    const port = await freePort()
    mkdirSync(two)
    writeFileSync(join(two, database), 'no folder')
    const pgbosun = await configured({
      backup: {
        store: undefined,
        stores: [one, two].map((folder) => pathToFileURL(folder).href),
        schedule: '0 3 * * *',
      },
      more: { serve: { listen: `127.0.0.1:${port}` } },
    })
    const status = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/status.json`)
      const { conditions, backups } = (await response.json()) as Status
      return { names: conditions.map(({ name }) => name), id: backups[0]?.last_success_id }
    }
    const until = async (isSo: (found: Awaited<ReturnType<typeof status>>) => boolean) => {
      let found: Awaited<ReturnType<typeof status>> | undefined
      const deadline = Date.now() + 40_000
      while (!found || !isSo(found)) {
        if (Date.now() > deadline) throw new Error(`it stays ${JSON.stringify(found)}`)
        await sleep(100)
        found = await status().catch(() => undefined)
      }
      return found
    }
    const stop = async ({ child, finished }: ReturnType<Pgbosun['start']>) => {
      child.kill('SIGTERM')
      expect((await finished).code).toBe(0)
    }
    const first = pgbosun.start('serve')
    const { id } = await until(({ names, id }) => names.includes('store-unreadable') && id != null)
    expect(backupsIn(one, database)).toEqual([id])
    await stop(first)

    rmSync(join(two, database))
    const second = pgbosun.start('serve')
    await until(() => backupsIn(two, database).includes(id!))
    expect(objects(join(two, database, id!))).toEqual(objects(join(one, database, id!)))
    await stop(second)
    expect((await second.finished).stderr).toContain('copied a backup to the store that lacked it')
  })
})

type Status = { conditions: { name: string }[]; backups: { last_success_id: string | null }[] }

/** Ids of the complete backups in a folder. */
const backupsIn = (store: string, database: string): string[] =>
  existsSync(join(store, database))
    ? readdirSync(join(store, database)).filter((name) => existsSync(join(store, database, name, 'manifest.json')))
    : []
