import { randomBytes } from 'node:crypto'
import { type Dirent, type Stats, stat as statFile } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, statfs } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { makeFolder } from '../machine/make-folder.ts'
import { isDeleted, nearestFolder, removeEmpty, syncFolder } from './folders.ts'
import { isName, partial, partsOf } from './keys.ts'
import { deletedFolder, readProblem, writeProblem } from './problem.ts'
import type { Store, Stored, Upload } from './store.ts'
import { type Sweeping, sweepWith, type Unfinished } from './sweeping.ts'

/** Dumps contain everything in a database, so other users get no access. */
const folderMode = 0o750
const fileMode = 0o640

/**
 * A store in a folder, which does not have to exist yet.
 * @param url `file:///backups`
 */
export function localStore(url: string): Store & Sweeping & Opening {
  const root = fileURLToPath(url)
  const place = { name: url, root }
  const pathOf = (key: string) => join(root, ...partsOf(key))
  const sweeping: Sweeping = {
    unfinished: (prefix) => translated(place, () => findUnfinished(place, prefix)),
    clear: (left) => translated(place, () => clear(place, left)),
  }

  return {
    ...sweeping,
    openObject: (key) => openObject(place, pathOf(key)),
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
    sweep: (prefix, olderThanMs) => sweepWith(sweeping, prefix, olderThanMs),
    // what hangs in a thread of this process stays there
    giveUp() {},
    rest() {},
  }
}

/** A store's name, for messages, and its folder. */
export type StoreFolder = { name: string; root: string }

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
        // sync the file's folder, and those above it that may have been created for it
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

/** Another process may remove the empty folder between its creation and that of the file in it. */
async function openNew(path: string): Promise<FileHandle> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeFolder(dirname(path), folderMode)
      return await open(path, 'wx', fileMode)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 5) throw error
    }
  }
}

/** An object for whoever reads it without a stream. The handle is the caller's to close. */
export type Opening = { openObject(key: string): Promise<{ handle: FileHandle; size: number }> }

async function readObject(place: StoreFolder, path: string): Promise<Readable> {
  const { handle, size } = await openObject(place, path)
  // a buffer of half a megabyte for each of 10,000 manifests, and another to see their ends, would be gigabytes
  const end = size > 0 ? { end: size - 1 } : {}
  return handle.createReadStream({ highWaterMark: Math.max(1, Math.min(size, 512 * 1024)), ...end })
}

async function openObject(place: StoreFolder, path: string): ReturnType<Opening['openObject']> {
  try {
    const handle = await open(path, 'r')
    try {
      return { handle, size: (await handle.stat()).size }
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw codeOf(error) === 'ENOENT' ? error : await readProblem(place, error)
  }
}

/** Entries of a folder whose names can be parts of keys, in the order of their names. */
async function entriesOf(place: StoreFolder, folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    if (entries.length === 0) await refuseDeleted(place)
    return entries.filter(({ name }) => isName(name)).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw await readProblem(place, error)
    await refuseDeleted(place)
    return []
  }
}

/** A root that was deleted under a mount looks empty, which says nothing about the backups. */
async function refuseDeleted(place: StoreFolder): Promise<void> {
  if (await isDeleted(place.root)) throw await readProblem(place, deletedFolder(place.root))
}

/**
 * So many folders, and so many files of each, are looked at at once. Measured with 10,000 backups: half of the processor time
 * of one after the other, as the threads that do it need not be woken for each.
 */
const atOnce = 32

type Found = { name: string; isFolder: boolean; stats: Stats | undefined }

/** What lies in a folder, with the size and the age of each file that is wanted. A file that is gone meanwhile has none. */
async function look(place: StoreFolder, folder: string, isWanted: (name: string) => boolean): Promise<Found[]> {
  const found: Found[] = []
  const wanted: Found[] = []
  for (const entry of await entriesOf(place, folder)) {
    const one: Found = { name: entry.name, isFolder: entry.isDirectory(), stats: undefined }
    found.push(one)
    if (entry.isFile() && isWanted(entry.name)) wanted.push(one)
  }
  for (let at = 0; at < wanted.length; at += atOnce) await readStats(folder, wanted.slice(at, at + atOnce))
  return found
}

/** With callbacks, which cost half of what promises do. */
const readStats = (folder: string, files: Found[]) =>
  new Promise<void>((resolve) => {
    let left = files.length
    for (const file of files)
      statFile(join(folder, file.name), (error, stats) => {
        if (!error) file.stats = stats
        if (--left === 0) resolve()
      })
  })

type Walk = { isWanted: (name: string) => boolean; onEmpty?: ((folder: string) => void) | undefined }

/** All wanted files below a folder in the order of their names. Memory is needed for the names of one folder, and little more. */
async function* files(
  place: StoreFolder,
  prefix: string,
  { isWanted, onEmpty }: Walk,
  found?: Found[],
): AsyncGenerator<Stored> {
  const all = found ?? (await look(place, join(place.root, prefix), isWanted))
  if (all.length === 0) onEmpty?.(join(place.root, prefix))
  for (let at = 0; at < all.length; at += atOnce) {
    const some = all.slice(at, at + atOnce)
    const below = await Promise.all(
      some.map(({ name, isFolder }) => (isFolder ? look(place, join(place.root, prefix, name), isWanted) : undefined)),
    )
    for (const [i, { name, stats }] of some.entries()) {
      if (below[i]) yield* files(place, `${prefix}${name}/`, { isWanted, onEmpty }, below[i])
      else if (stats) yield { key: `${prefix}${name}`, sizeBytes: stats.size, modifiedAt: stats.mtime }
    }
  }
}

const folderPrefix = (prefix: string) => `${partsOf(prefix).join('/')}${prefix && '/'}`

const listObjects = (place: StoreFolder, prefix: string): AsyncGenerator<Stored> =>
  files(place, folderPrefix(prefix), { isWanted: (name) => !partial.test(name) })

async function findUnfinished(place: StoreFolder, prefix: string): Promise<Unfinished> {
  const left: Unfinished = { files: [], emptyFolders: [] }
  // empty ones are of whoever was killed before the first file
  const walk: Walk = {
    isWanted: (name) => partial.test(name),
    onEmpty: (folder) => void left.emptyFolders.push(relative(place.root, folder)),
  }
  for await (const { key, modifiedAt } of files(place, folderPrefix(prefix), walk))
    left.files.push({ key, modifiedAtMs: modifiedAt.getTime() })
  return left
}

async function clear({ root }: StoreFolder, { files, emptyFolders }: Unfinished): Promise<void> {
  for (const { key } of files) {
    const path = join(root, key)
    await rm(path, { force: true })
    await removeEmpty(root, dirname(path))
  }
  for (const folder of emptyFolders) await removeEmpty(root, join(root, folder))
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code
