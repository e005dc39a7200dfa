import { createReadStream, rmSync } from 'node:fs'
import { join } from 'node:path'
import { constants, DatabaseSync } from 'node:sqlite'
import { AppError } from '../../errors.ts'
import { createDumpReader, judge } from './dump-statements.ts'
import { newFolder, restrain } from './scratch.ts'

/**
 * Loads the text of `sqlite3 FILE .dump` into a SQLite file of our own, which is gone when it is closed. Memory does not grow with the text.
 *
 * @throws {AppError} `seed` with the line, for anything that such a text does not contain, or where its end is missing
 */
export async function loadDump(path: string, name: string, signal: AbortSignal): Promise<DatabaseSync> {
  const dir = newFolder()
  const db = new DatabaseSync(join(dir, 'dump.db'), { enableForeignKeyConstraints: false })
  try {
    db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -4096; begin')
    db.setAuthorizer((action) => (forbidden.includes(action) ? constants.SQLITE_DENY : constants.SQLITE_OK))
    await runStatements(db, path, name, signal)
    db.setAuthorizer(null)
    db.exec('commit')
    restrain(db)
    return db
  } catch (error) {
    db.close()
    throw error
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

const forbidden: number[] = [
  ...[constants.SQLITE_ATTACH, constants.SQLITE_DETACH, constants.SQLITE_PRAGMA, constants.SQLITE_CREATE_VTABLE],
  ...[constants.SQLITE_CREATE_TRIGGER, constants.SQLITE_CREATE_TEMP_TRIGGER, constants.SQLITE_DROP_TABLE],
]

const problems = {
  rollback: 'ends with ROLLBACK: sqlite3 could not read all of the file that it is a dump of',
  virtual: 'contains a virtual table, which cannot be imported',
  refuse: 'is neither a file of SQLite 3 nor the text of `.dump`: this is no statement of one',
}

async function runStatements(db: DatabaseSync, path: string, name: string, signal: AbortSignal): Promise<void> {
  const reader = createDumpReader()
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let ended: boolean | undefined
  for await (const bytes of createReadStream(path, { highWaterMark: 128 * 1024 })) {
    signal.throwIfAborted()
    for (const { statement, line } of reader.read(decode(decoder, bytes as Buffer, name))) {
      const what = judge(statement)
      if (what === 'begin') ended = false
      else if (what === 'commit') ended = true
      else if (what === 'run') run(db, statement, name, line)
      else if (what !== 'skip')
        throw new AppError('seed', `${name}, line ${line}: the text ${problems[what]}`, {
          ...{ file: name, line },
          hint: 'give a file of SQLite 3, or the text that `sqlite3 FILE .dump` writes',
        })
    }
  }
  if (ended === true && reader.rest().trim() === '') return
  throw new AppError('seed', `${name} ends before its COMMIT: a part of the dump is missing`, {
    file: name,
    hint: 'write it again, with `sqlite3 FILE .dump`',
  })
}

function decode(decoder: InstanceType<typeof TextDecoder>, bytes: Buffer, name: string): string {
  try {
    return decoder.decode(bytes, { stream: true })
  } catch (cause) {
    throw new AppError('seed', `${name} is neither a file of SQLite 3 nor text in UTF-8`, {
      hint: 'give a file of SQLite 3, or the text that `sqlite3 FILE .dump` writes',
      cause,
    })
  }
}

function run(db: DatabaseSync, statement: string, name: string, line: number): void {
  try {
    db.exec(statement)
  } catch (cause) {
    throw new AppError('seed', `${name}, line ${line}: SQLite says ${(cause as Error).message}`, {
      ...{ file: name, line },
      hint: 'give the text that `sqlite3 FILE .dump` writes, unchanged',
      cause,
    })
  }
}
