import { link, lstat, open, rename, statfs, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, usage } from '../errors.ts'
import { renderBytes } from '../units.ts'
import { whyNotWritten } from './temporary.ts'

/** Where a file is written until it is complete. */
export const partialOf = (path: string) => `${path}.partial`

export type NewFileOptions = {
  /** About so many bytes will be written; undefined: nobody knows. */
  expectedBytes: number | undefined
}

/**
 * Writes a file that does not exist yet, which only its owner may read: all of it, durable, or nothing. An existing file is never replaced.
 *
 * @param write writes one chunk after the other
 * @returns the size in bytes
 * @throws {AppError} `usage` if it exists, or there is no such folder; `backup` if it cannot be written
 */
export async function writeNewFile(
  path: string,
  { expectedBytes }: NewFileOptions,
  write: (append: (chunk: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<number> {
  const partial = partialOf(path)
  await refuseExisting(path)
  await refuseFull(path, expectedBytes)
  const file = await open(partial, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw notOpened(partial, error)
  })
  let isOpen = true
  const close = async () => {
    if (isOpen) await file.close()
    isOpen = false
  }
  try {
    let bytes = 0
    await write(async (chunk) => {
      await file.writeFile(chunk).catch(fails(partial))
      bytes += chunk.length
    })
    await file.sync().catch(fails(partial))
    await close()
    await publish(partial, path)
    return bytes
  } catch (error) {
    await close().catch(() => {})
    await unlink(partial).catch(() => {})
    throw error
  }
}

/** @throws {AppError} `usage` */
export async function refuseExisting(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => error)
  if (!(found instanceof Error)) throw exists(path)
  if (found.code !== 'ENOENT') throw notOpened(path, found)
}

async function refuseFull(path: string, expectedBytes: number | undefined): Promise<void> {
  const free = await statfs(dirname(path)).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  )
  if (free === undefined || expectedBytes === undefined || free >= expectedBytes) return
  throw new AppError(
    'backup',
    `${dirname(path)} has only ${renderBytes(free)} free, but ${renderBytes(expectedBytes)} are to be written; nothing was written`,
    { hint: 'choose a folder with more room' },
  )
}

/** Gives it its name, unless somebody has taken that in the meantime. */
async function publish(partial: string, path: string): Promise<void> {
  try {
    await link(partial, path)
    await unlink(partial)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw exists(path)
    // a file system without hard links
    await refuseExisting(path)
    await rename(partial, path).catch(fails(path))
  }
  const folder = await open(dirname(path), 'r').catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}

const exists = (path: string) =>
  usage(`${path} exists already; nothing was written`, { hint: 'remove it, or give another name' })

function notOpened(path: string, cause: NodeJS.ErrnoException): AppError {
  if (cause.code === 'EEXIST')
    return usage(
      `${path} exists already: another run writes it, or one that was killed has left it; nothing was written`,
      {
        hint: 'if no other run is writing it, remove it',
        cause,
      },
    )
  return usage(`${path} ${whyNotWritten(cause.code ?? '')}; nothing was written`, {
    hint: 'give a file in a folder that exists, and that you may write to',
    cause,
  })
}

const fails = (path: string) => (cause: NodeJS.ErrnoException) => {
  throw new AppError('backup', `${path} ${whyNotWritten(cause.code ?? '')}; what was written of it is removed`, {
    hint: cause.code === 'ENOSPC' ? 'choose a folder with more room' : 'check that disk',
    cause,
  })
}
