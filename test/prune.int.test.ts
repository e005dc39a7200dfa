import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { openCatalog } from '../src/archive/catalog.ts'
import type { Manifest } from '../src/archive/manifest.ts'
import { writePin } from '../src/archive/pin.ts'
import { pruneStore } from '../src/backup/prune.ts'
import { configSchema } from '../src/config/schema.ts'
import { silentLog } from '../src/log.ts'
import { localStore } from '../src/store/local.ts'
import type { Store } from '../src/store/store.ts'
import { run, runJson } from './support/cli.ts'
import { test as base, writeFiles } from './support/postgres.ts'

type Fields = { series?: Partial<Manifest['series']>; verified_at?: string | null }

/** `shop`: a folder with a configuration and a store in it, and ways to fill, prune and look at the store. */
const test = base.extend<{ shop: Shop }>({
  shop: async ({ dir }, use) => {
    const root = join(dir, 'backups')
    const configure = (backup: object) =>
      writeFiles(dir, { 'pgbosun.json': JSON.stringify({ backup: { store: pathToFileURL(root).href, ...backup } }) })
    await use({
      root,
      store: localStore(pathToFileURL(root).href),
      configure,
      add: async (startedAt, fields = {}, database = 'shop') => {
        const id = idOf(startedAt)
        const files = {
          'dump.zst': 'data',
          'globals.sql.zst': 'role',
          'manifest.json': JSON.stringify(manifest(startedAt, database, fields)),
        }
        await writeFiles(join(root, database, id), files)
        return id
      },
      prune: (...args) => runJson(['backup', 'prune', ...args], { cwd: dir }),
      text: (...args) => run(['backup', 'prune', ...args], { cwd: dir }),
      ids: (database = 'shop') => (existsSync(join(root, database)) ? readdirSync(join(root, database)).sort() : []),
    })
  },
})

type Shop = {
  root: string
  store: Store
  configure(backup: object): Promise<void>
  /** A complete backup; returns its id. */
  add(startedAt: string, fields?: Fields, database?: string): Promise<string>
  prune(...args: string[]): ReturnType<typeof runJson>
  text(...args: string[]): ReturnType<typeof run>
  ids(database?: string): string[]
}

const idOf = (startedAt: string) => `${new Date(startedAt).toISOString().replaceAll(/[-:]|\.\d+/g, '')}-0a1b2c3d`

function manifest(startedAt: string, database: string, { series, verified_at = null }: Fields): Manifest {
  const at = new Date(startedAt).toISOString()
  return {
    schema_version: 1,
    id: idOf(startedAt),
    series: { name: 'default', system_identifier: '7000000000000000001', database, kind: 'logical', ...series },
    slot: null,
    started_at: at,
    finished_at: at,
    duration_ms: 0,
    tool_version: '0',
    server_version: '15.0',
    server_version_num: 150000,
    client_version: '15.0',
    lsn: null,
    database: {
      name: database,
      owner: 'postgres',
      encoding: 'UTF8',
      locale_provider: 'libc',
      collate: 'C',
      ctype: 'C',
      locale: null,
      icu_rules: null,
      connection_limit: -1,
      acl: null,
      settings: [],
      comment: null,
      size_bytes: 0,
    },
    roles: [],
    extensions: [],
    migration: null,
    rows: {},
    objects: ['dump.zst', 'globals.sql.zst'].map((name) => ({ name, size_bytes: 4, sha256: '0'.repeat(64) })),
    dump_size_bytes: 0,
    warnings: [],
    verified_at,
  }
}

const day = (number: number) => `2026-03-${String(number).padStart(2, '0')}T03:00:00Z`

