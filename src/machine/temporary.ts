import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, type Kind } from '../errors.ts'

export type Temporary = { paths: Record<string, string>; remove(): void }

export type TemporaryOptions = {
  /** What the files are, for messages. */
  what: string
  /** What else can be done, other than making a folder writable. */
  otherwise?: string
  kind?: Kind
}

const usual = '/tmp'
/** A folder in memory that containers have even if everything else is read-only. */
const shared = '/dev/shm'

/**
 * Writes files for a program that needs paths, into a folder that nobody else may read: in TMPDIR if that is set, otherwise in /tmp or
 * in shared memory. They exist until `remove()` is called.
 *
 * @param files their contents by name
 * @throws {AppError} `usage`, or `kind`, if they cannot be written; it names the folder
 */
export function writeTemporary(files: Record<string, string>, options: TemporaryOptions): Temporary {
  const folders = tmpdir() === usual ? [usual, shared] : [tmpdir()]
  let failure: NodeJS.ErrnoException | undefined
  for (const folder of folders) {
    try {
      return writeInto(folder, files)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      failure ??= error as NodeJS.ErrnoException
    }
  }
  throw problem(folders, failure!, options)
}

function writeInto(folder: string, files: Record<string, string>): Temporary {
  const dir = mkdtempSync(join(folder, 'pgbosun-'))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  try {
    const paths = Object.entries(files).map(([name, content]) => {
      const path = join(dir, name)
      writeFileSync(path, content, { mode: 0o600 })
      return [name, path]
    })
    return { paths: Object.fromEntries(paths), remove }
  } catch (error) {
    remove()
    throw error
  }
}

const problems: Record<string, string> = {
  EROFS: 'is on a read-only file system',
  EACCES: 'is not writable',
  EPERM: 'is not writable',
  ENOSPC: 'is full',
  EDQUOT: 'is full',
  ENOENT: 'does not exist',
  ENOTDIR: 'is not a folder',
}

/** The rest of a sentence that begins with the path. @param code of the system, such as `EROFS` */
export const whyNotWritten = (code: string): string => problems[code] ?? `cannot be written (${code})`

function problem([folder = '']: string[], cause: NodeJS.ErrnoException, options: TemporaryOptions): AppError {
  const { what, otherwise, kind = 'usage' } = options
  const { code = '' } = cause
  const why = whyNotWritten(code)
  return new AppError(kind, `cannot write ${what}: the folder for temporary files, ${folder}, ${why}`, {
    hint: `mount a writable ${folder}, or set TMPDIR to a writable folder${otherwise === undefined ? '' : `; or ${otherwise}`}`,
    cause,
  })
}
