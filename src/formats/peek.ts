import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { FolderFacts } from './detect.ts'

/** So many files are opened from the beginning of the list, and as many from its end: a folder may have changed its tool. */
const files = 12

/** Every tool wants its marks before the first statement. */
const headBytes = 8192

/** Of a folder within, names are only looked at to see whose it is. */
const namesWithin = 100

/**
 * Looks at a folder of migrations: its names, those in the folders within, and the beginning of some files.
 * @returns undefined where there is no such folder
 */
export function inspectFolder(dir: string): FolderFacts | undefined {
  const top = list(dir)
  if (!top) return undefined
  const folders = top.filter(
    (name) => !/\.\w+$/.test(name) && statSync(join(dir, name), { throwIfNoEntry: false })?.isDirectory(),
  )
  const within = folders.flatMap((folder) => [
    `${folder}/`,
    ...(list(join(dir, folder)) ?? []).slice(0, namesWithin).map((name) => `${folder}/${name}`),
  ])
  const names = [...top.filter((name) => !folders.includes(name)), ...within]
  const readable = names.filter((name) => /\.(sql|py)$/i.test(name))
  const chosen = [...new Set([...readable.slice(0, files), ...readable.slice(-files)])]
  return { names, heads: chosen.map((name) => ({ name, text: headOf(join(dir, name)) })) }
}

/** Names without dot names, sorted; undefined where it is not a folder that can be read. */
function list(dir: string): string[] | undefined {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith('.'))
      .sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The text may end within a character. What cannot be read says nothing: whoever reads it all will complain. */
function headOf(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return ''
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(headBytes)
    const text = buffer.toString('utf8', 0, readSync(file, buffer, 0, headBytes, 0))
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  } finally {
    closeSync(file)
  }
}
