// pure
import { usage } from '../errors.ts'

/** A version with more digits than this is a date or a time, not a running number. */
const longestCount = 6

/**
 * The version of a new file: the next number if the folder uses running numbers (001, 002), else the time in UTC. Always the newest.
 * @param versions of the existing files, as written
 * @param digits   of a time: 14 is `YYYYMMDDHHMMSS`, 17 includes milliseconds
 */
export function nextVersion(versions: string[], now: Date, digits = 14): string {
  const newest = versions.reduce<string | undefined>(
    (a, b) => (a !== undefined && BigInt(a) > BigInt(b) ? a : b),
    undefined,
  )
  if (newest !== undefined && newest.length <= longestCount)
    return String(BigInt(newest) + 1n).padStart(newest.length, '0')
  const time = now.toISOString().replace(/\D/g, '').slice(0, digits)
  return newest !== undefined && BigInt(newest) >= BigInt(time) ? String(BigInt(newest) + 1n) : time
}

/**
 * The name of a new migration as part of a file name: `add email` becomes `add_email`.
 * @throws {AppError} `usage` if it cannot be part of a file name
 */
export function cleanName(name: string): string {
  const clean = name
    .trim()
    .replace(/\.sql$/, '')
    .replace(/\s+/g, '_')
  if (!/^[A-Za-z0-9_.-]+$/.test(clean)) {
    throw usage(`"${name}" cannot be the name of a migration`, {
      hint: 'use letters, digits, `_`, `.` and `-`: add_email_to_users',
    })
  }
  return clean
}

/** The version in the name of a file that begins with a number, without leading zeros: `2` of `002_orders`. */
export function numberOf(name: string): string | undefined {
  const digits = /^(\d+)(_.*)?$/s.exec(name)?.[1]
  return digits === undefined ? undefined : String(BigInt(digits))
}
