import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from '../errors.ts'
import type { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { refuseUrlAsPath, unreadable } from './secrets.ts'

type Account = Pick<Connection, 'endpoints' | 'database' | 'user'>

/** The default socket folders of libpq: in its sources, and on Debian. For these, it looks for the host `localhost` in the file. */
const usualSockets = ['/tmp', '/var/run/postgresql']

const field = String.raw`((?:\\.|[^:\\])*)`
const line = new RegExp(String.raw`^${field}:${field}:${field}:${field}:((?:\\.|[^:])*)`, 's')
const unescaped = (text: string) => text.replace(/\\(.)/gs, '$1')

/**
 * The password of the first line that matches, as libpq finds it in a `.pgpass`: `host:port:database:user:password`, with `*` for
 * anything, `\` before `:` and `\`, and comments after `#`. An empty password counts as none.
 */
export function passwordIn(text: string, { host, port }: Endpoint, database: string, user: string): string | undefined {
  const hosts = usualSockets.includes(host) ? [host, 'localhost'] : [host]
  const wanted = [hosts, [String(port)], [database], [user]]
  const found = text
    .split('\n')
    .filter((written) => !written.startsWith('#'))
    .map((written) => line.exec(written.replace(/\r+$/, ''))?.slice(1) ?? [])
    .find((fields) => wanted.every((names, i) => fields[i] === '*' || names.includes(unescaped(fields[i] ?? ''))))
  return unescaped(found?.[4] ?? '') || undefined
}

/**
 * The password for a connection from a password file, and warnings about that file. A connection has one password, so all of its
 * hosts must have the same one.
 *
 * @throws {AppError} `usage` when the file cannot be read, or the hosts differ
 */
export function readPassfile(
  named: string,
  { endpoints, database, user }: Account,
  baseDir: string,
): { password: string | undefined; warnings: string[] } {
  refuseUrlAsPath(named, 'passfile')
  const path = resolve(baseDir, named)
  const { text, mode } = contentOf(path)
  const [password, ...others] = new Set(endpoints.map((endpoint) => passwordIn(text, endpoint, database, user)))
  if (others.length > 0)
    throw usage(`the password file ${path} has different passwords for the hosts, or none for some of them`, {
      hint: 'write one line with * as the host',
    })
  const places = endpoints.map(({ host, port }) => `${host}:${port}`).join(', ')
  return {
    password,
    warnings: [
      ...(mode & 0o077
        ? [`${path} can be read by users other than its owner: libpq ignores such a password file`]
        : []),
      ...(password === undefined
        ? [`no line of the password file ${path} is for ${user} at ${places}, database ${database}`]
        : []),
    ],
  }
}

function contentOf(path: string): { text: string; mode: number } {
  try {
    const found = statSync(path)
    if (found.isFile() || found.isDirectory()) return { text: readFileSync(path, 'utf8'), mode: found.mode }
  } catch (cause) {
    const { problem, hint } = unreadable(cause as NodeJS.ErrnoException)
    throw usage(`the password file ${path} ${problem}`, { hint, cause })
  }
  // It is read at every login, and a pipe can be read only once.
  throw usage(`the password file ${path} is not a regular file`, { hint: 'use a regular file' })
}
