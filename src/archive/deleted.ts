import { AppError } from '../errors.ts'
import type { Store, Stored, Versions } from '../store/store.ts'
import { counted } from '../units.ts'
import { storedDatabases } from './backup.ts'
import { backupPrefix, databasePrefix, manifestName } from './layout.ts'
import { eachOf, severalStores } from './several.ts'

/**
 * What lies behind delete markers, as a store: the backups whose manifest was deleted, with whatever of them is still there. Undefined
 * for a store that keeps nothing of what is deleted. Reading and writing anything else is as in the store itself.
 *
 * @param prefix looks only below it
 */
export async function openDeleted(store: Store, prefix: string): Promise<Store | undefined> {
  const views: Store[] = []
  for (const one of eachOf(store))
    if (one.versions) views.push(viewOf(one, one.versions, await one.versions.deleted(prefix)))
  return views.length > 1 ? severalStores(views) : views[0]
}

function viewOf(store: Store, versions: Versions, objects: Awaited<ReturnType<Versions['deleted']>>): Store {
  const gone = new Map(objects.map((object) => [object.key, object]))
  const backups = new Set([...gone.keys()].filter((key) => key.endsWith(`/${manifestName}`)).map(folderOf))
  const isOfOne = (key: string) => backups.has(folderOf(key))
  return {
    ...store,
    async read(key) {
      const object = gone.get(key)
      return object ? versions.read(key, object.version) : store.read(key)
    },
    async *list(prefix) {
      const found = new Map<string, Stored>()
      for await (const stored of store.list(prefix)) if (isOfOne(stored.key)) found.set(stored.key, stored)
      for (const { version: _, ...stored } of gone.values())
        if (stored.key.startsWith(prefix) && isOfOne(stored.key)) found.set(stored.key, stored)
      yield* [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    },
    async folders(prefix) {
      const below = [...backups].filter((folder) => folder.startsWith(prefix))
      return [...new Set(below.map((folder) => folder.slice(prefix.length).split('/')[0]!))]
    },
  }
}

/**
 * Where a backup that is in no store, but was deleted, can still be read. Undefined if it was not, or nobody may look.
 *
 * @param only the database, if it is known
 */
export async function deletedPlace(
  store: Store,
  only: string | undefined,
  id: string,
): Promise<{ store: Store; database: string } | undefined> {
  // who may not look at versions finds nothing there
  const deleted = await openDeleted(store, only === undefined ? '' : backupPrefix(only, id)).catch(() => undefined)
  if (!deleted) return undefined
  for (const database of only === undefined ? await storedDatabases(deleted) : [only])
    if ((await deleted.folders(databasePrefix(database))).includes(id)) return { store: deleted, database }
  return undefined
}

/** For whoever reads a backup from there. */
export const deletedWarning = (id: string, { name }: Store): string =>
  `the backup ${id} was deleted: it is read from what ${name} has kept of it`

const folderOf = (key: string) => key.slice(0, key.lastIndexOf('/'))

/** Says with exit 62 how many backups of the database were deleted and can still be read. Other errors, and all where nobody knows, stay. */
export async function withDeleted(error: unknown, store: Store, database: string): Promise<unknown> {
  if (!(error instanceof AppError) || error.kind !== 'nobackup') return error
  const prefix = databasePrefix(database)
  const deleted = await openDeleted(store, prefix).catch(() => undefined)
  const { length } = (await deleted?.folders(prefix)) ?? []
  if (length === 0) return error
  const known = `${counted(length, 'deleted backup')} of ${database} can still be read: \`pgbosun backup list --deleted\` shows them, and \`pgbosun restore ID\` takes one`
  return error.with({ hint: error.hint ? `${error.hint}; ${known}` : known })
}
