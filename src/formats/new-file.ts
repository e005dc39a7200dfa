import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { usage } from '../errors.ts'
import { whyNotWritten } from '../machine/temporary.ts'
import type { Folder } from './read.ts'

/**
 * Writes the file, or files, of a new, empty migration, and the folder where it is missing.
 *
 * @returns their paths
 * @throws {AppError} `usage` when the name cannot be one, or the folder cannot be written
 */
export async function createMigration(
  { dialect, dir, files }: Folder,
  name: string,
  { now, reversible }: { now: Date; reversible: boolean },
): Promise<string[]> {
  const created = dialect.create(name, { now, files, reversible })
  const paths: string[] = []
  try {
    await mkdir(dir, { recursive: true })
    for (const { file, text } of created) {
      await writeFile(join(dir, file), text, { flag: 'wx' })
      paths.push(join(dir, file))
    }
  } catch (error) {
    const { code, syscall, path = dir } = error as NodeJS.ErrnoException
    if (syscall === undefined || code === undefined) throw error
    throw usage(`${path} ${whyNotWritten(code)}`, {
      hint: 'write migrations where their sources are, or set `migrate.dir` to a folder that can be written',
      cause: error,
    })
  }
  return paths
}
