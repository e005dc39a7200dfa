import { readlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readMounts } from '../machine/mounts.ts'
import type { Db } from '../postgres/db.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { isElsewhere, isSameDevice } from '../store/persistence.ts'

/**
 * That a store, or each of several, is on the device of the server's own data; undefined where it is not, or that cannot be seen: the role may not read
 * `data_directory`, or the folder is not on this machine, or not readable here. It never asks a file system of another machine.
 *
 * @param db any session of the server
 * @param stores `file:///backups`, or other kinds of stores, which are somewhere else
 */
export async function besideDatabase(db: Db, stores: readonly string[]): Promise<string | undefined> {
  if (!stores.every((store) => store.startsWith('file:'))) return undefined
  const mounts = readMounts()
  const [row] = await db.unsafe<{ folder: string }[]>(
    `select setting as folder from pg_catalog.pg_settings where name = 'data_directory'`,
  )
  if (!row) return undefined
  const folder = resolved(row.folder, mounts)
  const isBeside = (store: string) => isSameDevice(folder, resolved(fileURLToPath(store), mounts), mounts)
  if (!stores.every(isBeside)) return undefined
  if (!(await isOfCluster(folder, await readSystemIdentifier(db)))) return undefined
  return `${stores[0]} is on the same disk as the server's own data, ${row.folder}`
}

/** Whether the data of the cluster is really there, and not that of another one. Its identifier is the first thing in pg_control. */
async function isOfCluster(folder: string, systemIdentifier: string | undefined): Promise<boolean> {
  try {
    const handle = await open(join(folder, 'global', 'pg_control'), 'r')
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0)
      const id = [buffer.readBigUInt64LE(), buffer.readBigUInt64BE()].map(String)
      return bytesRead === 8 && systemIdentifier !== undefined && id.includes(systemIdentifier)
    } finally {
      await handle.close()
    }
  } catch {
    return false
  }
}

const mostLinks = 40

/** A path without symbolic links, up to the first folder that is on another machine. */
function resolved(path: string, mounts: string, links = 0): string {
  const parts = path.split(sep).filter((part) => part !== '')
  for (let i = 1; i <= parts.length; i++) {
    const above = sep + parts.slice(0, i).join(sep)
    if (isElsewhere(above, mounts)) return path
    const target = linkAt(above)
    if (target !== undefined && links < mostLinks)
      return resolved(resolve(dirname(above), target, ...parts.slice(i)), mounts, links + 1)
  }
  return path
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
