import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { openCatalog } from '../src/archive/catalog.ts'
import { eachOf, severalStores } from '../src/archive/several.ts'
import { copyBackup } from '../src/backup/copy.ts'
import { openPlaces } from '../src/backup/places.ts'
import { AppError } from '../src/errors.ts'
import { silentLog } from '../src/log.ts'
import { localStore } from '../src/store/local.ts'
import { putText } from '../src/store/pack.ts'
import type { Store } from '../src/store/store.ts'
import { backUp, test as base, client, filesBelow } from './support/backup.ts'
import { urlOf } from './support/postgres.ts'

type World = {
  one: string
  two: string
  three: string
  open(folder: string): Store
  /** A backup in the first two stores. */
  made(): Promise<string>
  copy(id: string, from: Store, to: Store): ReturnType<typeof copyBackup>
}

const test = base.extend<{ world: World }>({
  world: async ({ dir, database }, use) => {
    const [one, two, three] = ['one', 'two', 'three'].map((name) => join(dir, name)) as [string, string, string]
    const open = (folder: string) => localStore(pathToFileURL(folder).href)
    await use({
      ...{ one, two, three, open },
      made: async () => {
        const store = severalStores([open(one), open(two)])
        return (await backUp(one, urlOf(database), { store, counts: 'none' })).id
      },
      copy: (id, from, to) =>
        copyBackup(
          { database, id },
          {
            ...{ from, to, secrets: [], log: silentLog, signal: new AbortController().signal },
            now: () => new Date(),
            warn() {},
          },
        ),
    })
  },
})

const storeIn = (dir: string, name: string): Store => localStore(pathToFileURL(join(dir, name)).href)

const broken = () => new AppError('backup', 'the disk is gone')

describe.skipIf(!client)('a copy that fails', () => {
  test('removes no copy that somebody else has finished meanwhile, nor one that is being made', async ({
    world: { one, two, three, open, made, copy },
    database,
  }) => {
    const id = await made()
    const [from, to] = [open(one), open(three)]
    const finished: Store = {
      ...to,
      async open(key, bytes) {
        if (key.endsWith('globals.sql.zst')) {
          await copy(id, open(two), to)
          throw broken()
        }
        return to.open(key, bytes)
      },
    }
    await expect(copy(id, from, finished)).rejects.toThrow('the disk is gone')
    expect(await openCatalog(to, () => []).update(database)).toMatchObject([{ id, verification: { ok: true } }])
    expect(filesBelow(three)).toHaveLength(3)

    rmSync(three, { recursive: true })
    const failsInside: Store = {
      ...to,
      async open(key, bytes) {
        if (key.endsWith('globals.sql.zst'))
          await expect(copy(id, open(two), { ...to, checkWritable: () => Promise.reject(broken()) })).rejects.toThrow()
        return to.open(key, bytes)
      },
    }
    await copy(id, from, failsInside)
    expect(await openCatalog(to, () => []).update(database)).toMatchObject([{ id, verification: { ok: true } }])
  })

  test('leaves no manifest without what it names', async ({ world: { one, three, open, made, copy }, database }) => {
    const id = await made()
    const to = open(three)
    const emptied: Store = {
      ...to,
      async open(key, bytes) {
        if (key.endsWith('globals.sql.zst')) rmSync(join(three, database, id, 'dump.zst'))
        return to.open(key, bytes)
      },
    }
    await expect(copy(id, open(one), emptied)).rejects.toMatchObject({ kind: 'backup' })
    expect(filesBelow(three)).toEqual([])
  })

  test('blames the store that it is copied to, and reads no other copy', async ({
    world: { one, two, three, open, made, copy },
    database,
  }) => {
    const id = await made()
    const from = severalStores([open(one), open(two)])
    await openCatalog(from, () => []).update(database)
    const to = open(three)
    let opened = 0
    const forgetful: Store = {
      ...to,
      async open(key, bytes) {
        const upload = await to.open(key, bytes)
        if (!key.endsWith('dump.zst')) return upload
        opened++
        return { ...upload, write: async (chunk) => upload.write(Buffer.alloc(chunk.length)) }
      },
    }
    await expect(copy(id, from, forgetful)).rejects.toMatchObject({ kind: 'backup', reason: undefined })
    expect(opened).toBe(1)
    expect(filesBelow(three)).toEqual([])
  })
})

