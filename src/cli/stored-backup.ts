import { type Backup, listBackups, storedDatabases } from '../archive/backup.ts'
import { unreadError } from '../archive/copies.ts'
import { idPattern } from '../archive/layout.ts'
import { AppError, usage } from '../errors.ts'
import type { Store } from '../store/store.ts'

/**
 * A complete backup by its id, whatever its database is.
 * @param database only of this one
 * @throws {AppError} `usage` if it is no id, `nobackup` if there is none
 */
export async function storedBackup(
  store: Store,
  id: string,
  database: string | undefined,
): Promise<Pick<Backup, 'id' | 'database'>> {
  if (!idPattern.test(id))
    throw usage(`${id} is not the id of a backup`, { hint: 'use an id from `pgbosun backup list`' })
  for (const one of database === undefined ? await storedDatabases(store) : [database]) {
    const found = (await listBackups(store, one)).find((backup) => backup.id === id)
    if (found) return found
  }
  const unread = unreadError(store)
  if (unread) throw unread
  throw new AppError('nobackup', `there is no backup ${id} in ${store.name}`, { hint: 'look at `pgbosun backup list`' })
}