describe('backup prune', () => {
  test('deletes what no rule keeps, says why, and then finds nothing', async ({ shop }) => {
    await shop.configure({ keep: { daily: 2, weekly: 2 } })
    for (const number of [1, 5, 6, 7, 8]) await shop.add(day(number))
    const { code, stdout } = await shop.text()
    expect([code, stdout.replaceAll('-0a1b2c3d', '')]).toMatchInlineSnapshot(`
      [
        0,
        "keep    shop  20260308T030000Z  newest; daily 2026-03-08; weekly 2026-W10
      keep    shop  20260307T030000Z  daily 2026-03-07
      delete  shop  20260306T030000Z  daily 2026-03-06: not among the newest 2; weekly 2026-W10: 20260308T030000Z is newer
      delete  shop  20260305T030000Z  daily 2026-03-05: not among the newest 2; weekly 2026-W10: 20260308T030000Z is newer
      keep    shop  20260301T030000Z  weekly 2026-W09
      2 deleted, 3 kept
      ",
      ]
    `)
    expect(shop.ids()).toEqual([1, 7, 8].map((number) => idOf(day(number))))
    expect((await shop.text()).stdout).toMatch('0 deleted, 3 kept')
    expect(shop.ids()).toHaveLength(3)
  })

  test('a dry run deletes nothing, and may look at another time', async ({ shop }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [1, 2, 3]) await shop.add(day(number))
    const { code, json } = await shop.prune('--dry-run', '--now', '2026-03-02T03:30:00Z')
    const items = (json.backups as { store?: string }[]).map(({ store, ...item }) => item)
    expect([code, items]).toEqual([
      0,
      [
        { id: idOf(day(3)), database: 'shop', action: 'keep', reasons: ['starts in the future'] },
        {
          id: idOf(day(2)),
          database: 'shop',
          action: 'keep',
          reasons: ['newest', 'younger than an hour', 'last 1 of 1'],
        },
        { id: idOf(day(1)), database: 'shop', action: 'delete', reasons: ['last 1: it is number 2'] },
      ],
    ])
    expect(shop.ids()).toHaveLength(3)
  })

  test('keeps everything of the last seven days by default, in the zone that is configured', async ({ shop }) => {
    await shop.configure({})
    for (const number of [1, 2, 8]) await shop.add(day(number))
    expect((await shop.prune()).code).toBe(0)
    expect(shop.ids()).toEqual([2, 8].map((number) => idOf(day(number))))

    await shop.configure({ keep: { daily: 7 }, timezone: 'Asia/Tokyo' })
    const { json } = await shop.prune('--dry-run')
    expect(json.backups).toMatchObject([{ reasons: ['newest', 'daily 2026-03-08'] }, { reasons: ['daily 2026-03-02'] }])
    await shop.configure({ keep: { daily: 7 }, timezone: 'America/New_York' })
    expect((await shop.prune('--dry-run')).json.backups).toMatchObject([
      { reasons: ['newest', 'daily 2026-03-07'] },
      {},
    ])
  })

  test('refuses to delete most of the backups at once, unless told so', async ({ shop }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [1, 2, 3, 4, 5]) await shop.add(day(number))
    const dry = await shop.prune('--dry-run')
    expect([dry.code, dry.json.warnings]).toEqual([
      0,
      ['without --force nothing is deleted: 4 of the 5 backups of shop (cluster 7000000000000000001) would be deleted'],
    ])
    const refused = await shop.prune()
    expect([refused.code, refused.json.error]).toMatchObject([
      60,
      { kind: 'backup', message: expect.stringContaining('4 of the 5') },
    ])
    expect(shop.ids()).toHaveLength(5)
    expect((await shop.prune('--force')).code).toBe(0)
    expect(shop.ids()).toEqual([idOf(day(5))])
  })

  test('keeps databases, clusters and names apart', async ({ shop, dir }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [1, 2]) await shop.add(day(number))
    await shop.add(day(3), { series: { system_identifier: '7000000000000000002' } })
    for (const number of [4, 5, 6]) await shop.add(day(number), { series: { name: 'hourly' } })
    for (const number of [1, 2]) await shop.add(day(number), {}, 'shop-test')

    const env = { DATABASE_URL: 'postgres://nobody@nowhere.invalid/shop-test' }
    const one = await runJson(['backup', 'prune', '--database', 'shop-test'], { cwd: dir, env })
    expect([one.code, one.json.backups]).toMatchObject([0, [{ action: 'keep' }, { action: 'delete' }]])
    expect([shop.ids('shop-test'), shop.ids().length]).toEqual([[idOf(day(2))], 6])
    expect((await shop.prune()).json.backups).toHaveLength(4)
    expect(shop.ids()).toEqual([2, 3, 4, 5, 6].map((number) => idOf(day(number))))
  })

  test('keeps of each schedule what its own rules keep, and what it says is too much', async ({ shop }) => {
    const schedules = [
      { name: 'hourly', schedule: '@hourly', keep: { last: 2 } },
      { name: 'daily', schedule: '@daily' },
    ]
    await shop.configure({ keep: { last: 1 }, schedules })
    const of = (schedule: string) => ({ series: { schedule } })
    for (const number of [1, 2, 3]) await shop.add(day(number), of('hourly'))
    for (const number of [4, 5]) await shop.add(day(number), of('daily'))
    for (const number of [6, 7]) await shop.add(day(number), of('no longer there'))
    for (const number of [8, 9]) await shop.add(day(number))
    expect((await shop.prune()).code).toBe(0)
    expect(shop.ids()).toEqual([2, 3, 5, 7, 9].map((number) => idOf(day(number))))

    await shop.configure({ schedules: [{ name: 'hourly', schedule: '@hourly', keep: { last: 1 } }] })
    for (const number of [10, 11, 12, 13]) await shop.add(day(number), of('hourly'))
    expect((await shop.prune()).json).toMatchObject({
      exit_code: 60,
      error: {
        message:
          'nothing was deleted: 5 of the 6 backups of shop (schedule hourly, cluster 7000000000000000001) would be deleted',
      },
    })
  })

  test('keeps and reports what it cannot read, and never touches what is no backup', async ({ shop }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [2, 3]) await shop.add(day(number))
    const broken = idOf(day(9))
    const files = {
      [`${broken}/manifest.json`]: '{ half',
      [`${idOf(day(1))}/dump.zst`]: 'no manifest',
      'failed/x.json': '{}',
      'note.txt': 'mine',
    }
    await writeFiles(join(shop.root, 'shop'), files)

    const { code, json } = await shop.prune()
    expect([code, json.warnings, json.backups]).toMatchObject([
      0,
      [
        expect.stringMatching(
          `^the backup ${broken} of shop cannot be read: .*; it is kept, but the rules do not count it$`,
        ),
      ],
      [{ action: 'keep', reasons: ['newest', 'last 1 of 1'] }, { action: 'delete' }, { id: broken, action: 'keep' }],
    ])
    expect(shop.ids()).toEqual([idOf(day(1)), idOf(day(3)), broken, 'failed', 'note.txt'])
  })

  test('keeps the newest backup that was verified, however old it is', async ({ shop }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [1, 2, 3, 4]) await shop.add(day(number), { verified_at: number === 2 ? day(2) : null })
    await writeFiles(join(shop.root, 'shop', idOf(day(4))), {
      'verified.json': JSON.stringify({
        id: idOf(day(4)),
        level: 'decode',
        ok: false,
        problem: 'bit flip',
        verified_at: day(5),
      }),
    })
    await shop.prune()
    expect(shop.ids()).toEqual([2, 3, 4].map((number) => idOf(day(number))))
  })

  test('an empty or absent store is nothing to do', async ({ shop }) => {
    await shop.configure({})
    expect((await shop.prune()).json).toMatchObject({ exit_code: 0, backups: [] })
    expect(existsSync(shop.root)).toBe(false)
  })

  test.skipIf(process.getuid?.() === 0)('a store that may not be written is exit 60', async ({ shop }) => {
    await shop.configure({ keep: { last: 1 } })
    for (const number of [1, 2]) await shop.add(day(number))
    await chmod(join(shop.root, 'shop', idOf(day(1))), 0o500)
    const { code, json } = await shop.prune()
    await chmod(join(shop.root, 'shop', idOf(day(1))), 0o700)
    expect([code, json.error?.message]).toEqual([60, expect.stringContaining('permission denied')])
  })

  test.for([
    [['--now', '2026-01-01T00:00:00Z'], '--now needs --dry-run'],
    [['--dry-run', '--now', 'tomorrow'], '--now tomorrow is not an instant'],
    [['--dry-run', '--now', '2026-01-01T00:00:00'], '--now 2026-01-01T00:00:00 is not an instant'],
    [['--dryrun'], 'unknown flag --dryrun; did you mean --dry-run?'],
  ] as const)('%j is exit 2', async ([args, message], { shop }) => {
    await shop.configure({})
    expect((await shop.prune(...args)).json).toMatchObject({ exit_code: 2, error: { message } })
  })

  test.for([
    [{ keep: {} }, 'backup.keep: would keep nothing'],
    [{ keep: { daily: 0, within: '0d' } }, 'backup.keep: would keep nothing'],
    [{ keep: 'some' }, 'backup.keep: write rules like { daily: 7, weekly: 4 }, or all'],
    [{ keep: { dayly: 7 } }, 'backup.keep.dayly: unknown key; did you mean daily?'],
    [{ timezone: 'Europe/Nowhere' }, 'backup.timezone: unknown time zone Europe/Nowhere'],
    [{ schedule: '0 0 3 * * *' }, 'backup.schedule: has 6 fields, not five'],
    [{ schedule: '0 25 * * *' }, 'backup.schedule: 25 is not a valid hour'],
    [{ schedules: [{ name: 'a', schedule: '0 25 * * *' }] }, 'backup.schedules.0.schedule: 25 is not a valid hour'],
    [
      { schedule: '@daily', schedules: [{ name: 'a', schedule: '@hourly' }] },
      'backup.schedules: `schedule` is set, too: name that schedule in this list, and remove it there',
    ],
    [
      { schedules: ['@daily', '@hourly'].map((schedule) => ({ name: 'a', schedule })) },
      'backup.schedules: two schedules have the same name',
    ],
    [{ schedules: [{ name: '../a', schedule: '@daily' }] }, 'backup.schedules.0.name: write at most 63 letters'],
    [{ schedules: [{ name: '', schedule: '@daily' }] }, 'backup.schedules.0.name: write at most 63 letters'],
    [{ schedules: [] }, 'backup.schedules'],
    [{ schedules: [{ name: 'a', schedule: '@daily', keep: { last: 0 } }] }, 'keep: would keep nothing'],
    [{ retries: -1 }, 'backup.retries'],
    [{ jitter: 'soon' }, 'backup.jitter: write a number and a unit'],
  ] as const)('the configuration %j is exit 2', async ([backup, message], { shop }) => {
    await shop.configure(backup)
    expect((await shop.prune()).json).toMatchObject({
      exit_code: 2,
      error: { message: expect.stringContaining(message) },
    })
  })
})

