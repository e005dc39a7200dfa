import { closeSync, constants, copyFileSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { AppError, usage } from '../../errors.ts'
import { scratchPlace } from '../../machine/scratch.ts'
import { renderBytes } from '../../units.ts'
import { loadDump } from './dump.ts'
import { newFolder, restrain, withSqlite } from './scratch.ts'

/** A SQLite database that is open for reading. */
export type Opened = {
  db: DatabaseSync
  /** As the configuration names the file. */
  name: string
  sizeBytes: number
  /** @throws {AppError} `seed` if the file, its -wal or its -journal has changed since it was opened */
  refuseChanged(): void
  close(): void
}

/**
 * Opens a file of SQLite, or the text that `sqlite3 .dump` writes. Nothing is ever written beside it: where the newest transactions are in
 * a -wal or a -journal that is not empty, a copy of all of them is opened, in the folder for temporary files.
 *
 * @throws {AppError} `usage` if there is no such file; `seed` if it is neither, is damaged, or changes meanwhile
 */
export async function openSource(path: string, name: string, signal: AbortSignal): Promise<Opened> {
  const before = fingerprint(path, name)
  const common = { name, sizeBytes: before.sizeBytes }
  const refuseChanged = () => {
    if (fingerprint(path, name).text === before.text) return
    throw new AppError('seed', `${name} was changed while it was read: the application still writes into it`, {
      hint: 'stop the application, and run this again; nothing was imported',
    })
  }
  if (before.sizeBytes === 0) throw neither(name, 'is empty')
  if (!isSqlite(path)) {
    const db = await loadDump(path, name, signal)
    return { ...common, db, refuseChanged, close: () => db.close() }
  }
  const db = before.unwritten ? await openCopy(path, name, refuseChanged) : openInPlace(path, name)
  return { ...common, db, refuseChanged, close: () => db.close() }
}

/** @throws {AppError} `usage` */
export function fingerprint(path: string, name: string): { text: string; sizeBytes: number; unwritten: boolean } {
  const [file, ...beside] = ['', '-wal', '-journal'].map((end) => {
    try {
      return statSync(`${path}${end}`, { bigint: true })
    } catch (cause) {
      const { code = '' } = cause as NodeJS.ErrnoException
      if (end !== '' && code === 'ENOENT') return undefined
      throw unreadable(name, code, cause)
    }
  })
  if (!file?.isFile()) throw unreadable(name, 'EISDIR')
  return {
    text: [file, ...beside].map((one) => (one?.size ? `${one.ino} ${one.size} ${one.mtimeNs}` : '')).join(', '),
    sizeBytes: Number(file.size),
    unwritten: beside.some((one) => one !== undefined && one.size > 0n),
  }
}

function unreadable(name: string, code: string, cause?: unknown): AppError {
  const why = code === 'ENOENT' ? 'does not exist' : code === 'EISDIR' ? 'is not a file' : `cannot be read (${code})`
  return usage(`the file ${name} ${why}`, {
    file: name,
    hint: 'correct `import.sqlite`; it is relative to the configuration file',
    cause,
  })
}

const neither = (name: string, why: string) =>
  new AppError('seed', `${name} ${why}`, {
    hint: 'give a file of SQLite 3, or the text that `sqlite3 FILE .dump` writes',
  })

function isSqlite(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(16)
    readSync(file, bytes, 0, 16, 0)
    return bytes.toString('latin1') === 'SQLite format 3\0'
  } finally {
    closeSync(file)
  }
}

/** Without locks, and without a -shm beside it: also on a file system that is read-only. */
function openInPlace(path: string, name: string): DatabaseSync {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  return prepare(() => new DatabaseSync(url, { readOnly: true }), name)
}

async function openCopy(path: string, name: string, refuseChanged: () => void): Promise<DatabaseSync> {
  const unwritten = 'has transactions in its -wal or -journal that are not in the file itself'
  const hint = `checkpoint it first: sqlite3 ${name} 'pragma wal_checkpoint(truncate)'`
  const present = ['', '-wal', '-journal'].filter((end) => statSync(`${path}${end}`, { throwIfNoEntry: false }))
  const bytes = present.reduce((sum, end) => sum + statSync(`${path}${end}`).size, 0)
  const { folder, freeBytes } = await scratchPlace()
  if (freeBytes !== undefined && freeBytes < bytes * 1.5)
    throw new AppError(
      'seed',
      `${name} ${unwritten}, and ${folder} has only ${renderBytes(freeBytes)} free for a copy of ${renderBytes(bytes)}`,
      { hint },
    )
  const dir = newFolder()
  const copy = join(dir, 'copy.db')
  try {
    for (const end of present) copyFileSync(`${path}${end}`, `${copy}${end}`, constants.COPYFILE_FICLONE)
    refuseChanged()
    return prepare(() => {
      const db = new DatabaseSync(copy)
      db.prepare('pragma journal_mode = delete').get()
      db.prepare('select count(*) from sqlite_schema').get()
      return db
    }, name)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('seed', `${name} ${unwritten}, and a copy of it cannot be read: ${(cause as Error).message}`, {
      hint,
      cause,
    })
  } finally {
    // It is open: nothing is left of it when this process ends, however it ends.
    rmSync(dir, { recursive: true, force: true })
  }
}

function prepare(open: () => DatabaseSync, name: string): DatabaseSync {
  return withSqlite(name, () => {
    const db = open()
    restrain(db)
    db.prepare('select count(*) from sqlite_schema').get()
    return db
  })
}
