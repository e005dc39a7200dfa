import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { FolderFacts } from './detect.ts'

/** How many files are opened from the start of the list, and from its end: a project may have switched to another tool. */
const files = 12

/** Enough to read: every tool wants its directives before the first statement. */
const headBytes = 8192

/** How many names of a subfolder are read: enough to recognise its tool. */
const namesWithin = 100

/**
 * Inspects folders of migrations: the names in them and in their subfolders, and the start of some files. Those of several folders are
 * taken together.
 * @returns undefined if there is no such folder
 */
export function inspectFolders(dirs: readonly string[]): FolderFacts | undefined {
  const found = dirs.map(inspectFolder).filter((facts) => facts !== undefined)
  if (found.length === 0) return undefined
  return { names: found.flatMap(({ names }) => names), heads: found.flatMap(({ heads }) => heads) }
}

/** The folders in messages. */
export const namesOf = (dirs: readonly string[]): string => dirs.join(' and ')

function inspectFolder(dir: string): FolderFacts | undefined {
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

/** Names that do not start with a dot, sorted; undefined if there is no such folder. */
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

/** The text may end in the middle of a character. Empty for anything but a file: whoever reads the folder will report it. */
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
