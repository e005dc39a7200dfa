import { open, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Removes a folder and those above it as long as they are empty, except the root. */
export async function removeEmpty(root: string, folder: string): Promise<void> {
  for (let path = folder; path.startsWith(join(root, '/')); path = dirname(path)) {
    try {
      await rmdir(path)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue
      if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return
      throw error
    }
  }
}

/** The path, or the nearest folder above it that exists. */
export async function nearestFolder(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder))
    if ((await statOf(folder)) !== undefined || folder === dirname(folder)) return folder
}

/** Whether it is a folder that has no name any more: deleted where it lies, and still mounted here. */
export const isDeleted = async (folder: string): Promise<boolean> => (await statOf(folder))?.nlink === 0

const statOf = (path: string) => stat(path).catch(() => undefined)

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code
