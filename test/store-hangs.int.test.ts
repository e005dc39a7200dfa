import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { encodeName } from '../src/archive/layout.ts'
import { storeApart } from '../src/store/apart.ts'
import { getText, putText } from '../src/store/pack.ts'
import { until as bounded } from '../src/store/until.ts'
import { client, filesBelow, test } from './support/backup.ts'
import { until } from './support/chaos.ts'
import { start } from './support/cli.ts'
import { urlOf, writeFiles } from './support/postgres.ts'

/** Processes that make the file calls of a store. */
const processesOf = (store: string): number[] =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => commandOf(pid).includes(`folder-program`) && commandOf(pid).includes(pathToFileURL(store).href))
    .map(Number)

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Opening a FIFO that nobody writes to never returns. */
const fifo = (path: string) => execFileSync('mkfifo', [path])

/** A file system on which every change waits, uninterruptibly, until it is thawed: as on a hard NFS mount whose server is gone. */
async function onFreezer(dir: string, use: (volume: { path: string; freeze(): void; thaw(): void }) => Promise<void>) {
  const [image, path] = [join(dir, 'image'), join(dir, 'volume')]
  mkdirSync(path)
  try {
    execFileSync('truncate', ['-s', '64M', image])
    execFileSync('mkfs.ext4', ['-q', image], { stdio: 'pipe' })
    execFileSync('mount', ['-o', 'loop', image, path], { stdio: 'pipe' })
  } catch {
    return false
  }
  const freezer = (flag: string) => execFileSync('fsfreeze', [flag, path], { stdio: 'pipe' })
  let isFrozen = false
  const thaw = () => {
    if (isFrozen) freezer('-u')
    isFrozen = false
  }
  const freeze = () => {
    freezer('-f')
    isFrozen = true
  }
  try {
    await use({ path: join(path, 'store'), freeze, thaw })
  } finally {
    thaw()
    execFileSync('umount', ['-l', path])
  }
  return true
}

const freezerNeeds = 'NOT RUN: a file system that hangs needs root, a loop device, mkfs.ext4 and fsfreeze'

describe('a file call that never returns', () => {
  test('is given up some seconds after the work was told to stop, and its process is gone', async ({ store }) => {
    mkdirSync(join(store, 'shop'), { recursive: true })
    fifo(join(store, 'shop/x'))
    const apart = storeApart(pathToFileURL(store).href)
    const stop = new AbortController()
    const mine = bounded(apart, stop.signal)
    await putText(mine, 'shop/y', 'y')
    const hanging = expect(mine.read('shop/x')).rejects.toMatchObject({
      kind: 'backup',
      message: `${pathToFileURL(store).href} does not answer: a file call has not returned`,
      reason: 'store-unreadable',
    })
    expect(await getText(mine, 'shop/y')).toBe('y')
    expect(processesOf(store)).toHaveLength(1)
    const stoppedAt = performance.now()
    stop.abort()
    expect(await getText(mine, 'shop/y')).toBe('y')
    await hanging
    expect(performance.now() - stoppedAt).toBeLessThan(10_000)
    await until('it is gone', () => processesOf(store).length === 0)

    // nothing more for whoever was told to stop; others get a new one
    const again = performance.now()
    await expect(mine.delete('shop/y')).rejects.toMatchObject({ kind: 'backup' })
    expect(performance.now() - again).toBeLessThan(1_000)
    expect(await getText(apart, 'shop/y')).toBe('y')
    apart.giveUp(new Error('the test is over'))
  })

  test.for(['open', 'read'])('leaves no process behind when ours is killed with -9 (%s)', async (what, { store }) => {
    mkdirSync(join(store, 'shop'), { recursive: true })
    fifo(join(store, 'shop/x'))
    const module = join(import.meta.dirname, '../src/store/apart.ts')
    const call =
      what === 'open'
        ? `const upload = await store.open('shop/z'); await upload.write(Buffer.from('z'))`
        : `store.read('shop/x')`
    const script = `import { storeApart } from ${JSON.stringify(module)}
      const store = storeApart(${JSON.stringify(pathToFileURL(store).href)})
      await store.folders('')
      ${call}
      console.log('ready')
      setInterval(() => {}, 1000)`
    const ours = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(ours.stdout, 'data')
    expect(processesOf(store)).toHaveLength(1)
    ours.kill('SIGKILL')
    await until('it is gone', () => processesOf(store).length === 0)
    expect(filesBelow(store).filter((path) => !path.endsWith('.partial'))).toEqual([])
  })
})

test('however often a store that hangs is asked, one process hangs there, and once it answers all is well', {
  timeout: 60_000,
}, async ({ dir, skip }) => {
  const done = await onFreezer(dir, async ({ path, freeze, thaw }) => {
    const apart = storeApart(pathToFileURL(path).href)
    await putText(apart, 'shop/x', 'x')
    const [pid] = processesOf(path)
    freeze()
    const stopped = AbortSignal.abort()
    for (let i = 0; i < 3; i++) {
      const startedAt = performance.now()
      await expect(putText(bounded(apart, stopped), 'shop/y', 'y')).rejects.toMatchObject({
        message: expect.stringContaining('does not answer'),
      })
      expect(performance.now() - startedAt).toBeLessThan(i === 0 ? 10_000 : 3_000)
      // killed, and still there; the kernel may take a moment to take its command line away
      expect([existsSync(`/proc/${pid}`), processesOf(path).filter((one) => one !== pid)]).toEqual([true, []])
    }
    thaw()
    await until('it is gone', () => !existsSync(`/proc/${pid}`))
    await putText(apart, 'shop/y', 'again')
    expect(await getText(apart, 'shop/y')).toBe('again')
    apart.giveUp(new Error('the test is over'))
  })
  if (!done) skip(freezerNeeds)
})