test('rules can come from the environment', async ({ shop, dir }) => {
  const prune = (env: Record<string, string>) => runJson(['backup', 'prune', '--dry-run'], { cwd: dir, env })
  await shop.configure({})
  for (const number of [1, 2]) await shop.add(day(number))
  const actions = async (env: Record<string, string>) =>
    ((await prune(env)).json.backups as { action: string }[]).map(({ action }) => action)
  expect(await actions({ PGBOSUN_BACKUP_KEEP_LAST: '1' })).toEqual(['keep', 'delete'])
  expect(await actions({ PGBOSUN_BACKUP_KEEP: 'all' })).toEqual(['keep', 'keep'])
  const both = await prune({ PGBOSUN_BACKUP_KEEP_LAST: '1', PGBOSUN_BACKUP_KEEP: 'all' })
  expect(both.json).toMatchObject({
    exit_code: 2,
    error: { message: expect.stringContaining('PGBOSUN_BACKUP_KEEP_LAST: cannot be set') },
  })
})

describe('interrupted anywhere', () => {
  const policy = configSchema.parse({ backup: { keep: { last: 1 } } }).backup
  const options = { now: new Date(), log: silentLog }
  const wholeBackups = ({ root, ids }: Shop) =>
    ids().filter((id) => {
      const files = readdirSync(join(root, 'shop', id))
      if (files.includes('manifest.json'))
        expect(files.sort()).toEqual(['dump.zst', 'globals.sql.zst', 'manifest.json'])
      return files.includes('manifest.json')
    })

  test('no manifest is left without its data', async ({ shop }) => {
    for (let steps = 0; ; steps++) {
      for (const number of [1, 2, 3]) await shop.add(day(number))
      let left = steps
      const failing: Store = {
        ...shop.store,
        delete: async (key) => {
          if (left-- === 0) throw new Error('killed')
          await shop.store.delete(key)
        },
      }
      const finished = await pruneStore(
        openCatalog(failing, () => []),
        policy,
        options,
      ).then(
        () => true,
        () => false,
      )
      expect(wholeBackups(shop)).toContain(idOf(day(3)))
      if (finished) break
    }
    expect(wholeBackups(shop)).toEqual([idOf(day(3))])
  })

  test('two prunes at once do what one does', async ({ shop }) => {
    for (const number of [1, 2, 3, 4]) await shop.add(day(number))
    const prune = () =>
      pruneStore(
        openCatalog(shop.store, () => []),
        policy,
        options,
      )
    await Promise.all([prune(), prune()])
    expect(shop.ids()).toEqual([idOf(day(4))])
  })
})

