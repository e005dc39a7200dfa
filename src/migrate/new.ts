import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Folder } from './read.ts'

/**
 * Writes the file, or files, of a new, empty migration, and the folder where it is missing.
 *
 * @returns their paths
 * @throws {AppError} `usage` when the name cannot be one
 */
export async function createMigration(
  { dialect, dir, files }: Folder,
  name: string,
  { now, reversible }: { now: Date; reversible: boolean },
): Promise<string[]> {
  const created = dialect.create(name, { now, files, reversible })
  await mkdir(dir, { recursive: true })
  const paths: string[] = []
  for (const { file, text } of created) {
    await writeFile(join(dir, file), text, { flag: 'wx' })
    paths.push(join(dir, file))
  }
  return paths
}
