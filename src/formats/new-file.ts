import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { usage } from '../errors.ts'
import { makeFolder } from '../machine/make-folder.ts'
import { whyNotWritten } from '../machine/temporary.ts'
import type { Folder } from './read.ts'

/**
 * Writes the file or files of a new, empty migration into the first folder, and creates that if it is missing.
 *
 * @returns their paths
 * @throws {AppError} `usage` if the name is not possible, or the folder cannot be written
 */
export async function createMigration(
  { format, dirs: [dir], files }: Folder,
  name: string,
  { now, reversible }: { now: Date; reversible: boolean },
): Promise<string[]> {
  const created = format.create(name, { now, files, reversible })
  const paths: string[] = []
  try {
    await makeFolder(dir)
    for (const { file, text } of created) {
      await writeFile(join(dir, file), text, { flag: 'wx' })
      paths.push(join(dir, file))
    }
  } catch (error) {
    const { code, syscall, path = dir } = error as NodeJS.ErrnoException
    if (syscall === undefined || code === undefined) throw error
    throw usage(`${path} ${whyNotWritten(code)}`, {
      hint: 'create migrations in your working copy, or set `migrate.dir` to a writable folder',
      cause: error,
    })
  }
  return paths
}
