import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { usage } from '../errors.ts'
import { type FileName, listMigrationFiles } from './read.ts'

/** Above this many digits a version is a date or a time, not a count. */
const longestCount = 6

/**
 * Writes a new, empty migration file, and the folder where it is missing.
 *
 * @returns its path
 * @throws {AppError} `usage` when the name cannot be one
 */
export async function createMigration(dir: string, name: string, now: Date): Promise<string> {
  const clean = cleanName(name)
  await mkdir(dir, { recursive: true })
  const stem = `${nextVersion(await listMigrationFiles(dir), now)}_${clean}`
  const path = join(dir, `${stem}.sql`)
  await writeFile(path, `-- ${stem}\n\n`, { flag: 'wx' })
  return path
}

/** The version of a new file: the next number where the folder counts (001, 002), else the time in UTC; always the newest. */
export function nextVersion(files: FileName[], now: Date): string {
  const newest = files.reduce<FileName | undefined>((a, b) => (a && a.version > b.version ? a : b), undefined)
  if (newest && newest.digits.length <= longestCount)
    return String(newest.version + 1n).padStart(newest.digits.length, '0')
  const time = now.toISOString().replace(/\D/g, '').slice(0, 14)
  return newest && newest.version >= BigInt(time) ? String(newest.version + 1n) : time
}

function cleanName(name: string): string {
  const clean = name
    .trim()
    .replace(/\.sql$/, '')
    .replace(/\s+/g, '_')
  if (!/^[A-Za-z0-9_.-]+$/.test(clean) || clean === 'down' || clean.endsWith('.down')) {
    throw usage(`"${name}" cannot be the name of a migration`, {
      hint: 'use letters, digits, `_`, `.` and `-`: add_email_to_users',
    })
  }
  return clean
}
