import { randomBytes } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { readProblem, writeProblem } from './problem.ts'
import type { Store, Stored, Upload } from './store.ts'

/** An unfinished upload: `dump.zst.1a2b3c4d.partial`. */
const partial = /\.partial$/

/** Dumps hold everything that is in a database: nothing for others. */
const folderMode = 0o750
const fileMode = 0o640

/**
 * A store in a folder, which need not exist yet.
 * @param url `file:///backups`
 */
export function localStore(url: string): Store {
  const root = fileURLToPath(url)
  const place = { name: url, root }
  const pathOf = (key: string) => join(root, ...partsOf(key))

  return {
    name: url,
    open: (key) => translated(place, () => openUpload(place, pathOf(key))),
    read: (key) => readObject(place, pathOf(key)),
    list: (prefix) => listObjects(place, prefix),
    async folders(prefix) {
      const entries = await entriesOf(place, join(root, ...partsOf(prefix)))
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    },
    async delete(key) {
      await translated(place, async () => {
        await rm(pathOf(key), { force: true })
        await removeEmpty(root, dirname(pathOf(key)))
      })
    },
    async checkWritable() {
      await translated(place, async () => {
        const upload = await openUpload(place, join(root, '.probe'))
        await upload.write(Buffer.from('pgbosun'))
        await upload.abort()
      })
    },
    async freeBytes() {
      const { bavail, bsize } = await statfs(await nearestFolder(root))
      return bavail * bsize
    },
    sweep: (prefix, olderThanMs) => translated(place, () => sweepPartials(place, prefix, olderThanMs)),
  }
}

/** Where a store is: its name for messages, its folder for the system. */
export type StoreFolder = { name: string; root: string }

/** The parts of a key or a prefix. A name that no key can have would be passed over by `list`. */
function partsOf(key: string): string[] {
  const parts = key.split('/').filter((part, i, all) => part !== '' || i < all.length - 1)
  const wrong = parts.find((part) => !isName(part) || partial.test(part))
  if (wrong !== undefined) throw new Error(`not a key: ${key}`)
  return parts
}

/** Other files may lie in a volume: `lost+found`, snapshots, what a person put there. */
const isName = (name: string) => /^[A-Za-z0-9_%-][A-Za-z0-9_.%-]*$/.test(name)

async function translated<T>(place: StoreFolder, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw await writeProblem(place, error)
  }
}

async function openUpload({ name, root }: StoreFolder, path: string): Promise<Upload> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.partial`
  let handle: FileHandle | undefined = await openNew(temporary)
  const close = async () => {
    const closing = handle
    handle = undefined
    await closing?.close()
  }
  return {
    async write(chunk) {
      await translated({ name, root }, async () => {
        for (let at = 0; at < chunk.length; ) at += (await handle!.write(chunk, at)).bytesWritten
      })
    },
    async commit() {
      await translated({ name, root }, async () => {
        await handle!.sync()
        await close()
        await rename(temporary, path)
        // the file, its folder, and those that were made for it
        for (let folder = dirname(path); ; folder = dirname(folder)) {
          await syncFolder(folder)
          if (folder === root || folder === dirname(folder)) break
        }
      })
    },
    async abort() {
      await close().catch(() => {})
      await rm(temporary, { force: true })
      await removeEmpty(root, dirname(path))
    },
  }
}

/** Somebody may remove the folder, being empty, between its making and the making of the file in it. */
async function openNew(path: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    await mkdir(dirname(path), { recursive: true, mode: folderMode })
    try {
      return await open(path, 'wx', fileMode)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 5) throw error
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function readObject(place: StoreFolder, path: string): Promise<Readable> {
  try {
    const handle = await open(path, 'r')
    const { size } = await handle.stat()
    // half a megabyte for each of 10,000 manifests, and again to see their ends, would be gigabytes
    const end = size > 0 ? { end: size - 1 } : {}
    return handle.createReadStream({ highWaterMark: Math.max(1, Math.min(size, 512 * 1024)), ...end })
  } catch (error) {
    throw codeOf(error) === 'ENOENT' ? error : await readProblem(place, error)
  }
}

/** What lies in a folder and has the name of a key, in the order of the names. */
async function entriesOf(place: StoreFolder, folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter(({ name }) => isName(name)).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw await readProblem(place, error)
  }
}

async function* files(place: StoreFolder, prefix: string): AsyncGenerator<Stored & { path: string }> {
  for (const entry of await entriesOf(place, join(place.root, prefix))) {
    const key = `${prefix}${entry.name}`
    if (entry.isDirectory()) yield* files(place, `${key}/`)
    else if (entry.isFile()) {
      const path = join(place.root, key)
      const { size, mtime } = await stat(path).catch(() => ({ size: undefined, mtime: undefined }))
      if (size !== undefined) yield { key, sizeBytes: size, modifiedAt: mtime, path }
    }
  }
}

async function* listObjects(place: StoreFolder, prefix: string): AsyncGenerator<Stored> {
  for await (const { key, sizeBytes, modifiedAt } of files(place, `${partsOf(prefix).join('/')}${prefix && '/'}`))
    if (!partial.test(key)) yield { key, sizeBytes, modifiedAt }
}

async function sweepPartials(place: StoreFolder, prefix: string, olderThanMs: number): Promise<string[]> {
  const swept: string[] = []
  for await (const { key, path, modifiedAt } of files(place, `${partsOf(prefix).join('/')}${prefix && '/'}`)) {
    if (!partial.test(key) || Date.now() - modifiedAt.getTime() < olderThanMs) continue
    await rm(path, { force: true })
    await removeEmpty(place.root, dirname(path))
    swept.push(key)
  }
  return swept
}

/** Removes a folder and those above it as long as they are empty, but not the root. */
async function removeEmpty(root: string, folder: string): Promise<void> {
  for (let path = folder; path.startsWith(join(root, '/')); path = dirname(path)) {
    try {
      await rmdir(path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue
      if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return
      throw error
    }
  }
}

async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined)
    if (found !== undefined || folder === dirname(folder)) return folder
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code
