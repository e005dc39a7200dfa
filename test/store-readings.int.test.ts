import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { openCatalog } from '../src/archive/catalog.ts'
import { backupId } from '../src/archive/layout.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { sealManifest } from '../src/archive/seal.ts'
import { loadConfig } from '../src/config/load.ts'
import { AppError } from '../src/errors.ts'
import { silentLog } from '../src/log.ts'
import type { Context } from '../src/run/context.ts'
import { createOutput } from '../src/run/output.ts'
import { catalogOf, scheduledWork } from '../src/serve/on-schedule.ts'
import { pruneOnSchedule } from '../src/serve/scheduled-prune.ts'
import { localStore } from '../src/store/local.ts'
import { backUp, client, test } from './support/backup.ts'
import { counting } from './support/counting.ts'
import { putMany } from './support/many.ts'
import { urlOf, writeFiles } from './support/postgres.ts'

/** A backup of the database for each of the last 60 days, all of them good. Returns their ids, oldest first. */
async function sixtyDays(store: string, database: string): Promise<string[]> {
  const { id: first, manifest } = await backUp(store, urlOf(database))
  const ids = Array.from({ length: 60 }, (_, i) => {
    const at = new Date(Date.now() - (60 - i) * 86_400_000)
    const id = backupId(at, `${first.slice(17, 21)}${i.toString(16).padStart(4, '0')}`)
    cpSync(join(store, database, first), join(store, database, id), { recursive: true })
    const instants = { started_at: at.toISOString(), server_time: null, verified_at: at.toISOString() }
    const older: Manifest = { ...manifest, id, ...instants }
    writeFileSync(join(store, database, id, 'manifest.json'), sealManifest(older))
    return id
  })
  rmSync(join(store, database, first), { recursive: true })
  return ids
}

/** What a command is given, with a configuration that keeps the newest 60. */
async function contextOf(dir: string, store: string, database: string, more: object = {}): Promise<Context> {
  await writeFiles(dir, {
    'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href, keep: { last: 60 }, ...more } }),
  })
  return {
    command: 'serve',
    loaded: await loadConfig({ env: { DATABASE_URL: urlOf(database), PATH: process.env.PATH }, cwd: dir }),
    connection: () => {
      throw new Error('nobody asks for it')
    },
    isTarget: () => true,
    takeLock: false,
    afterRestore: false,
    out: createOutput({ format: 'json', write() {}, warn() {}, terminal: () => undefined, database: () => '' }),
    log: silentLog,
    signal: new AbortController().signal,
    runId: 'test',
    version: 'test',
  }
}

