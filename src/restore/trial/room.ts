import { open, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Db } from '../../postgres/db.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visibleSql } from '../../text.ts'
import { neededRoom, type Room, type Volume } from './place.ts'

/**
 * Looks at the free space of the server, which SQL does not tell: only where its data directory is mounted here, under the same path.
 *
 * @param own system identifier of the server: a folder of another server proves nothing
 */
export async function readRoom(db: Db, own: string | undefined, databaseBytes: number): Promise<Room> {
  const [row] = await db.unsafe<{ may: boolean; user: string }[]>(
    `select r.rolsuper or pg_catalog.pg_has_role(r.oid, 'pg_read_all_settings', 'USAGE') as may, r.rolname as user
       from pg_catalog.pg_roles r where r.rolname = session_user`,
  )
  if (!row?.may)
    return {
      unknown: `${row?.user ?? 'the user'} may not read where the server keeps its data`,
      hint: `${visibleSql(`grant pg_read_all_settings to ${quoteIdent(row?.user ?? '')}`)}, or set backup.verify.url to another server`,
    }
  const [setting] = await db.unsafe<{ folder: string }[]>(
    "select pg_catalog.current_setting('data_directory') as folder",
  )
  return lookAt(setting!.folder, own, databaseBytes)
}

async function lookAt(folder: string, own: string | undefined, databaseBytes: number): Promise<Room> {
  const hint = `mount the data directory of the server here, read-only and readable for this process, as ${folder}; or set backup.verify.url to another server`
  try {
    const identifier = await identifierIn(folder)
    if (identifier !== own)
      return { unknown: `${folder} here belongs to another server (system identifier ${identifier})`, hint }
    return { volumes: await volumesOf(folder, databaseBytes) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { unknown: `${folder} cannot be read here (${code ?? message})`, hint }
  }
}

/** The control file begins with the system identifier, in the byte order of the machine. */
async function identifierIn(folder: string): Promise<string> {
  const file = await open(join(folder, 'global', 'pg_control'))
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0)
    return buffer.readBigUInt64LE().toString()
  } finally {
    await file.close()
  }
}

/** The write-ahead log may be on a volume of its own. */
async function volumesOf(folder: string, databaseBytes: number): Promise<Volume[]> {
  const { data, wal } = neededRoom(databaseBytes)
  const logs = join(folder, 'pg_wal')
  const together = (await stat(folder)).dev === (await stat(logs)).dev
  if (together) return [await volumeOf(folder, data + wal)]
  return [await volumeOf(folder, data), await volumeOf(logs, wal)]
}

async function volumeOf(path: string, neededBytes: number): Promise<Volume> {
  const { bavail, blocks, bsize } = await statfs(path)
  return { path, freeBytes: bavail * bsize, totalBytes: blocks * bsize, neededBytes }
}
