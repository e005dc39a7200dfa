import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { AppError } from '../../src/errors.ts'
import type { Format, ReadOptions } from '../../src/formats/format.ts'
import type { Migration } from '../../src/formats/types.ts'

type Folder = {
  /** Where it is, in the test that runs. */
  dir(): string
  /** Writes files by their paths in it. */
  write(files: Record<string, string | Buffer>): void
  /** What the format reads of it. */
  read(more?: Partial<ReadOptions>, subfolder?: string): Migration[]
  /** Writes one file, and reads it. */
  only(text: string): Migration
  /** The error with which it is refused. */
  refusal(action?: () => unknown): AppError
}

/**
 * A folder for the files of a format, of which each test gets its own. To be called at the top of a file of tests.
 *
 * @param refuse what is wrong with a file is only said when it is to be applied; with this, `read` always throws it
 */
export function formatFolder(
  format: Format,
  { refuse = false, ...its }: Partial<ReadOptions> & { refuse?: boolean } = {},
): Folder {
  const options = { placeholders: {}, database: 'shop', user: 'app', environment: {}, ...its }
  let dir = ''
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), `pgbosun-${format.name}-`))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  const folder: Folder = {
    dir: () => dir,
    write(files) {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, name)), { recursive: true })
        writeFileSync(join(dir, name), text)
      }
    },
    read(more = {}, subfolder = '') {
      const files = format.read(join(dir, subfolder), { ...options, ...more })
      for (const { refused } of files) if (refuse && refused) throw refused
      return files
    },
    only(text) {
      folder.write({ '1_a.sql': text })
      const [file] = folder.read()
      if (file === undefined) throw new Error('no file was read')
      return file
    },
    refusal(action = folder.read) {
      try {
        action()
      } catch (error) {
        if (error instanceof AppError) return error
        throw error
      }
      throw new Error('it was not refused')
    },
  }
  return folder
}
