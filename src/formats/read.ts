import { withSeveralFolders } from '../config/formats.ts'
import { usage } from '../errors.ts'
import { countingTexts } from '../machine/memory.ts'
import type { Format, ReadOptions } from './format.ts'
import { openFormat } from './open.ts'
import { refuseOverlap } from './overlap.ts'
import type { FormatName, Migration } from './types.ts'

/** The options of {@link readMigrations} if nothing is configured. */
export const noReadOptions: ReadOptions = { placeholders: {}, database: undefined, user: undefined, environment: {} }

/** The folders of a database's migrations: mostly one. */
export type Dirs = readonly [string, ...string[]]

/** The folders with the migrations of a database, read by the rules of their format. */
export type Folder = { format: Format; dirs: Dirs; files: Migration[] }

/**
 * The migrations of one folder or of several: versioned ones in order, then repeatable ones.
 *
 * @throws {AppError} `usage` if a name is malformed, two files have the same version, a file is not UTF-8 or cannot be read,
 *   it contains something we do not support, or the tool takes fewer folders; `migration` if the files do not fit into memory
 */
export async function readMigrations(
  dirs: Dirs,
  name: FormatName = 'pgbosun',
  options = noReadOptions,
): Promise<Folder> {
  const format = await openFormat(name)
  return { format, dirs, files: countingTexts(() => readFiles(format, dirs, options)) }
}

function readFiles(format: Format, dirs: Dirs, options: ReadOptions): Migration[] {
  if (dirs.length === 1) return format.read(dirs[0], options)
  if (!format.readSeveral) throw onlyOne(format.name, dirs)
  refuseOverlap(format, dirs)
  return format.readSeveral(dirs, options)
}

const onlyOne = (format: string, dirs: Dirs) =>
  usage(`migrate.dir has ${dirs.length} folders, but the format ${format} takes one: ${dirs.join(', ')}`, {
    hint: `set one, or choose a format that takes several: ${withSeveralFolders.join(', ')}`,
  })
