import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder, and those above it that are missing, one by one. Node's recursive mkdir never returns where a folder exists and takes
 * nothing, and uses a processor meanwhile: one that was deleted under a bind mount, or /proc.
 * @throws ENOENT there, or where another process removes a folder meanwhile
 */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  if (await isMade(path, mode)) return
  await makeFolder(dirname(path), mode)
  await makeOne(path, mode)
}

/** @returns false where the folder above is missing */
async function isMade(path: string, mode: number): Promise<boolean> {
  try {
    await makeOne(path, mode)
    return true
  } catch (error) {
    const above = dirname(path)
    if (codeOf(error) !== 'ENOENT' || above === path) throw error
    if (!(await exists(above))) return false
  }
  // Another process made the one above in the meantime; or it takes nothing, which the second try says again.
  await makeOne(path, mode)
  return true
}

async function makeOne(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, { mode })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code
