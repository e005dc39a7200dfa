import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from '../errors.ts'
import { isIgnoredParameter, normalised, refuseParameter, urlParameters } from './parameters.ts'
import { refuseUrlAsPath, unreadable } from './secrets.ts'

/** The parameters of a service of pg_service.conf, under libpq's names. The first of two wins. */
export type Service = { parameters: Record<string, string>; ignored: string[] }

/** Looks up a service. `file` is the service file that the source names. */
export type ServiceReader = (name: string, file: string | undefined) => Service

/**
 * Reads services only from the file that the source or PGSERVICEFILE names.
 * @throws {AppError} `usage`
 */
export const serviceReader =
  (fallback: string | undefined, source: string, baseDir: string): ServiceReader =>
  (name, named = fallback) => {
    if (!named)
      throw usage(`${source} names a service, but no service file`, {
        hint: "set PGSERVICEFILE: ~/.pg_service.conf and the system's file are not read",
      })
    refuseUrlAsPath(named, 'servicefile')
    const path = resolve(baseDir, named)
    return parseService(contentOf(path), name, path)
  }

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { problem, hint } = unreadable(cause as NodeJS.ErrnoException)
    throw usage(`the service file ${path} ${problem}`, { hint, cause })
  }
}

/**
 * One service of pg_service.conf, as libpq reads it: the lines after the first `[name]`, up to the next `[`. The content of a line is
 * never shown: it may be a password.
 *
 * @throws {AppError} `usage` when there is no such service, for a line that cannot be read, and for a key that is refused
 */
export function parseService(text: string, name: string, path: string): Service {
  const lines = text.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }))
  const begin = lines.findIndex(({ line }) => line.startsWith(`[${name}]`))
  if (begin < 0)
    throw usage(`the service file ${path} does not contain that service`, {
      hint: 'start it with [name] on a line of its own',
    })
  const following = lines.slice(begin + 1)
  const next = following.findIndex(({ line }) => line.startsWith('['))
  const entries = following
    .slice(0, next < 0 ? undefined : next)
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
    .map(({ line, number }) => entryOf(line, `line ${number} of the service file ${path}`))
  return {
    parameters: normalised(entries),
    ignored: [...new Set(entries.map(([key]) => key).filter(isIgnoredParameter))].map((key) => `${key} of the service`),
  }
}

function entryOf(line: string, where: string): [string, string] {
  const [, key = '', value = ''] = /^([^=]*)=(.*)$/s.exec(line) ?? []
  if (key === 'service' || key === 'servicefile')
    throw usage(`${where} names another service, which libpq does not allow either`, { hint: 'remove it' })
  if (!Object.hasOwn(urlParameters, key))
    throw usage(`${where} cannot be read, or has an unknown key`, {
      hint: 'write key=value with a parameter of libpq, without spaces around the =',
    })
  refuseParameter(key, value, key, where)
  if (key === 'port' && !/^\d+(,\d*)*$/.test(value))
    throw usage(`${where}: the port is not a number`, { hint: 'write digits, or several numbers with commas' })
  return [key, value]
}
