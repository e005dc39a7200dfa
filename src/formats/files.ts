import { isAscii, isUtf8 } from 'node:buffer'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, sep } from 'node:path'
import { AppError, usage } from '../errors.ts'
import { heldTexts, keepText, refuseLargeFile, release } from '../machine/memory.ts'
import type { Script } from './types.ts'

/**
 * Names in a folder, in no particular order, without those that start with a dot; links are not resolved.
 * Does not use `node:fs/promises`: loading that takes longer than the work itself.
 *
 * @throws {AppError} `usage` when it cannot be read
 */
export function readNames(dir: string): string[] {
  try {
    return readdirSync(dir).filter((name) => !name.startsWith('.'))
  } catch (cause) {
    throw cannotRead(dir)(cause)
  }
}

/** Whether it is a folder, or a link to one. @throws {AppError} `usage` if that cannot be determined: links that form a loop */
export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  } catch (cause) {
    throw cannotRead(path)(cause)
  }
}

/** Path of a file of the folder. Not `join`: for a hundred files that takes longer than hashing them. */
export const pathIn = (dir: string, file: string) => `${dir}${sep}${file}`

/** How much extra memory the format needs to parse a file, as a multiple of the file's size. */
export type Parsing = { parsing?: number }

/**
 * The bytes of a file, for formats that compute their checksum from them.
 * @throws {AppError} `usage`; `migration` when it does not fit into memory
 */
export function readBytes(path: string, { parsing }: Parsing = {}): Buffer {
  try {
    const { size } = statSync(path)
    if (size > smallFile) refuseLargeFile(path, size, { ascii: true, parsing })
    return readFileSync(path)
  } catch (cause) {
    throw cause instanceof AppError ? cause : cannotRead(path)(cause)
  }
}

/**
 * A file's text without its byte order mark.
 * @throws {AppError} `usage` when it cannot be read or is not UTF-8; `migration` when it does not fit into memory
 */
export function readText(path: string, parsing: Parsing = {}): string {
  const bytes = readBytes(path, parsing)
  const text = textOf(path, bytes, parsing)
  release(bytes)
  return text
}

/** The text of bytes that were already read. @throws {AppError} `usage` when they are not UTF-8; `migration` as {@link readText} */
export function textOf(path: string, bytes: Buffer, { parsing }: Parsing = {}): string {
  if (!isUtf8(bytes) || bytes.includes(0)) {
    throw usage(`${path} is not UTF-8 text`, { file: path, hint: 'save it as UTF-8' })
  }
  const ascii = isAscii(bytes)
  if (bytes.length > smallFile || heldTexts().heap > smallFile) refuseLargeFile(path, bytes.length, { ascii, parsing })
  const text = bytes.toString('utf8')
  keepText(text, ascii)
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

const smallFile = 256 * 1024

/** Whether bytes begin with a byte order mark. */
export const hasMark = (bytes: Buffer) => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf

/**
 * The result of `read`; or, if the file does not follow its format, an empty script with the error as `refused`, which only matters
 * if the file has to be applied.
 * @param read throws {AppError} `usage`
 */
export function orRefused<T extends Script>(path: string, read: () => T): T | (Script & { refused: AppError }) {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    return { path, text: '', line: 1, transactional: true, refused: error }
  }
}

/** Exit 2: which of two files of one version is meant, nobody can know. @param paths of the files */
export const sameVersion = (paths: [string, string], version: string | bigint): AppError =>
  alike(paths, `the same version ${version}`, 'give the newer one a version of its own')

/** Exit 2: the history could not tell two files apart. @param paths of the files */
export const sameName = (paths: [string, string]): AppError =>
  alike(paths, 'the same name in the history', 'rename the newer one')

function alike(paths: string[], what: string, hint: string): AppError {
  const [one = '', other = ''] = paths.toSorted()
  const dir = dirname(one)
  const both = dir === dirname(other) ? `${basename(one)} and ${basename(other)} in ${dir}` : `${one} and ${other}`
  return usage(`${both} have ${what}`, { file: other, hint })
}

/** Exit 2 for what the system says about a file or a folder. */
export const cannotRead = (path: string) => (cause: unknown) => {
  const { code } = cause as NodeJS.ErrnoException
  throw usage(`${path} cannot be read: ${code === 'ENOENT' ? 'it does not exist' : code}`, {
    file: path,
    hint: 'check `migrate.dir`, and that the folder is mounted and readable',
    cause,
  })
}
