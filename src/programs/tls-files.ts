import { constants, statSync } from 'node:fs'
import type { Connection } from '../config/connection.ts'
import { writeTemporary } from '../machine/temporary.ts'

const variables = { ca: 'PGSSLROOTCERT', cert: 'PGSSLCERT', key: 'PGSSLKEY' } as const
const names = ['ca', 'cert', 'key'] as const

/** libpq reads certificates and keys only from files: the configured ones, or copies if it would not accept those. */
export function tlsFiles(tls: Connection['tls']): { env: Record<string, string>; remove(): void } {
  const given = names.filter((name) => tls[name] !== undefined)
  const own = given.flatMap((name) => {
    const path = tls.files?.[name]
    return path !== undefined && isUsable(path, name) ? [[variables[name], path]] : []
  })
  const env: Record<string, string> = Object.fromEntries(own)
  const copied = given.filter((name) => env[variables[name]] === undefined)
  if (copied.length === 0) return { env, remove() {} }
  const contents = Object.fromEntries(copied.map((name) => [variables[name], tls[name]!]))
  const { paths, remove } = writeTemporary(contents, {
    what: 'the certificates that the client programs need',
    otherwise: otherwise(copied),
  })
  return { env: { ...env, ...paths }, remove }
}

function otherwise(copied: (keyof typeof variables)[]): string {
  return copied.includes('key')
    ? 'make the key readable only by its owner (mode 0600)'
    : 'set `database.tls.ca` to a file'
}

/** As in libpq: a key that others may read is refused, but if root owns it, its group may read it. */
function isUsable(path: string, name: keyof typeof variables): boolean {
  try {
    const { uid, mode } = statSync(path)
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) return false
    return name !== 'key' || (mode & (uid === 0 ? 0o037 : 0o077)) === 0
  } catch {
    return false
  }
}

/** Checks before any work that the files for the client programs can be provided. @throws {AppError} `usage` */
export const checkClientFiles = ({ tls }: Connection): void => tlsFiles(tls).remove()
