import type { Store, Stored } from '../store/store.ts'
import {
  backupPrefix,
  databasePrefix,
  isVerification,
  leasePattern,
  manifestName,
  pinPattern,
  startedAtOf,
} from './layout.ts'

/**
 * What a listing shows of each folder that may be a backup: a line for each object, of its name, its size, and when it was written
 * where that matters. Texts are small, and easily compared with those of the listing before.
 */
export async function* listFolders(store: Store, database: string): AsyncGenerator<Folder> {
  const prefix = databasePrefix(database)
  let folder: Folder = { id: '', lines: [] }
  for await (const { key, ...stored } of store.list(prefix)) {
    const [id = '', ...parts] = key.slice(prefix.length).split('/')
    if (parts.length === 0 || startedAtOf(id) === undefined) continue
    const line = listedLine(parts.join('/'), stored)
    if (id !== folder.id) {
      if (folder.lines.length > 0) yield folder
      folder = { id, lines: [] }
    }
    folder.lines.push(line)
  }
  if (folder.lines.length > 0) yield folder
}

/** The same of one folder; undefined where nothing is in it. */
export async function listFolder(store: Store, database: string, id: string): Promise<Folder | undefined> {
  const prefix = backupPrefix(database, id)
  const lines: string[] = []
  for await (const { key, ...stored } of store.list(prefix)) lines.push(listedLine(key.slice(prefix.length), stored))
  return lines.length === 0 ? undefined : { id, lines }
}

/** The names of the folders that may be backups. */
export const listIds = async (store: Store, database: string): Promise<string[]> =>
  (await store.folders(databasePrefix(database))).filter((id) => startedAtOf(id) !== undefined)

/** Where a store tells no two seconds apart, it knows contents by their tags. */
function listedLine(name: string, { sizeBytes, modifiedAt, etag }: Omit<Stored, 'key'>): string {
  const isRead = name === manifestName || isVerification(name)
  return isRead ? `${lineOf(name, sizeBytes)} ${etag ?? modifiedAt.getTime()}` : lineOf(name, sizeBytes)
}

/** A folder that may be a backup, with a line for each object in it. */
export type Folder = { id: string; lines: string[] }

/** An object as a line: its name and its size in bytes. */
export const lineOf = (name: string, sizeBytes: number) => `${name} ${sizeBytes}`

/** The name of an object whose line it is. */
export const nameOf = (line: string) => line.slice(0, line.indexOf(' '))

/** Whether a folder is a backup: whether it has a manifest. */
export const isComplete = (lines: string[]) => lines.some((line) => nameOf(line) === manifestName)

/** Whether somebody pinned the backup. */
export const isPinned = (lines: string[]) => lines.some((line) => pinPattern.test(line.slice(0, line.indexOf(' '))))

/** The names of the leases of those who read the backup, or were killed while they did. */
export const leasesIn = (lines: string[]): string[] => lines.map(nameOf).filter((name) => leasePattern.test(name))

/** The lines about verifications, or about all the rest, as one text. */
export const linesOf = (lines: string[], verified: boolean) =>
  lines
    .filter((line) => isVerification(nameOf(line)) === verified)
    .sort()
    .join('\n')
