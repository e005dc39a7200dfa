import { appendFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { listBackups, removeBackup } from '../src/archive/backup.ts'
import { openCatalog, readBackups } from '../src/archive/catalog.ts'
import { keepFewRecords, recordVerification } from '../src/archive/records.ts'
import { recordRestoreTest } from '../src/archive/restore-test.ts'
import { AppError } from '../src/errors.ts'
import { silentLog } from '../src/log.ts'
import { localStore } from '../src/store/local.ts'
import { counting } from './support/counting.ts'
import { manifestOf, putBackup, putMany } from './support/many.ts'
import { test as base } from './support/postgres.ts'

const verdicts = (backups: { verification: { ok: boolean } | undefined }[]) =>
  backups.map(({ verification }) => verification?.ok)

/** `shop`: a store of 60 backups of a database of that name, and a catalogue of it that was just read. */
const test = base.extend<{ shop: Awaited<ReturnType<typeof makeShop>> }>({
  shop: async ({ dir }, use) => use(await makeShop(join(dir, 'store'))),
})

/** Later than every one before: records are named by the millisecond. */
async function instant(): Promise<Date> {
  await sleep(2)
  return new Date()
}

async function makeShop(root: string) {
  const ids = putMany(root, 'shop', 60)
  const { store, asked } = counting(localStore(pathToFileURL(root).href))
  const clock = { ms: 0 }
  const catalog = openCatalog(
    store,
    () => [],
    () => clock.ms,
  )
  const first = await catalog.update('shop')
  expect(first.map(({ id }) => id)).toEqual(ids)
  return {
    ids,
    store,
    asked,
    catalog,
    clock,
    path: (id: string, name: string) => join(root, 'shop', id, name),
    add: () => putBackup(root, manifestOf('shop', new Date(), 'ffff0000')),
    records: (id: string) =>
      readdirSync(join(root, 'shop', id))
        .filter((name) => name.startsWith('verified'))
        .sort(),
    /** As another process does it. */
    verify: async (id: string, ok: boolean) =>
      recordVerification(
        localStore(pathToFileURL(root).href),
        { database: 'shop', id },
        { at: await instant(), ok, problem: ok ? null : 'bad' },
      ),
  }
}

describe('a catalogue', () => {
  test('lists once and reads each manifest once; a second look is one listing', async ({ shop }) => {
    expect(shop.asked().sort()).toEqual(['list shop/', ...shop.ids.map((id) => `read shop/${id}/manifest.json`)])
    expect((await shop.catalog.update('shop')).map(({ id }) => id)).toEqual(shop.ids)
    expect(shop.asked()).toEqual(['list shop/'])
  })

  test('sees what another process has added and removed, and reads only what is new', async ({ shop }) => {
    shop.asked()
    await removeBackup(localStore(shop.store.name), { database: 'shop', id: shop.ids[3]! })
    const newer = shop.add()
    const found = await shop.catalog.update('shop')
    expect(found.map(({ id }) => id)).toEqual([...shop.ids.filter((id) => id !== shop.ids[3]), newer])
    expect(shop.asked()).toEqual(['list shop/', `read shop/${newer}/manifest.json`])
  })

  test('sees what another process has found out about any backup, and reads it once', async ({ shop }) => {
    const id = shop.ids[7]!
    const verdict = async () => verdicts(await shop.catalog.update('shop'))[7]
    expect(await verdict()).toBe(true)
    for (const ok of [false, true]) {
      await shop.verify(id, ok)
      shop.asked()
      expect([await verdict(), await verdict()]).toEqual([ok, ok])
      // only the new one: those before were read, and never change
      expect(shop.asked()).toEqual(['list shop/', `read shop/${id}/${shop.records(id).at(-1)}`, 'list shop/'])
    }
    await shop.verify(id, false)
    expect(await verdict()).toBe(false)
    expect(shop.records(id)).toHaveLength(3)
    rmSync(shop.path(id, shop.records(id)[2]!))
    expect(await verdict()).toBe(true)
    for (const name of shop.records(id)) rmSync(shop.path(id, name))
    expect(await verdict()).toBe(true)
  })

  test('reads what older versions wrote about a verification, and counts what is newer', async ({ shop }) => {
    const id = shop.ids[7]!
    const verdict = async () => verdicts(await shop.catalog.update('shop'))[7]
    const old = (at: Date, ok: boolean) =>
      writeFileSync(
        shop.path(id, 'verified.json'),
        JSON.stringify({ id, level: 'decode', ok, problem: null, verified_at: at.toISOString() }),
      )
    old(await instant(), false)
    expect(await verdict()).toBe(false)
    await shop.verify(id, true)
    expect(await verdict()).toBe(true)
    expect(verdicts(await readBackups(shop.store, 'shop', []))[7]).toBe(true)
    // an older version, elsewhere, replaces it
    old(await instant(), false)
    expect(await verdict()).toBe(false)
    expect(verdicts(await readBackups(shop.store, 'shop', []))[7]).toBe(false)
  })

  test('keeps two records of each kind, the newest; where none may be deleted, all stay', async ({ shop }) => {
    const which = { database: 'shop', id: shop.ids[7]! }
    const test = { ok: true, problem: null, durationMs: 1, server: 'x' }
    for (let i = 0; i < 3; i++) {
      await recordRestoreTest(shop.store, which, { at: await instant(), ...test }, undefined, [])
      await shop.verify(which.id, i === 2)
    }
    writeFileSync(shop.path(which.id, 'verified-20200101T000000000Z.json'), 'not ours')
    const before = shop.records(which.id)
    const locked = {
      ...shop.store,
      async delete() {
        throw new AppError('backup', 'it is locked', { reason: 'delete-refused' })
      },
    }
    await keepFewRecords(locked, which, { secrets: [], log: silentLog })
    expect(shop.records(which.id)).toEqual(before)
    await keepFewRecords(shop.store, which, { secrets: [], log: silentLog })
    expect(shop.records(which.id)).toEqual([before[0], ...before.slice(3)])
    const found = (await shop.catalog.update('shop'))[7]
    expect(found).toMatchObject({ verification: { ok: true }, restoreTest: { ok: true } })
  })

  test('takes nothing for verified of which an object is gone or has another size, until it is there again', async ({
    shop,
  }) => {
    const [cut, gone, grown, damaged] = shop.ids as [string, string, string, string]
    await shop.verify(damaged, false)
    truncateSync(shop.path(cut, 'dump.zst'), 9)
    renameSync(shop.path(gone, 'dump.zst'), shop.path(gone, 'dump.away'))
    appendFileSync(shop.path(grown, 'globals.sql.zst'), 'x')
    rmSync(shop.path(damaged, 'dump.zst'))
    for (const found of [await shop.catalog.update('shop'), await readBackups(shop.store, 'shop', [])]) {
      expect(found.map(({ id }) => id)).toEqual(shop.ids)
      expect(verdicts(found).slice(0, 5)).toEqual([undefined, undefined, undefined, false, true])
    }
    shop.asked()
    expect(verdicts(await shop.catalog.update('shop')).slice(0, 5)).toEqual([
      undefined,
      undefined,
      undefined,
      false,
      true,
    ])
    expect(shop.asked()).toEqual(['list shop/'])

    renameSync(shop.path(gone, 'dump.away'), shop.path(gone, 'dump.zst'))
    expect(verdicts(await shop.catalog.update('shop')).slice(0, 2)).toEqual([undefined, true])
  })

  test('a manifest that was replaced is read again', async ({ shop }) => {
    appendFileSync(shop.path(shop.ids[0]!, 'manifest.json'), 'x')
    const [first] = await shop.catalog.update('shop')
    expect(first).toMatchObject({ id: shop.ids[0], problem: expect.stringContaining('manifest.json is not JSON') })
  })

  test('lists again only what it listed more than a minute ago, where that is enough', async ({ shop }) => {
    shop.asked()
    expect(await shop.catalog.recent('shop')).toHaveLength(60)
    const newer = shop.add()
    shop.clock.ms += 59_000
    expect(await shop.catalog.recent('shop')).toHaveLength(60)
    expect(shop.asked()).toEqual([])
    shop.clock.ms += 1_000
    expect((await shop.catalog.recent('shop')).at(-1)).toMatchObject({ id: newer })
    expect(shop.asked()).toEqual(['list shop/', `read shop/${newer}/manifest.json`])
  })

  test('knows what this process has done without asking, and reads it once as it is stored', async ({ shop }) => {
    const manifest = manifestOf('shop', new Date(), 'ffff0000')
    putBackup(new URL(shop.store.name).pathname, manifest)
    shop.asked()
    shop.catalog.noteMade(manifest)
    shop.catalog.noteVerification({ database: 'shop', id: shop.ids[5]! }, { at: new Date(), ok: false, problem: 'bad' })
    const known = shop.catalog.known('shop')
    expect(known.at(-1)).toMatchObject({ id: manifest.id, series: manifest.series, verification: { ok: true } })
    expect(verdicts(known)[5]).toBe(false)
    expect(shop.asked()).toEqual([])
    expect((await shop.catalog.update('shop')).at(-1)).toMatchObject({ id: manifest.id })
    expect(shop.asked()).toEqual(['list shop/', `read shop/${manifest.id}/manifest.json`])
  })

  test('removes a backup without listing it again: the manifest first', async ({ shop }) => {
    const [id] = shop.ids as [string]
    await shop.verify(id, true)
    const [record] = shop.records(id)
    await shop.catalog.update('shop')
    shop.asked()
    await shop.catalog.remove({ database: 'shop', id })
    expect(shop.asked()).toEqual(
      ['manifest.json', 'dump.zst', 'globals.sql.zst', record].map((name) => `delete shop/${id}/${name}`),
    )
    expect(shop.catalog.known('shop').map((backup) => backup.id)).toEqual(shop.ids.slice(1))
    expect(await shop.store.folders('shop/')).toEqual(shop.ids.slice(1))
    // what this process has written since then goes too
    const next = { database: 'shop', id: shop.ids[1]! }
    await shop.verify(next.id, true)
    shop.catalog.noteVerification(next, { at: new Date(), ok: true, problem: null })
    await shop.catalog.remove(next)
    expect(await shop.store.folders('shop/')).toEqual(shop.ids.slice(2))
  })

  test('tells ids by one listing, without reading a manifest; what has none is unfinished', async ({ shop }) => {
    rmSync(shop.path(shop.ids[1]!, 'manifest.json'))
    shop.asked()
    expect(await listBackups(shop.store, 'shop')).toEqual(
      shop.ids.filter((id) => id !== shop.ids[1]).map((id) => ({ id, database: 'shop' })),
    )
    expect(shop.asked()).toEqual(['list shop/'])
    await shop.catalog.update('shop')
    expect(shop.catalog.unfinished('shop')).toEqual([shop.ids[1]])
  })
})

describe('a glance at many backups', () => {
  test('lists names, and looks into what is new, unfinished or the newest', async ({ dir }) => {
    const root = join(dir, 'store')
    const ids = putMany(root, 'shop', 400)
    const { store, asked } = counting(localStore(pathToFileURL(root).href))
    const clock = { ms: 0 }
    const catalog = openCatalog(
      store,
      () => [],
      () => clock.ms,
    )
    const glance = async () => (await catalog.glance('shop')).map(({ id }) => id)
    expect(await glance()).toEqual(ids)
    asked()

    expect(await glance()).toEqual(ids)
    expect(asked()).toEqual(['folders shop/', `list shop/${ids.at(-1)}/`])

    rmSync(join(root, 'shop', ids[3]!), { recursive: true })
    const left = ids.filter((id) => id !== ids[3])
    const newer = putBackup(root, manifestOf('shop', new Date(), 'ffff0000'))
    const manifest = join(root, 'shop', newer, 'manifest.json')
    renameSync(manifest, `${manifest}.later`)
    expect(await glance()).toEqual(left)
    expect(catalog.unfinished('shop')).toEqual([newer])
    renameSync(`${manifest}.later`, manifest)
    asked()
    expect(await glance()).toEqual([...left, newer])
    expect(catalog.unfinished('shop')).toEqual([])
    expect(asked()).toEqual([
      'folders shop/',
      `list shop/${newer}/`,
      `read shop/${newer}/manifest.json`,
      `list shop/${ids.at(-1)}/`,
    ])
  })

  test('sees at once that another process found the newest damaged, and an older one within ten minutes', async ({
    dir,
  }) => {
    const root = join(dir, 'store')
    const ids = putMany(root, 'shop', 400)
    const store = localStore(pathToFileURL(root).href)
    const clock = { ms: 0 }
    const catalog = openCatalog(
      store,
      () => [],
      () => clock.ms,
    )
    await catalog.glance('shop')
    const damaged = async () =>
      (await catalog.glance('shop')).filter(({ verification }) => verification?.ok === false).map(({ id }) => id)
    for (const id of [ids[7]!, ids.at(-1)!])
      await recordVerification(store, { database: 'shop', id }, { at: new Date(), ok: false, problem: 'bad' })
    expect(await damaged()).toEqual([ids.at(-1)])
    clock.ms = 600_000
    expect(await damaged()).toEqual([ids[7], ids.at(-1)])
  })
})
