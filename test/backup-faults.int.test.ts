import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { readBackup } from '../src/archive/backup.ts'
import { clusterTag, encodeName } from '../src/archive/layout.ts'
import { verifyBackup } from '../src/backup/verify.ts'
import { silentLog } from '../src/log.ts'
import { databaseObject } from '../src/postgres/lock-keys.ts'
import { localStore } from '../src/store/local.ts'
import { backUp, childrenOf, client, filesBelow, search, test } from './support/backup.ts'
import { full, neverAgain, randomFrom, until, test as withCluster } from './support/chaos.ts'
import { run as runProgram, start as startProgram } from './support/cli.ts'
import { manifestOf, putBackup } from './support/many.ts'
import { open, type Sql, urlOf, writeFiles } from './support/postgres.ts'

const megabytes = 80

/** Enough text for a dump that somebody can get into the middle of. */
const fill = (sql: Sql) =>
  sql.unsafe(
    `create table big as select i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 30) j) as t from generate_series(1, ${megabytes * 1000}) i`,
  )

/** Bytes of the dump that is being written. */
const written = (store: string, database: string) =>
  filesBelow(store).some(
    (path) =>
      path.startsWith(`${encodeName(database)}/`) &&
      /dump\.zst\.[0-9a-f]+\.partial$/.test(path) &&
      sizeOf(join(store, path)) > 500_000,
  )

