import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { storeApart } from '../src/store/apart.ts'
import { localStore } from '../src/store/local.ts'
import { putText } from '../src/store/pack.ts'
import { collect, storeContract } from './contracts/store.ts'

const dir = mkdtempSync(join(tmpdir(), 'pgbosun-store-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let counter = 0
const folder = () => join(dir, `store ${++counter} 100%`)
const url = (path: string) => pathToFileURL(path).href
const isRoot = process.getuid?.() === 0

storeContract('a folder', async () => localStore(url(folder())))
storeContract('a folder, by a process of its own', async () => storeApart(url(folder())))

describe('a folder as a store', () => {
  test('passes over what else lies in a volume', async () => {
    const root = folder()
    await putText(localStore(url(root)), 'shop/1/a', 'x')
    for (const name of ['lost+found', '.snapshot', 'shop/.cache']) mkdirSync(join(root, name))
    for (const name of ['.hidden', 'READ ME', 'shop/.DS_Store', 'shop/1/a~']) writeFileSync(join(root, name), 'x')
    expect(await localStore(url(root)).folders('')).toEqual(['shop'])
    expect((await collect(localStore(url(root)).list(''))).map(({ key }) => key)).toEqual(['shop/1/a'])
  })

  test('lists more than is looked at at once, everything with its size', async () => {
    const root = folder()
    const names = Array.from({ length: 150 }, (_, i) => String(i).padStart(3, '0'))
    const keys = [
      'shop/000',
      ...names.map((name) => `shop/0a/${name}`),
      ...names.map((name) => `shop/${name}-/x`),
    ].sort()
    for (const [i, key] of keys.entries()) await putText(localStore(url(root)), key, 'x'.repeat(i % 7))
    const listed = (await collect(localStore(url(root)).list('shop/'))).map(({ key, sizeBytes }) => [key, sizeBytes])
    expect(listed.sort()).toEqual(keys.map((key, i) => [key, i % 7]))
  })

  test('loses empty folders when it is swept, and no others', async () => {
    const root = folder()
    mkdirSync(join(root, 'shop/1/below'), { recursive: true })
    mkdirSync(join(root, 'shop/2'))
    writeFileSync(join(root, 'shop/2/READ ME'), 'x')
    expect(await localStore(url(root)).sweep('shop/', 0)).toEqual([])
    expect(await localStore(url(root)).folders('shop/')).toEqual(['2'])
  })

  test('a store in a folder is closed to others', async () => {
    const root = folder()
    await putText(localStore(url(root)), 'shop/1/a', 'x')
    expect(statSync(join(root, 'shop/1/a')).mode & 0o007).toBe(0)
    expect(statSync(join(root, 'shop/1')).mode & 0o007).toBe(0)
  })

  test('leaves nothing behind when it is asked whether it can be written', async () => {
    const root = folder()
    await localStore(url(root)).checkWritable()
    expect(readdirSync(root)).toEqual([])
  })

  test('a file in place of the folder of a store is named', async () => {
    const root = folder()
    writeFileSync(root, 'x')
    const problem = { kind: 'backup', message: expect.stringMatching(/cannot be written: .* is not a folder/) }
    await expect(localStore(url(root)).checkWritable()).rejects.toMatchObject(problem)
    await expect(localStore(url(join(root, 'below'))).open('shop/x')).rejects.toMatchObject(problem)
  })

  test.skipIf(isRoot)('without permission it says who owns it and who we are', async () => {
    const root = folder()
    mkdirSync(root)
    chmodSync(root, 0o555)
    await expect(localStore(url(root)).checkWritable()).rejects.toMatchObject({
      kind: 'backup',
      message: expect.stringMatching(
        /permission denied .*belongs to uid \d+, gid \d+, mode 555; pgbosun runs as uid \d+/,
      ),
      hint: expect.stringContaining('fsGroup'),
    })
  })

  test.runIf(isRoot)('without permission it says who owns it and who we are (as another user)', () => {
    const root = folder()
    mkdirSync(root)
    chmodSync(dir, 0o755)
    const local = join(import.meta.dirname, '../src/store/local.ts')
    const script = `import { localStore } from ${JSON.stringify(local)}; process.setgid(65534); process.setuid(65534);
      await localStore(${JSON.stringify(url(root))}).checkWritable().catch(({ kind, message, hint }) => console.log(JSON.stringify({ kind, message, hint })))`
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(JSON.parse(out)).toEqual({
      kind: 'backup',
      message: `${url(root)} cannot be written: permission denied (${root} belongs to uid 0, gid 0, mode 755; pgbosun runs as uid 65534, gid 65534)`,
      hint: 'chown 65534:65534 that folder; in Kubernetes, set securityContext.fsGroup: 65534',
    })
  })
})

describe('a folder that takes nothing', () => {
  test('is an error at once where the system has no room for folders', async () => {
    const store = localStore('file:///proc/nope')
    await expect(store.checkWritable()).rejects.toMatchObject({
      kind: 'backup',
      message: 'file:///proc/nope cannot be written: ENOENT at /proc/nope',
    })
    expect(await store.folders('')).toEqual([])
  })

  test('is named where it was deleted under a bind mount', async ({ skip }) => {
    const [source, root] = [folder(), folder()]
    for (const path of [source, root]) mkdirSync(path)
    try {
      execFileSync('mount', ['--bind', source, root], { stdio: 'pipe' })
    } catch {
      return skip('NOT RUN: a bind mount needs root')
    }
    try {
      rmdirSync(source)
      mkdirSync(source)
      const store = localStore(url(root))
      const problem = (what: string) => ({
        kind: 'backup',
        message: `${url(root)} cannot be ${what}: the folder ${root} was deleted under us`,
      })
      await expect(store.checkWritable()).rejects.toMatchObject(problem('written'))
      await expect(store.open('shop/1/dump.zst')).rejects.toMatchObject(problem('written'))
      // an empty store would be a lie
      await expect(store.folders('')).rejects.toMatchObject({ ...problem('read'), reason: 'store-unreadable' })
      await expect(collect(store.list('shop/'))).rejects.toMatchObject(problem('read'))
    } finally {
      execFileSync('umount', ['-l', root])
    }
  })
})

/** Mounts a file system for one test; undefined where we may not. */
function mounted(options: string): { path: string; remount(options: string): void; end(): void } | undefined {
  const path = mkdtempSync(join(tmpdir(), 'pgbosun-tmpfs-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path], { stdio: 'pipe' })
  } catch {
    rmSync(path, { recursive: true })
    return undefined
  }
  return {
    path,
    remount: (more) => execFileSync('mount', ['-o', `remount,${more}`, path], { stdio: 'pipe' }),
    end() {
      execFileSync('umount', ['-l', path])
      rmSync(path, { recursive: true })
    },
  }
}

describe('a file system', () => {
  test('that is full is named, and an aborted upload gives its space back', async ({ skip }) => {
    const volume = mounted('size=1m')
    if (!volume) return skip('NOT RUN: mounting a tmpfs needs root')
    try {
      const store = localStore(url(volume.path))
      const upload = await store.open('shop/1/dump.zst')
      await expect(upload.write(Buffer.alloc(2_000_000))).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringContaining('no space left'),
      })
      await upload.abort()
      expect(readdirSync(volume.path)).toEqual([])
      expect(await store.freeBytes()).toBe(1024 * 1024)
    } finally {
      volume.end()
    }
  })

  test('a folder that is read-only is named', async ({ skip }) => {
    const volume = mounted('size=1m')
    if (!volume) return skip('NOT RUN: mounting a tmpfs needs root')
    try {
      volume.remount('ro')
      await expect(localStore(url(volume.path)).checkWritable()).rejects.toMatchObject({
        kind: 'backup',
        message: expect.stringContaining('read-only file system'),
      })
      expect(existsSync(volume.path)).toBe(true)
    } finally {
      volume.end()
    }
  })
})
