import { randomBytes } from 'node:crypto'
import { open, rename, unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { usage } from '../errors.ts'
import { whyNotWritten } from './temporary.ts'

/**
 * Writes a file in one step, in place of an existing one: a reader sees the old file or the whole new one. Its mode is that of any new file.
 * @throws {AppError} `usage` if it cannot be written; what was there stays
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const full = resolve(path)
  const partial = `${full}.${randomBytes(4).toString('hex')}.partial`
  try {
    const file = await open(partial, 'wx', 0o666)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, full)
  } catch (cause) {
    await unlink(partial).catch(() => {})
    throw usage(`${full} ${whyNotWritten((cause as NodeJS.ErrnoException).code ?? '')}; nothing was written`, {
      hint: 'give a file in a folder that exists, and that you may write to',
      cause,
    })
  }
}
