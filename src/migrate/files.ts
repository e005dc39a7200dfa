import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { AppError, usage } from '../errors.ts'
import type { Script } from './types.ts'

/**
 * Names in a folder, in no particular order, without dot names; links are not looked at.
 * Not with `node:fs/promises`: loading that takes longer than this.
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

/** Whether it is a folder, or a link to one. @throws {AppError} `usage` when that cannot be said: links that go round in circles */
export function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  } catch (cause) {
    throw cannotRead(path)(cause)
  }
}

/** Path of a file of the folder. Not `join`: for a hundred files that takes longer than hashing them. */
export const pathIn = (dir: string, file: string) => `${dir}${sep}${file}`

/** The bytes of a file, for the formats whose checksum is of them. @throws {AppError} `usage` */
export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw cannotRead(path)(cause)
  }
}

/**
 * A file's text without its byte order mark.
 * @throws {AppError} `usage` when it cannot be read or is not UTF-8
 */
export const readText = (path: string): string => textOf(path, readBytes(path))

/** The text of bytes that were read already. @throws {AppError} `usage` when they are not UTF-8 */
export function textOf(path: string, bytes: Buffer): string {
  if (!isUtf8(bytes) || bytes.includes(0)) {
    throw usage(`${path} is not UTF-8 text`, { file: path, hint: 'save it as UTF-8' })
  }
  const text = bytes.toString('utf8')
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

/** Our checksum: sha256 of the UTF-8 text with CRLF and CR turned into LF, as 64 hexadecimal digits. */
export const checksum = (text: string) => hash('sha256', text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text)

/**
 * What a file is made of; or, where it cannot be read as its format wants, why: that only matters when it is to be applied.
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

/** The error of the first file that cannot be applied, naming the others. @throws {AppError} */
export function refuseAll(migrations: { name: string; refused?: AppError }[]): void {
  const [first, ...others] = migrations.filter(({ refused }) => refused !== undefined)
  if (!first?.refused) return
  if (others.length === 0) throw first.refused
  const names = others.map(({ name }) => name).join(', ')
  throw first.refused.with({ message: `${first.refused.message}; neither can these be applied: ${names}` })
}

const cannotRead = (path: string) => (cause: unknown) => {
  const { code } = cause as NodeJS.ErrnoException
  throw usage(`${path} cannot be read: ${code === 'ENOENT' ? 'it does not exist' : code}`, {
    file: path,
    hint: 'check `migrate.dir`, and that the folder is mounted and readable',
    cause,
  })
}