describe.skipIf(!client)('a store that hangs', () => {
  test('keeps neither a backup beyond backup.timeout nor its lock', { timeout: 120_000 }, async ({
    configured,
    database,
    dir,
    skip,
  }) => {
    const done = await onFreezer(dir, async ({ path, freeze, thaw }) => {
      const { runJson } = await configured({ backup: { store: pathToFileURL(path).href, timeout: '2s' } })
      mkdirSync(path)
      freeze()
      const startedAt = performance.now()
      const { code, json } = await runJson('backup')
      expect(performance.now() - startedAt).toBeLessThan(20_000)
      expect(code).toBe(60)
      expect(json.error).toMatchObject({
        kind: 'backup',
        message: `the backup of ${database} failed: it took longer than backup.timeout (2s): ${pathToFileURL(path).href} does not answer: a file call has not returned`,
        hint: expect.stringContaining('file server'),
      })
      thaw()
      const patient = await configured({ backup: { store: pathToFileURL(path).href } })
      const again = await patient.runJson('backup')
      expect(again.json).toMatchObject({ exit_code: 0 })
      expect(new Set(filesBelow(path).map((file) => file.split('/')[1]))).toEqual(new Set([again.json.id]))
    })
    if (!done) skip(freezerNeeds)
  })

  test('leaves serve alive: it answers, says what is wrong, makes the next backup, and ends when asked to', {
    timeout: 180_000,
  }, async ({ database, dir, skip }) => {
    const done = await onFreezer(dir, async ({ path, freeze, thaw }) => {
      mkdirSync(path)
      const port = await freePort()
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          backup: { store: pathToFileURL(path).href, schedule: '* * * * *', timeout: '2s' },
          serve: { listen: `127.0.0.1:${port}` },
        }),
      })
      const status = async () =>
        (await (await fetch(`http://127.0.0.1:${port}/status.json`)).json()) as {
          backups: { running: boolean; last_error: string | null; last_success_at: string | null }[]
          conditions: { name: string }[]
        }
      freeze()
      const { child, finished } = start(['serve', '--no-up'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      try {
        const failed = await until('it failed', async () => {
          const { backups, conditions } = await status().catch(() => ({ backups: [], conditions: [] }))
          const { last_error: error = null, running = true } = backups[0] ?? {}
          return error === null || running ? undefined : { error, conditions }
        })
        expect(failed.error).toContain('it took longer than backup.timeout (2s)')
        expect(failed.conditions.map(({ name }) => name)).toContain('backup-failed')
        thaw()
        await expect
          .poll(async () => (await status()).backups[0]?.last_success_at, { timeout: 100_000, interval: 500 })
          .not.toBe(null)
        freeze()
        child.kill('SIGTERM')
        expect((await finished).code).toBe(0)
      } finally {
        child.kill('SIGKILL')
      }
    })
    if (!done) skip(freezerNeeds)
  })

  test('does not keep what reads it from ending with SIGTERM', async ({ pgbosun, store, database }) => {
    const { json } = await pgbosun.runJson('backup')
    const dump = join(store, encodeName(database), json.id as string, 'dump.zst')
    rmSync(dump)
    fifo(dump)
    const { child, finished } = pgbosun.start('backup', 'verify')
    const reads = () => processesOf(store).some((pid) => waitsForFifo(pid))
    await until('it waits', reads)
    child.kill('SIGTERM')
    const stoppedAt = performance.now()
    const { code, stderr } = await finished
    expect([code, stderr]).toEqual([143, expect.stringContaining('stopped by SIGTERM')])
    expect(performance.now() - stoppedAt).toBeLessThan(12_000)
    await until('no process stays', () => processesOf(store).length === 0)
  })
})

/** Whether one of its threads is opening a FIFO. */
const waitsForFifo = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).some((thread) =>
    /wait_for_partner/.test(readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8')),
  )

describe.skipIf(!client)('the process of the store', () => {
  test('killed in the middle of a dump: exit 60, nothing is visible, and the next run removes what stayed', async ({
    pgbosun,
    sql,
    store,
  }) => {
    await sql.unsafe(
      `create table big as select i, (select string_agg(md5(random()::text || i || j), '') from generate_series(1, 30) j) as t from generate_series(1, 60000) i`,
    )
    const { finished } = pgbosun.start('backup', '--json')
    const writes = () => filesBelow(store).some((path) => /dump\.zst\.[0-9a-f]+\.partial$/.test(path))
    const [pid] = await until('it writes', () => (writes() ? processesOf(store) : undefined))
    process.kill(pid!, 'SIGKILL')
    const { code, stdout } = await finished
    expect(code).toBe(60)
    expect(JSON.parse(stdout).error).toMatchObject({
      message: expect.stringContaining(
        `the process that reads and writes ${pathToFileURL(store).href} was ended by SIGKILL`,
      ),
      hint: expect.stringContaining('memory limit'),
    })
    expect((await pgbosun.runJson('backup', 'list')).json.backups).toEqual([])
    const again = await pgbosun.runJson('backup')
    expect(again.json).toMatchObject({ exit_code: 0 })
    const left = filesBelow(store).filter((path) => !path.includes('/failed/'))
    expect(left.every((path) => path.includes(`/${again.json.id}/`) && !path.endsWith('.partial'))).toBe(true)
  })
})
