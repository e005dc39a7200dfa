import { mkdtempSync, rmSync } from 'node:fs'
import { open, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, type Kind } from '../errors.ts'
import { whyNotWritten } from './temporary.ts'

/** The folder for a large temporary file, TMPDIR or /tmp, and how much of it is free; undefined if that cannot be known. */
export async function scratchPlace(): Promise<{ folder: string; freeBytes: number | undefined }> {
  const folder = tmpdir()
  try {
    const { bavail, bsize } = await statfs(folder)
    return { folder, freeBytes: bavail * bsize }
  } catch {
    return { folder, freeBytes: undefined }
  }
}

/**
 * Writes a large file for programs that need a path, into a folder that nobody else may read, and removes it afterwards. On Linux it is
 * removed before anything is written: programs reach it through this process, and nothing is left even if that is killed.
 *
 * @param content its errors are passed on
 * @throws {AppError} `kind` if the file cannot be written
 */
export async function withScratch<T>(
  content: AsyncIterable<Uint8Array>,
  { signal, kind, onBytes }: { signal: AbortSignal; kind: Kind; onBytes?: ((bytes: number) => void) | undefined },
  use: (path: string) => Promise<T>,
): Promise<T> {
  const place = tmpdir()
  const writing = async <R>(write: () => R | Promise<R>): Promise<R> => {
    try {
      return await write()
    } catch (error) {
      throw notWritten(place, error as NodeJS.ErrnoException, kind)
    }
  }
  const dir = await writing(() => mkdtempSync(join(place, 'pgbosun-')))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  try {
    const path = join(dir, 'dump')
    const file = await writing(() => open(path, 'wx+', 0o600))
    try {
      const linux = process.platform === 'linux'
      if (linux) remove()
      let bytes = 0
      for await (const chunk of content) {
        signal.throwIfAborted()
        await writing(() => file.writeFile(chunk))
        bytes += chunk.length
        onBytes?.(bytes)
      }
      return await use(linux ? `/proc/${process.pid}/fd/${file.fd}` : path)
    } finally {
      await file.close()
    }
  } finally {
    remove()
  }
}

const notWritten = (folder: string, cause: NodeJS.ErrnoException, kind: Kind) =>
  new AppError(kind, `the folder for temporary files, ${folder}, ${whyNotWritten(cause.code ?? '')}`, {
    hint: 'set TMPDIR to another folder, or pass --jobs 1, which needs none',
    cause,
  })
