import { AppError } from '../errors.ts'
import { inEach } from '../store/in-each.ts'
import type { Store, Stored } from '../store/store.ts'
import { backupPrefix, manifestName, startedAtOf } from './layout.ts'

/**
 * Several stores, read as one: each backup from the first that has it whole. One that cannot be listed is left out, and noted. Only what is
 * said about a backup is written through it, next to the copy that is read; backups are written to each store by itself.
 */
export function severalStores(stores: readonly Store[]): Store {
  const having = new Map<string, readonly Store[]>()
  const unread = new Map<Store, Error>()
  const [first] = stores
  const current = (folder: string) => having.get(folder)?.[0] ?? first!

  /** What every store that can be read says. @throws the error of the first, if none can */
  const fromEach = async function* <T>(read: (store: Store) => AsyncIterable<T>): AsyncGenerator<[Store, T]> {
    for (const store of stores) {
      unread.delete(store)
      try {
        for await (const one of read(store)) yield [store, one]
      } catch (error) {
        if (!(error instanceof AppError) || error.kind !== 'backup') throw error
        unread.set(store, error)
      }
    }
    if (unread.size === stores.length) throw unread.get(first!)
  }

  /** All of a folder that is a backup comes from one store. */
  const list = async function* (prefix: string): AsyncGenerator<Stored> {
    const inside = folderOf(prefix)
    if (inside !== undefined && having.has(inside)) return yield* current(inside).list(prefix)
    const seen = new Set<string>()
    for await (const [store, { folder, objects }] of fromEach((one) => foldersIn(one.list(prefix)))) {
      if (folder !== undefined) {
        const isWhole = objects.some(({ key }) => key === `${folder}${manifestName}`)
        if (isWhole) having.set(folder, seen.has(folder) ? [...having.get(folder)!, store] : [store])
        if (!isWhole || seen.has(folder)) continue
        seen.add(folder)
      }
      yield* objects
    }
  }

  const read: Store['read'] = async (key) => {
    const folder = folderOf(key)
    const known = folder !== undefined && having.has(folder)
    let failure: unknown
    for (const store of known ? [current(folder)] : stores)
      try {
        return await store.read(key)
      } catch (error) {
        if (failure === undefined || isAbsent(failure)) failure = error
      }
    throw failure
  }

  return {
    name: stores.map(({ name }) => name).join(', '),
    several: {
      stores,
      unread,
      note: (store, failure) => void (failure ? unread.set(store, failure) : unread.delete(store)),
      current,
      having: (folder) => having.get(folder) ?? stores,
      prefer: (folder, those) => void having.set(folder, those),
      next(folder) {
        const [, ...rest] = having.get(folder) ?? stores
        if (rest.length > 0) having.set(folder, rest)
        return rest[0]
      },
    },
    open: (key, expectedBytes) => current(folderOf(key) ?? '').open(key, expectedBytes),
    read,
    list,
    async folders(prefix) {
      const names = new Set<string>()
      const named = async function* (store: Store) {
        yield* await store.folders(prefix)
      }
      for await (const [, name] of fromEach(named)) names.add(name)
      return [...names]
    },
    // one that does not have the backup, or cannot be read, is not asked to delete anything of it
    delete: async (key) => void (await inEach(having.get(folderOf(key) ?? '') ?? stores, (store) => store.delete(key))),
    checkWritable: async () => void (await inEach(stores, (store) => store.checkWritable())),
    async freeBytes() {
      const free = (await inEach(stores, (store) => store.freeBytes())).filter((bytes) => bytes !== undefined)
      return free.length === 0 ? undefined : Math.min(...free)
    },
    sweep: async (prefix, olderThanMs) => (await inEach(stores, (store) => store.sweep(prefix, olderThanMs))).flat(),
    rest() {
      for (const store of stores) store.rest()
    },
    giveUp(error) {
      for (const store of stores) store.giveUp(error)
    },
  }
}

/** The stores that one is made of. */
export const eachOf = (store: Store): readonly Store[] => store.several?.stores ?? [store]

/** The store that a backup is read from now. */
export const copyOf = (store: Store, { database, id }: Which): Store =>
  store.several?.current(backupPrefix(database, id)) ?? store

/** The stores that have a backup, as far as is known. */
export const havingOf = (store: Store, { database, id }: Which): readonly Store[] =>
  store.several?.having(backupPrefix(database, id)) ?? [store]

type Which = { database: string; id: string }

const isAbsent = (error: unknown) => (error as NodeJS.ErrnoException)?.code === 'ENOENT'

/** `shop/20261130T030000Z-0123abcd/` of a key in such a folder; undefined of all others. */
function folderOf(key: string): string | undefined {
  const [database, id, ...rest] = key.split('/')
  return rest.length > 0 && startedAtOf(id!) !== undefined ? `${database}/${id}/` : undefined
}

/** The objects of each folder that may be a backup, and all others one by one. */
async function* foldersIn(
  list: AsyncIterable<Stored>,
): AsyncGenerator<{ folder: string | undefined; objects: Stored[] }> {
  let objects: Stored[] = []
  let folder: string | undefined
  for await (const object of list) {
    const its = folderOf(object.key)
    if (objects.length > 0 && (its === undefined || its !== folder)) {
      yield { folder, objects }
      objects = []
    }
    folder = its
    objects.push(object)
  }
  if (objects.length > 0) yield { folder, objects }
}
