import { countingTexts } from '../machine/memory.ts'
import type { Dialect, ReadOptions } from './dialect.ts'
import { openDialect } from './open.ts'
import type { FormatName, Migration } from './types.ts'

/** The options of {@link readMigrations} if nothing is configured. */
export const noReadOptions: ReadOptions = { placeholders: {}, database: undefined, user: undefined, environment: {} }

/** A folder of migrations, read by the rules of its format. */
export type Folder = { dialect: Dialect; dir: string; files: Migration[] }

/**
 * The migrations of a folder: versioned ones in order, then repeatable ones.
 *
 * @throws {AppError} `usage` if a name is malformed, two files have the same version, a file is not UTF-8 or cannot be read,
 *   or it contains something we do not support; `migration` if the files do not fit into memory
 */
export async function readMigrations(
  dir: string,
  format: FormatName = 'pgbosun',
  options = noReadOptions,
): Promise<Folder> {
  const dialect = await openDialect(format)
  return { dialect, dir, files: countingTexts(() => dialect.read(dir, options)) }
}
