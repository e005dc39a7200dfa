import { countingTexts } from '../machine/memory.ts'
import type { Format, ReadOptions } from './format.ts'
import { openFormat } from './open.ts'
import type { FormatName, Migration } from './types.ts'

/** The options of {@link readMigrations} if nothing is configured. */
export const noReadOptions: ReadOptions = { placeholders: {}, database: undefined, user: undefined, environment: {} }

/** A folder of migrations, read by the rules of its format. */
export type Folder = { format: Format; dir: string; files: Migration[] }

/**
 * The migrations of a folder: versioned ones in order, then repeatable ones.
 *
 * @throws {AppError} `usage` if a name is malformed, two files have the same version, a file is not UTF-8 or cannot be read,
 *   or it contains something we do not support; `migration` if the files do not fit into memory
 */
export async function readMigrations(
  dir: string,
  name: FormatName = 'pgbosun',
  options = noReadOptions,
): Promise<Folder> {
  const format = await openFormat(name)
  return { format, dir, files: countingTexts(() => format.read(dir, options)) }
}