describe('a backup that was planned to be deleted', () => {
  const policy = configSchema.parse({ backup: { keep: { last: 1 } } }).backup
  const hourMs = 3_600_000

  test('is kept when somebody pins it meanwhile', async ({ shop }) => {
    const [older] = [await shop.add(day(1)), await shop.add(day(2))]
    const catalog = openCatalog(shop.store, () => [])
    await catalog.update('shop')
    await writePin(shop.store, { database: 'shop', id: older }, { note: '', at: new Date() })
    const { items } = await pruneStore(catalog, policy, { now: new Date(), log: silentLog })
    expect(items.find(({ id }) => id === older)).toMatchObject({ action: 'keep', reasons: ['pinned'] })
    expect(shop.ids()).toContain(older)
  })

  test.for([
    { name: 'whoever reads it has a clock that is behind', readerMs: -5 * hourMs, nowMs: 0, ageMs: 0, kept: true },
    { name: 'the clock here is ahead', readerMs: 0, nowMs: 5 * hourMs, ageMs: 0, kept: true },
    { name: 'nobody reads it any more', readerMs: -2 * hourMs, nowMs: 0, ageMs: 2 * hourMs, kept: false },
  ])('is kept by a lease whatever the clocks say: $name', async ({ readerMs, nowMs, ageMs, kept }, { shop }) => {
    const [older] = [await shop.add(day(1)), await shop.add(day(2))]
    const lease = join(shop.root, 'shop', older, 'lease-0a1b2c3d.json')
    writeFileSync(lease, JSON.stringify({ expires_at: new Date(Date.now() + readerMs + hourMs).toISOString() }))
    const writtenAt = new Date(Date.now() - ageMs)
    utimesSync(lease, writtenAt, writtenAt)
    const { items } = await pruneStore(
      openCatalog(shop.store, () => []),
      policy,
      {
        now: new Date(Date.now() + nowMs),
        log: silentLog,
      },
    )
    expect(items.find(({ id }) => id === older)?.action).toBe(kept ? 'keep' : 'delete')
    expect(shop.ids().includes(older)).toBe(kept)
    if (kept)
      expect(readdirSync(join(shop.root, 'shop', older)).filter((name) => name.startsWith('lease-'))).toHaveLength(1)
  })
})