describe.skipIf(!client)('a copy', () => {
  test('is pinned where any copy is, and replaces one of which something is missing', async ({
    world: { one, two, three, open, made, copy },
    database,
  }) => {
    const id = await made()
    writeFileSync(join(two, database, id, 'pin-0a1b2c3d.json'), '{"note":"audit"}')
    const from = severalStores([open(one), open(two)])
    const catalog = openCatalog(from, () => [])
    await catalog.update(database)
    await copy(id, from, open(three))
    expect(readdirSync(join(three, database, id))).toContain('pin-0a1b2c3d.json')

    rmSync(join(three, database, id, 'dump.zst'))
    const { planCopies } = await import('../src/backup/copy-plan.ts')
    const all = await openCatalog(severalStores([open(one), open(three)]), () => []).update(database)
    const there = await openCatalog(open(three), () => []).update(database)
    const policy = { name: 'default', keep: 'all', schedules: undefined, timezone: 'UTC' } as const
    expect(planCopies(all, there, policy, new Date()).map((backup) => backup.id)).toEqual([id])
    // nothing to take it from
    expect(planCopies(there, there, policy, new Date())).toEqual([])
    await copy(id, from, open(three))
    expect(existsSync(join(three, database, id, 'dump.zst'))).toBe(true)
  })
})

describe.skipIf(!client)('what is read of several stores', () => {
  test('goes on from the next copy, though they are listed again meanwhile', async ({
    world: { one, two, open, made },
    database,
  }) => {
    const id = await made()
    const store = severalStores([open(one), open(two)])
    const catalog = openCatalog(store, () => [])
    await catalog.update(database)
    const folder = `${database}/${id}/`
    const second = eachOf(store)[1]
    expect(store.several!.next(folder)).toBe(second)
    await catalog.update(database)
    expect(store.several!.current(folder)).toBe(second)
  })

  test('is deleted where it is, and a store that cannot be read is not asked', async ({
    world: { one, two, open, made },
    database,
  }) => {
    const id = await made()
    rmSync(two, { recursive: true })
    writeFileSync(two, 'no folder')
    const store = severalStores([open(one), open(two)])
    await openCatalog(store, () => []).update(database)
    const key = `${database}/${id}/pin-0a1b2c3d.json`
    await putText(store, key, '{}')
    await store.delete(key)
    expect(readdirSync(join(one, database, id))).not.toContain('pin-0a1b2c3d.json')
  })

  test('names only stores with a good copy, where there is one', async ({
    world: { one, two, open, made },
    database,
  }) => {
    const id = await made()
    writeFileSync(join(one, database, id, 'manifest.json'), '{}')
    const catalog = openCatalog(severalStores([open(one), open(two)]), () => [])
    expect(await catalog.update(database)).toMatchObject([{ id, stores: [pathToFileURL(two).href] }])
  })
})

describe('the stores of a backup', () => {
  const lag = { mostBytes: 100, fullMs: 200, stalledMs: 100 }
  const options = { log: silentLog, signal: new AbortController().signal, lag }

  test('do not wait for ever for one that does not end an object', async ({ dir }) => {
    const [one, two] = [storeIn(dir, 'one'), storeIn(dir, 'two')]
    const hanging: Store = {
      ...two,
      open: async (key) => ({ ...(await two.open(key)), commit: () => new Promise<void>(() => {}) }),
    }
    const places = openPlaces([one, hanging], options)
    const upload = await places.open('a')
    await upload.write(Buffer.from('a'))
    await upload.commit()
    expect(places.live()).toEqual([one])
    expect(readdirSync(join(dir, 'one'))).toEqual(['a'])
    expect(filesBelow(join(dir, 'two'))).toEqual([])
  })

  test('fail because of the one that is full, where room can be made in it', async ({ dir }) => {
    mkdirSync(join(dir, 'one'))
    const one = storeIn(dir, 'one')
    const full = new AppError('backup', 'no space', { reason: 'store-full' })
    const places = openPlaces(
      [
        { ...one, open: () => Promise.reject(broken()) },
        { ...one, name: 'two' },
      ],
      options,
    )
    await places.each((store) => putText(store, 'a', 'a'))
    const failing = places.each(() => Promise.reject(full))
    await expect(failing).rejects.toBe(full)
    expect(places.live()).toHaveLength(1)
  })
})
