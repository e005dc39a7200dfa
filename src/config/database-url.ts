// pure
import type { Connection } from './connection.ts'

/** libpq's drivers understand its parameters in a URL; SQLAlchemy hands those of the others on as arguments that they do not know. */
const ofLibpq = /^psycopg/

/**
 * The connection as one URL, for programs that are not ours. It begins with `postgresql`, because SQLAlchemy knows no `postgres`, keeps
 * the driver and the parameters that were written for others, and escapes no more than it must: env.py files often hand it to
 * Python's configparser, which stumbles over `%`. It holds the password: only for an environment.
 *
 * @param driver of SQLAlchemy, where another URL than the connection's names it
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

/** `prefer` is what every program does by itself. */
const tlsParameters = (mode: string, files: Record<string, string>): [string, string][] => [
  ...(mode === 'prefer' ? [] : ([['sslmode', mode]] as [string, string][])),
  ...Object.entries(files),
]

/** Everything but what may stand in that part of a URL as it is (RFC 3986). `+` is a blank to some, and `%` has to go. */
const encode = (text: string) => text.replace(/[^A-Za-z0-9._~!$&'()*,;=-]/gu, (point) => encodeURIComponent(point))

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host)