describe.skipIf(!client)('serve', () => {
  test('lists a store once a turn, and twice in one with a backup; reads each small object once', {
    timeout: 60_000,
  }, async ({ dir, store, database }) => {
    const ids = await sixtyDays(store, database)
    const context = await contextOf(dir, store, database)
    const { store: counted, asked } = counting(localStore(pathToFileURL(store).href))
    const { readStore, backUp } = scheduledWork(
      context,
      openCatalog(counted, () => []),
      { loggingIn: (work) => work() },
    )
    const prefix = `${database}/`
    const manifest = (id: string) => `read ${prefix}${id}/manifest.json`

    await readStore(database)
    expect(asked().sort()).toEqual([`list ${prefix}`, ...ids.map(manifest)])
    await readStore(database)
    expect(asked()).toEqual([`list ${prefix}`])

    // a turn with a backup: the oldest is pruned, and the one that is the oldest then is read back
    await readStore(database)
    const { newest } = await backUp(database, new Date(), () => {})
    const all = asked()
    // what is deleted is listed once more just before, by itself: a restore of it may have started
    expect(all.filter((what) => /^(list|folders) /.test(what))).toEqual(
      // and so is what was verified, to remove older records of it
      [prefix, prefix, `${prefix}${ids[0]}/`, `${prefix}${ids[1]}/`].map((what) => `list ${what}`),
    )
    expect(all.filter((what) => what.startsWith('sweep'))).toEqual([`sweep ${prefix}`])
    const small = all.filter((what) => /^read .*json$/.test(what))
    // the marker of the store and the claim of the series, which were not there, and what is read back
    expect(small).toEqual([
      'read pgbosun-store.json',
      expect.stringMatching(`^read ${prefix}series/default-\\d+\\.json$`),
      manifest(ids[1]!),
    ])
    expect(all.filter((what) => /^read .*zst$/.test(what))).toEqual(
      [newest!.id, ids[1]!].flatMap((id) =>
        ['dump.zst', 'globals.sql.zst'].map((name) => `read ${prefix}${id}/${name}`),
      ),
    )
    expect(all.filter((what) => what.startsWith('delete'))).toEqual(
      ['manifest.json', 'dump.zst', 'globals.sql.zst'].map((name) => `delete ${prefix}${ids[0]}/${name}`),
    )

    // what it wrote is new to the next one
    const after = await readStore(database)
    expect(after.newest?.id).toBe(newest!.id)
    expect(asked().sort()).toEqual([
      `list ${prefix}`,
      expect.stringContaining(`read ${prefix}${ids[1]}/verified-`),
      manifest(newest!.id),
    ])
    await readStore(database)
    expect(asked()).toEqual([`list ${prefix}`])
  })

  test('counts what it made although the secret that signs backups was replaced since it started', async ({
    dir,
    store,
    database,
  }) => {
    const file = join(dir, 'sign')
    const [old, replaced] = ['a'.repeat(32), 'b'.repeat(32)]
    writeFileSync(file, old)
    const context = await contextOf(dir, store, database, { sign: { secret: { file } } })
    const catalog = catalogOf(context, localStore(pathToFileURL(store).href))
    const { readStore, backUp } = scheduledWork(context, catalog, { loggingIn: (work) => work() })
    await backUp(database, new Date(Date.now() - 60_000), () => {})
    const first = (await readStore(database)).newest?.id

    writeFileSync(file, `${replaced}\n${old}`)
    const slot = new Date()
    await backUp(database, slot, () => {})
    const { newest } = await readStore(database)
    expect(newest?.id).not.toBe(first)
    expect(newest?.slot).toEqual(slot)
    await backUp(database, slot, () => {})
    expect((await catalog.update(database)).map(({ id, problem }) => [id, problem])).toEqual([
      [first, undefined],
      [newest?.id, undefined],
    ])

    // what the old secret signed is no longer believed once that is gone
    writeFileSync(file, replaced)
    expect((await readStore(database)).firstAt).toEqual(newest?.takenAt)
    expect((await catalog.glance(database)).map(({ unproven }) => unproven)).toEqual([true, false])
  })

  test('knows after a scheduled prune why something was not deleted, until one deletes what it should', async ({
    dir,
  }) => {
    const root = join(dir, 'store')
    putMany(root, 'shop', 8)
    const folder = localStore(pathToFileURL(root).href)
    let isLocked = true
    const store = {
      ...folder,
      async delete(key: string) {
        if (isLocked)
          throw new AppError('backup', 'the store refuses it', { reason: 'delete-refused', hint: 'allow it' })
        await folder.delete(key)
      },
    }
    const prune = async (last: number) => {
      const told: unknown[] = []
      const context = await contextOf(dir, root, 'shop', { keep: { last } })
      const catalog = catalogOf(context, store)
      const error = await pruneOnSchedule(context, { catalog, usable: [catalog] }, 'shop', (...what) => {
        told.push(what)
      }).catch((error: Error) => error)
      return { told, error }
    }
    const message = '2 old backups of shop were not deleted: the store refuses it'
    expect(await prune(6)).toEqual({ told: [['shop', { message, hint: 'allow it' }]], error: undefined })
    isLocked = false
    expect(await prune(1)).toEqual({
      told: [
        [
          'shop',
          {
            message: expect.stringMatching(/^nothing was deleted: 7 of the 8 backups of shop/),
            hint: expect.any(String),
          },
        ],
      ],
      error: expect.any(AppError),
    })
    expect(await prune(6)).toEqual({ told: [['shop', null]], error: undefined })
    expect(await folder.folders('shop/')).toHaveLength(6)
  })
})
