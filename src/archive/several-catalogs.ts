import { AppError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import type { Backup } from './backup.ts'
import type { Catalog } from './catalog-type.ts'
import { backupPrefix } from './layout.ts'
import { mergeBackups } from './merge.ts'

/**
 * What is known of several stores, as one catalog. A store that cannot be listed is left out, and noted in `store.several.unread`; only
 * where none can be is that an error.
 *
 * @param store the stores of the parts, taken together
 */
export function severalCatalogs(store: Store, parts: readonly Catalog[]): Catalog {
  const several = store.several!
  const partOf = new Map(parts.map((part) => [part.store, part]))

  /** Where each backup was read from first when it was last said. Only what has changed is said again: a copy may be in use just now. */
  const said = new Map<string, string>()
  const prefer = (folder: string, stores: readonly Store[]) => {
    const order = stores.map((store) => several.stores.indexOf(store)).join()
    if (said.get(folder) === order) return
    said.set(folder, order)
    several.prefer(folder, stores)
  }

  const known = (database: string): Backup[] =>
    mergeBackups(
      parts
        .filter((part) => !several.unread.has(part.store))
        .map((part) => ({ store: part.store, name: part.store.name, backups: part.known(database) })),
    ).map(({ backup, stores }) => {
      prefer(backupPrefix(database, backup.id), stores)
      return backup
    })

  const looking = (look: (part: Catalog) => Promise<unknown>) => async (database: string) => {
    const results = await Promise.all(parts.map((part) => listed(part, look)))
    results.forEach((failure, i) => {
      several.note(parts[i]!.store, failure)
    })
    if (results.every((failure) => failure !== undefined)) throw results[0]
    return known(database)
  }

  const current = ({ database, id }: Pick<Backup, 'database' | 'id'>) =>
    partOf.get(several.current(backupPrefix(database, id)))

  return {
    store,
    parts,
    update: (database) => looking((part) => part.update(database))(database),
    glance: (database) => looking((part) => part.glance(database))(database),
    recent: (database) => looking((part) => part.recent(database))(database),
    known,
    unfinished: (database) => parts.flatMap((part) => part.unfinished(database)),
    noteMade(manifest) {
      for (const part of parts) part.noteMade(manifest)
    },
    noteVerification: (backup, verification) => current(backup)?.noteVerification(backup, verification),
    noteRestoreTest: (backup, test) => current(backup)?.noteRestoreTest(backup, test),
    async remove(backup) {
      for (const part of parts) await part.remove(backup)
    },
  }
}

/** @returns why the store cannot be listed */
async function listed(part: Catalog, look: (part: Catalog) => Promise<unknown>): Promise<AppError | undefined> {
  try {
    await look(part)
    return undefined
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'backup') throw error
    return error
  }
}
