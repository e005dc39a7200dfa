import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { AppError } from '../../errors.ts'
import { whyNotWritten } from '../../machine/temporary.ts'

/** A folder for temporary files that nobody else may read. @throws {AppError} `seed` */
export function newFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'pgbosun-'))
  } catch (cause) {
    const why = whyNotWritten((cause as NodeJS.ErrnoException).code ?? '')
    throw new AppError('seed', `the folder for temporary files, ${tmpdir()}, ${why}`, {
      hint: 'set TMPDIR to a writable folder',
      cause,
    })
  }
}

/** The file may come from anywhere: no function of its schema does anything but compute, and nothing is written. */
export function restrain(db: DatabaseSync): void {
  db.enableDefensive(true)
  db.exec('pragma trusted_schema = off; pragma query_only = on; pragma cache_size = -4096; pragma cell_size_check = on')
}

/** Makes an error of SQLite one of ours. */
export function withSqlite<T>(name: string, use: () => T): T {
  try {
    return use()
  } catch (cause) {
    throw sqliteFailed(name, cause)
  }
}

/** An {@link AppError} of SQLite's error; any other error as it is. */
export function sqliteFailed(name: string, cause: unknown): unknown {
  const { code } = cause as { code?: string }
  if (code !== 'ERR_SQLITE_ERROR') return cause
  return new AppError('seed', `${name} cannot be read: SQLite says ${(cause as Error).message}`, {
    hint: `try \`sqlite3 FILE 'pragma integrity_check'\`; \`.recover\` of sqlite3 saves what can be saved`,
    cause,
  })
}