function sizeOf(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

/** Everything in the store but the records of failures. */
const withoutFailures = (store: string) => filesBelow(store).filter((path) => !path.includes('/failed/'))

const dumping = (database: string) =>
  `select pid from pg_stat_activity where application_name like 'pgbosun backup%' and datname = '${database}' and query like 'COPY%'`

describe.skipIf(!client)('in the middle of a dump', () => {
  test('the lock is lost and its files are swept away: that is the reason, and a slot has no failure', {
    timeout: 60_000,
  }, async ({ sql, store, database }) => {
    await fill(sql)
    const slot = new Date('2026-03-01T12:00:00Z')
    const failed = backUp(store, urlOf(database), { slot }).catch((error: unknown) => error)
    await until('it writes', () => written(store, database))
    const object = databaseObject(database) >>> 0
    const ended = await sql.unsafe(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 1885823586 and objid = ${object}`,
    )
    expect(ended).toHaveLength(1)
    rmSync(join(store, encodeName(database)), { recursive: true, force: true })
    expect(await failed).toMatchObject({
      kind: 'backup',
      message: `the backup of ${database} failed: the connection to the database was lost`,
    })
    expect(filesBelow(store)).toEqual([])
  })

  test('the backend is killed: exit 60, and nothing of it is visible', { timeout: 60_000 }, async ({
    pgbosun,
    sql,
    store,
    database,
  }) => {
    await fill(sql)
    const { finished } = pgbosun.start('backup', '--json')
    await until('it writes', () => written(store, database))
    expect(await sql.unsafe(`select pg_terminate_backend(pid) from (${dumping(database)}) x`)).toHaveLength(1)
    const { code, stdout } = await finished
    expect(code).toBe(60)
    expect(JSON.parse(stdout)).toMatchObject({
      error: { kind: 'backup', message: expect.stringContaining('pg_dump ended with exit code 1') },
      backups: [],
    })
    expect(withoutFailures(store)).toEqual([])
    const [record] = filesBelow(store)
    expect(JSON.parse(readFileSync(join(store, record!), 'utf8'))).toMatchObject({
      database,
      kind: 'backup',
      message: expect.stringContaining('pg_dump'),
      slot: null,
    })
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toEqual([])
    expect((await pgbosun.run('backup')).code).toBe(0)
  })

  test('pg_dump is killed: exit 60; the password was in none of its arguments', { timeout: 60_000 }, async ({
    pgbosun,
    sql,
    store,
    database,
  }) => {
    await fill(sql)
    const { child, finished } = pgbosun.start('backup')
    await until('it writes', () => written(store, database))
    const [pid] = childrenOf(child.pid!, 'pg_dump')
    const password = decodeURIComponent(new URL(urlOf(database)).password)
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).toContain(password)
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(password)
    process.kill(pid!, 'SIGKILL')
    const { code, stderr } = await finished
    expect(code).toBe(60)
    expect(stderr).toContain('pg_dump was ended by SIGKILL, probably because memory ran out')
    expect(stderr).toContain('hint:  raise the memory limit of the container')
    expect(stderr).not.toContain(password)
    expect(withoutFailures(store)).toEqual([])
  })

  test('nothing keeps the snapshot of the database while a backup is read back', { timeout: 60_000 }, async ({
    pgbosun,
    sql,
    database,
  }) => {
    await fill(sql)
    const { child, finished } = pgbosun.start('backup')
    const pid = await until('pg_restore decodes', () => childrenOf(child.pid!, 'pg_restore')[0])
    process.kill(pid, 'SIGSTOP')
    const snapshots = await sql<{ pid: number }[]>`
      select pid from pg_stat_activity where datname = ${database} and backend_xmin is not null and pid <> pg_backend_pid()`
    process.kill(pid, 'SIGCONT')
    expect([...snapshots]).toEqual([])
    expect((await finished).code).toBe(0)
  })

  test('pg_restore is killed while a backup is verified: that does not make the backup a damaged one', {
    timeout: 60_000,
  }, async ({ pgbosun, sql, store, database }) => {
    await fill(sql)
    expect((await pgbosun.run('backup')).code).toBe(0)
    const before = filesBelow(store)
    const { child, finished } = pgbosun.start('backup', 'verify')
    const pid = await until('pg_restore decodes', () => childrenOf(child.pid!, 'pg_restore')[0])
    process.kill(pid, 'SIGKILL')
    const { code, stderr } = await finished
    expect(code, stderr).toBe(60)
    expect(stderr).toContain('pg_restore was ended by SIGKILL, probably because memory ran out')
    expect(stderr).toContain('hint:  raise the memory limit of the container')
    expect(filesBelow(store), database).toEqual(before)
  })

  test.for(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it within seconds, with pg_dump and its session, and leaves nothing',
    { timeout: 60_000 },
    async (signal, { pgbosun, sql, store, database }) => {
      await fill(sql)
      const { child, finished } = pgbosun.start('backup', '--json')
      await until('it writes', () => written(store, database))
      const [pid] = childrenOf(child.pid!, 'pg_dump')
      const asked = performance.now()
      child.kill(signal)
      const { code, stdout } = await finished
      expect(performance.now() - asked).toBeLessThan(10_000)
      expect(code).toBe(signal === 'SIGTERM' ? 143 : 130)
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        error: { hint: 'run it again: it starts from the beginning' },
      })
      expect(filesBelow(store)).toEqual([])
      expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
      await until('its sessions are gone', () =>
        sql`select from pg_stat_activity where application_name like 'pgbosun backup%' and datname = ${database}`.then(
          ({ length }) => length === 0,
        ),
      )
    },
  )

  test('pg_dump that hangs on a lock is ended by SIGTERM too, and by backup.timeout', { timeout: 60_000 }, async ({
    configured,
    sql,
    store,
    database,
  }) => {
    await sql.unsafe('create table t (x int)')
    const holder = open(database)
    await holder.begin(async (transaction) => {
      await transaction.unsafe('lock table t in access exclusive mode')
      const { runJson } = await configured({ backup: { timeout: '1s' } })
      const late = await runJson('backup')
      expect(late.json).toMatchObject({
        exit_code: 60,
        error: { message: expect.stringContaining('it took longer than backup.timeout (1s)') },
      })
      const patient = await configured()
      const { child, finished } = patient.start('backup')
      await until('pg_dump waits', () =>
        sql`select from pg_stat_activity where application_name like 'pgbosun backup%' and datname = ${database} and wait_event_type = 'Lock' and query like 'LOCK%'`.then(
          ({ length }) => length > 0,
        ),
      )
      child.kill('SIGTERM')
      expect((await finished).code).toBe(143)
    })
    await holder.end()
    expect(withoutFailures(store)).toEqual([])
  })

  test('a table that is dropped before pg_dump can lock it: one more attempt, with a new snapshot', {
    timeout: 60_000,
  }, async ({ pgbosun, sql, store, database }) => {
    await sql.unsafe('create table stays (x int); insert into stays values (1); create table goes (x int)')
    const holder = open(database)
    const { finished } = await holder.begin(async (transaction) => {
      await transaction.unsafe('drop table goes; create table comes (x int)')
      const started = pgbosun.start('backup', '--json')
      await until('pg_dump waits', () =>
        sql`select from pg_stat_activity where application_name like 'pgbosun backup%' and datname = ${database} and wait_event_type = 'Lock' and query like 'LOCK%'`.then(
          ({ length }) => length > 0,
        ),
      )
      return started
    })
    await holder.end()
    const { code, stdout, stderr } = await finished
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('trying once more, with a new snapshot')
    const { id } = JSON.parse(stdout)
    const manifest = JSON.parse(readFileSync(join(store, database, id, 'manifest.json'), 'utf8'))
    expect(manifest).toMatchObject({ rows: { 'public.stays': 1, 'public.comes': 0 }, warnings: [] })
    expect(readdirSync(join(store, database)).filter((name) => /^\d/.test(name))).toEqual([id])
  })

  test(`kill -9 at ${full ? 20 : 6} random moments: no incomplete backup is ever visible, and the next run removes what stayed`, {
    ...neverAgain,
    timeout: 300_000,
  }, async ({ pgbosun, sql, store, database }) => {
    await fill(sql)
    const begun = performance.now()
    expect((await pgbosun.run('backup')).code).toBe(0)
    const duration = performance.now() - begun
    const random = randomFrom(Date.now())
    let complete = 1
    for (let i = 0; i < (full ? 20 : 6); i++) {
      const { child, finished } = pgbosun.start('backup')
      await sleep(random() * duration)
      child.kill('SIGKILL')
      const { code } = await finished
      const manifests = filesBelow(store).filter((path) => path.endsWith('/manifest.json'))
      expect(manifests.length - complete, `code ${code}`).toBeLessThanOrEqual(1)
      complete = manifests.length
      const list = (await pgbosun.runJson('backup', 'list')).json
      expect(list.error).toBeNull()
      expect(list.backups).toHaveLength(complete)
    }
    expect((await pgbosun.run('backup')).code).toBe(0)
    expect((await pgbosun.runJson('backup', 'verify', 'all')).json).toMatchObject({ exit_code: 0 })
    const folders = readdirSync(join(store, database)).filter((name) => !['failed', 'series'].includes(name))
    expect(folders).toHaveLength(complete + 1)
    for (const folder of folders)
      expect(readdirSync(join(store, database, folder)).sort()).toEqual([
        'dump.zst',
        'globals.sql.zst',
        'manifest.json',
        expect.stringMatching(/^verified-\d{8}T\d{9}Z\.json$/),
      ])
  })
})

describe.skipIf(!client)('leftovers', () => {
  test('of this cluster are removed by the next run; what another server is writing under the same name stays, for a week', async ({
    sql,
    store,
    database,
  }) => {
    const [row] = await sql<{ id: string }[]>`select system_identifier::text as id from pg_control_system()`
    const [own, foreign] = [clusterTag(row!.id), clusterTag((BigInt(row!.id) + 1n).toString())]
    const now = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
    await writeFiles(join(store, database), {
      [`${now}-${own}0001/dump.zst.1a2b3c4d.partial`]: 'x',
      [`${now}-${own}0002/dump.zst`]: 'x',
      [`${now}-${own}0002/globals.sql.zst`]: 'x',
      [`${now}-${own}0002/manifest.json.1a2b3c4d.partial`]: '{',
      [`${now}-${foreign}0003/dump.zst.1a2b3c4d.partial`]: 'x',
      [`20200101T000000Z-${foreign}0004/dump.zst.1a2b3c4d.partial`]: 'x',
      'notes.txt': 'mine',
    })
    // killed between the making of its folder and the making of the first file
    mkdirSync(join(store, database, `${now}-${own}0005`))
    const { id } = await backUp(store, urlOf(database))
    expect(
      readdirSync(join(store, database))
        .filter((name) => name !== 'series')
        .sort(),
    ).toEqual([`${now}-${foreign}0003`, id, 'notes.txt'].sort())
  })

  test('of failures, the last hundred are kept', async ({ store, database }) => {
    const failed = Object.fromEntries(
      Array.from({ length: 120 }, (_, i) => [
        `2020010${i % 9}T0000${String(i % 60).padStart(2, '0')}Z-${String(i).padStart(8, '0')}.json`,
        '{}',
      ]),
    )
    await writeFiles(join(store, database, 'failed'), failed)
    await expect(backUp(store, urlOf(database), { search: { path: '', packaged: [] } })).rejects.toMatchObject({
      kind: 'backup',
    })
    const left = readdirSync(join(store, database, 'failed'))
    expect(left).toHaveLength(100)
    expect(left.filter((name) => name.startsWith('2020'))).toHaveLength(99)
  })
})

const volume = mkdtempSync(join(tmpdir(), 'pgbosun-volume-'))

/** Uses a small file system of its own; false where we may not mount one. */
async function onVolume(size: string, use: (path: string) => Promise<void>): Promise<boolean> {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', volume], { stdio: 'pipe' })
  } catch {
    return false
  }
  try {
    await use(volume)
  } finally {
    execFileSync('umount', ['-l', volume])
  }
  return true
}

describe.skipIf(!client)('a store', () => {
  test('that cannot be written is refused before the dump begins', async ({ pgbosun, store, dir }) => {
    mkdirSync(join(dir), { recursive: true })
    writeFileSync(store, 'a file')
    const { code, json } = await pgbosun.runJson('backup')
    expect(code).toBe(60)
    expect(json.error).toMatchObject({
      kind: 'backup',
      message: expect.stringMatching(/cannot be .*: .* is not a folder/),
      hint: expect.any(String),
    })
    expect(readFileSync(store, 'utf8')).toBe('a file')
  })

  test('without room for the backup is refused before the dump begins', { timeout: 60_000 }, async ({
    sql,
    database,
    skip,
  }) => {
    await fill(sql)
    const mounted = await onVolume('10m', async (path) => {
      await expect(backUp(join(path, 'store'), urlOf(database))).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringMatching(
          /has only 10\.5 MB of free space, but the backup needs [\d.]+ MB: a quarter of the database/,
        ),
      })
      expect(withoutFailures(path)).toEqual([])
    })
    if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
  })

  const dayMs = 86_400_000
  const none = { within: 0, last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }
  /** As it is made two days from now, when those of today are no longer protected by their age. */
  const inTwoDays = (keep: 'all' | { last: number }) => ({
    now: () => new Date(Date.now() + 2 * dayMs),
    retention: { keep: keep === 'all' ? keep : { ...none, ...keep }, timezone: 'UTC' },
  })
  /** About 1.3 MB as it is stored. */
  const fillAFew = (sql: Sql, name = 'few') =>
    sql.unsafe(`create table ${name} as select md5(random()::text || i) as t from generate_series(1, 70000) i`)
  /** Leaves so much of a volume free. */
  const fillUp = (path: string, leave: number) => {
    const { bavail, bsize } = statfsSync(path)
    writeFileSync(join(path, 'something-else'), Buffer.alloc(Math.max(0, bavail * bsize - leave)))
  }
  const idsIn = (path: string, database: string) =>
    readdirSync(join(path, database))
      .filter((name) => !['failed', 'series'].includes(name))
      .sort()

  test.for([
    ['short of space', 1_000_000],
    ['entirely full', 0],
  ] as const)(
    'that is %s is pruned by the rules first, down to two good backups',
    { timeout: 120_000 },
    async ([, left], { sql, database, skip }) => {
      await fillAFew(sql)
      const mounted = await onVolume('40m', async (path) => {
        const made: string[] = []
        for (let i = 0; i < 4; i++) made.push((await backUp(path, urlOf(database))).id)
        fillUp(path, left)

        // what keeps everything is no reason to delete anything
        await expect(backUp(path, urlOf(database), inTwoDays('all'))).rejects.toMatchObject({
          kind: 'backup',
          message: expect.stringMatching(/(has only|no space left).*; backup.keep keeps every backup that is there$/),
        })
        expect(idsIn(path, database)).toEqual(made.toSorted())
        // nor is anything that is younger than an hour
        await expect(
          backUp(path, urlOf(database), { ...inTwoDays({ last: 1 }), now: () => new Date() }),
        ).rejects.toMatchObject({ kind: 'backup' })
        expect(idsIn(path, database)).toEqual(made.toSorted())

        const { id, warnings } = await backUp(path, urlOf(database), inTwoDays({ last: 1 }))
        expect(idsIn(path, database)).toEqual([...made.slice(2), id].sort())
        expect(warnings).toContain(`2 old backups were deleted to make room: ${made[1]}, ${made[0]}`)
      })
      if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
    },
  )

  test('that is still too full afterwards keeps the two, and says both', { timeout: 120_000 }, async ({
    sql,
    database,
    skip,
  }) => {
    await fillAFew(sql)
    const mounted = await onVolume('40m', async (path) => {
      const made: string[] = []
      for (let i = 0; i < 3; i++) made.push((await backUp(path, urlOf(database))).id)
      fillUp(path, 0)
      await fill(sql)
      await expect(backUp(path, urlOf(database), inTwoDays({ last: 1 }))).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringMatching(
          new RegExp(`(has only|no space left).*; 1 old backup was deleted to make room: ${made[0]}$`),
        ),
      })
      expect(idsIn(path, database)).toEqual(made.slice(1).sort())
    })
    if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
  })

  test('is not pruned of most of a series: that takes --force', { timeout: 120_000 }, async ({
    sql,
    database,
    skip,
  }) => {
    await fillAFew(sql)
    const mounted = await onVolume('40m', async (path) => {
      for (let i = 0; i < 9; i++)
        putBackup(path, manifestOf(database, new Date(Date.now() - (9 - i) * dayMs), `ffff000${i}`))
      fillUp(path, 100_000)
      await expect(backUp(path, urlOf(database), inTwoDays({ last: 1 }))).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringMatching(/; nothing was deleted: 7 of the 9 backups of .* would be deleted$/),
      })
      expect(idsIn(path, database)).toHaveLength(9)
    })
    if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
  })

  test('that fills up in the middle of a dump of more than was expected is pruned, and the backup made again', {
    timeout: 120_000,
  }, async ({ sql, database, skip }) => {
    await fillAFew(sql)
    const mounted = await onVolume('40m', async (path) => {
      const made: string[] = []
      for (let i = 0; i < 4; i++) made.push((await backUp(path, urlOf(database))).id)
      const { size } = statSync(join(path, database, made[0]!, 'dump.zst'))
      await fillAFew(sql, 'as_much_again')
      fillUp(path, 1.5 * size)
      const { id, warnings } = await backUp(path, urlOf(database), inTwoDays({ last: 1 }))
      expect(idsIn(path, database)).toEqual([...made.slice(2), id].sort())
      expect(warnings.join()).toContain('2 old backups were deleted to make room')
    })
    if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
  })

  test('that fills up in the middle of the dump keeps nothing of it, and the older backup', {
    timeout: 60_000,
  }, async ({ sql, database, skip }) => {
    const mounted = await onVolume('10m', async (path) => {
      const { id } = await backUp(path, urlOf(database))
      await fill(sql)
      await expect(backUp(path, urlOf(database))).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringContaining('no space left'),
        hint: expect.stringContaining('prune'),
      })
      expect(new Set(withoutFailures(path).map((file) => file.split('/')[1]))).toEqual(new Set([id]))
      expect(filesBelow(path).filter((file) => file.includes('/failed/'))).toHaveLength(1)
      await sql.unsafe('drop table big')
      expect((await backUp(path, urlOf(database))).existing).toBe(false)
    })
    if (!mounted) skip('NOT RUN: mounting a tmpfs needs root')
  })
})

describe.skipIf(!client)('damage', () => {
  test(`each of ${full ? 200 : 40} random bit flips is found`, { ...neverAgain, timeout: 300_000 }, async ({
    pgbosun,
    sql,
    store,
    database,
  }) => {
    await sql.unsafe('create table t as select i, md5(i::text) from generate_series(1, 20000) i')
    const { id } = await backUp(store, urlOf(database))
    const local = localStore(pathToFileURL(store).href)
    const signal = new AbortController().signal
    const look = async () =>
      verifyBackup(local, (await readBackup(local, database, id, []))!, {
        keys: { identities: [], secrets: [] },
        search,
        signal,
        log: silentLog,
        now: () => new Date(),
      })
    expect(await look()).toMatchObject({ ok: true })

    const seed = Date.now()
    const random = randomFrom(seed)
    for (let i = 0; i < (full ? 200 : 40); i++) {
      const name = ['dump.zst', 'dump.zst', 'globals.sql.zst', 'manifest.json'][Math.floor(random() * 4)]!
      const path = join(store, database, id, name)
      const good = readFileSync(path)
      const flipped = Buffer.from(good)
      const at = Math.floor(random() * good.length)
      flipped[at]! ^= 1 << Math.floor(random() * 8)
      writeFileSync(path, flipped)
      expect(await look(), `seed ${seed}: byte ${at} of ${name}`).toMatchObject({
        ok: false,
        problem: expect.any(String),
      })
      // now and then as users see it
      if (i % 20 === 0) expect((await pgbosun.runJson('backup', 'verify')).code).toBe(61)
      writeFileSync(path, good)
    }
    expect(await look()).toMatchObject({ ok: true })
  })

  test.for(['dump.zst', 'globals.sql.zst'])(
    '%s that is cut off, emptied, too long or gone is found',
    { timeout: 60_000 },
    async (name, { pgbosun, store, database }) => {
      const { id } = await backUp(store, urlOf(database))
      const path = join(store, database, id, name)
      const good = readFileSync(path)
      for (const bytes of [
        good.subarray(0, good.length >> 1),
        good.subarray(0, -1),
        Buffer.alloc(0),
        Buffer.concat([good, good]),
        undefined,
      ]) {
        if (bytes) writeFileSync(path, bytes)
        else rmSync(path)
        const { json } = await pgbosun.runJson('backup', 'verify')
        expect(json).toMatchObject({
          exit_code: 61,
          error: { kind: 'corrupt' },
          results: [{ id, ok: false, problem: expect.stringContaining(name) }],
        })
      }
      expect((await pgbosun.runJson('backup', 'list')).json).toMatchObject({
        exit_code: 0,
        backups: [{ id, verified: false }],
      })
    },
  )

  test('a manifest that belongs to another backup is found', async ({ pgbosun, store, database }) => {
    const [first, second] = [await backUp(store, urlOf(database)), await backUp(store, urlOf(database))]
    const manifest = (id: string) => join(store, database, id, 'manifest.json')
    writeFileSync(manifest(second.id), readFileSync(manifest(first.id)))
    const { json } = await pgbosun.runJson('backup', 'verify', second.id)
    expect(json).toMatchObject({
      exit_code: 61,
      results: [{ problem: `manifest.json belongs to the backup ${first.id} of ${database}` }],
    })
  })
})

withCluster.skipIf(!client)(
  'the server is restarted in the middle of a dump: exit 60, nothing visible, and the next one succeeds',
  { timeout: 120_000 },
  async ({ cluster, dir }) => {
    const store = join(dir, 'backups')
    await cluster.ask(
      `create table big as select i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 30) j) as t from generate_series(1, ${megabytes * 1000}) i`,
    )
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ backup: { store: pathToFileURL(store).href } }) })
    const options = { cwd: dir, env: { DATABASE_URL: cluster.url('postgres') } }
    const { finished } = startProgram(['backup', '--json'], options)
    await until('it writes', () => written(store, 'postgres'))
    await cluster.stop('immediate')
    const { code, stdout } = await finished
    expect(code).toBe(60)
    expect(JSON.parse(stdout)).toMatchObject({ error: { kind: 'backup' }, backups: [] })
    expect(withoutFailures(store)).toEqual([])
    await cluster.start()
    expect((await runProgram(['backup'], options)).code).toBe(0)
    expect((await runProgram(['backup', 'verify'], options)).code).toBe(0)
  },
)
