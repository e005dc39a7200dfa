// pure
import type { Connection } from './connection.ts'

/** Drivers built on libpq understand its parameters in a URL. To the others, SQLAlchemy passes them as unknown arguments. */
const ofLibpq = /^psycopg/

/**
 * The connection as one URL, for other programs. It begins with `postgresql`, because SQLAlchemy does not accept `postgres`. It keeps
 * the driver and the parameters that were meant for others, and escapes as little as possible: env.py files often pass it to Python's
 * configparser, which fails on `%`. It holds the password: use it only in an environment.
 *
 * @param driver of SQLAlchemy, if a URL other than the connection's names it
 * @param files  paths of the certificates, by libpq's name: `sslrootcert`, `sslcert`, `sslkey`
 */
export function databaseUrl(
  { endpoints, user, password, database, tls, foreign }: Connection,
  { driver = foreign?.driver, files = {} }: { driver?: string | undefined; files?: Record<string, string> } = {},
): string {
  const secret = password()
  const account = `${encode(user)}${secret === undefined ? '' : `:${encode(secret)}`}`
  const sockets = endpoints.filter(({ host }) => host.startsWith('/'))
  const hosts = sockets.length > 0 ? '' : endpoints.map(({ host, port }) => `${bracketed(host)}:${port}`).join(',')
  const parameters: [string, string][] = [
    ...sockets.flatMap(({ host, port }): [string, string][] => [
      ['host', host],
      ['port', String(port)],
    ]),
    ...(driver === undefined || ofLibpq.test(driver)
      ? [...addressParameter(endpoints), ...tlsParameters(tls.mode, files)]
      : []),
    ...(foreign?.parameters ?? []),
  ]
  const query = parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return `postgresql${driver === undefined ? '' : `+${driver}`}://${account}@${hosts}/${encode(database)}${query === '' ? '' : `?${query}`}`
}

const addressParameter = (endpoints: Connection['endpoints']): [string, string][] =>
  endpoints.some(({ address }) => address !== undefined)
    ? [['hostaddr', endpoints.map(({ address = '' }) => address).join(',')]]
    : []

/** `prefer` is the default of every program. */
const tlsParameters = (mode: string, files: Record<string, string>): [string, string][] => [
  ...(mode === 'prefer' ? [] : ([['sslmode', mode]] as [string, string][])),
  ...Object.entries(files),
]

/** Escapes what that part of a URL must not contain (RFC 3986), and `+`, which some programs read as a space. */
const encode = (text: string) => text.replace(/[^A-Za-z0-9._~!$&'()*,;=-]/gu, (point) => encodeURIComponent(point))

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)
