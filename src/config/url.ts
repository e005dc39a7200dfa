import { usage } from '../errors.ts'
import type { Endpoint } from './connection.ts'
import { readPort } from './environment.ts'
import { harmless, normalised, refuseParameter } from './parameters.ts'

export type UrlParts = {
  endpoints: Endpoint[]
  database: string | undefined
  user: string | undefined
  password: string | undefined
  /** By the name of the URL's parameter; those of {@link known}. */
  parameters: Readonly<Record<string, string | undefined>>
  ignored: string[]
  /** What only other programs understand: the driver of SQLAlchemy (`asyncpg`), and the parameters that mean nothing to us. */
  foreign?: ForeignParts
}

export type ForeignParts = { driver: string | undefined; parameters: [string, string][] }

const known = [
  ...['sslmode', 'ssl', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding', 'target_session_attrs'],
  ...['ssl-mode', 'ssl-root-cert', 'ssl-ca', 'ssl-cert', 'ssl-key', 'requiressl', 'currentSchema'],
  ...['search_path', 'options', 'options[search_path]', 'x-migrations-table', 'x-migrations-table-quoted'],
]
const placed = ['host', 'port', 'user', 'password', 'dbname', 'socket']

/**
 * Takes a database URL apart: `postgres[ql][+driver]://user:password@host:port,host2:port2/database?parameters`.
 * The `+driver` of SQLAlchemy is dropped.
 *
 * @param what the setting it came from, for messages; the URL itself is never shown, it holds a password
 * @throws {AppError} `usage`
 */
export function parseDatabaseUrl(url: string, what: string): UrlParts {
  refuseUnescaped(url, what)
  const match =
    /^(?:postgres|postgresql)(?:\+(\w+))?:\/\/(?:([^@/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url.trim())
  if (!match) throw usage(`${what} is not a PostgreSQL URL`, { hint: explain(url) })
  const [, driver, credentials, authority = '', path, query] = match
  // host:$(X_PORT), where Kubernetes has set X_PORT to tcp://10.0.0.1:5432
  if (/(^|[:,])tcp:$/.test(authority) && path?.startsWith('/'))
    throw badPort(readPort('tcp://…', `the port in ${what}`))
  const search = new URLSearchParams(query ?? '')
  const [user, ...rest] = credentials?.split(':') ?? []
  const parameters = normalised([...search].filter(([name]) => known.includes(name)))
  const others = [...search].filter(([name]) => ![...known, ...placed].includes(name))
  for (const [name, value] of others) refuseParameter(name, value, `the parameter ${name} of the URL`, what)

  return {
    endpoints: placesOf(authority, search, what),
    // As in libpq, what the query says goes before the rest.
    database: search.get('dbname') || decode(path, what),
    user: search.get('user') || decode(user, what),
    password: search.get('password') || decode(rest.length > 0 ? rest.join(':') : undefined, what),
    parameters,
    ignored: [...new Set(others.map(([name]) => nameable(name, search)))].filter((name) => !harmless.has(name)),
    foreign: { driver, parameters: others },
  }
}

/**
 * A password with `/`, `?`, `#` or `@` as it is ends where nobody expects it, and the rest of it looks like a host, a port or a name
 * of a database, which messages quote. An `@` behind the first of these characters is the sign of that.
 */
function refuseUnescaped(url: string, what: string): void {
  const rest = /^\s*\w+(?:\+\w+)?:\/\/(.*)$/s.exec(url)?.[1]
  if (rest === undefined) return
  const end = rest.search(/[/?#]/)
  const [authority, behind] = end < 0 ? [rest, ''] : [rest.slice(0, end), rest.slice(end)]
  if (behind.includes('@') || rest.includes('#') || authority.split('@').length > 2) throw unescaped(what)
}

const unescaped = (what: string) =>
  usage(`${what} cannot be taken apart: the password must be percent-encoded`, { hint: `${escapes}; ${form}` })

const form = 'the form is postgres://user:password@host:5432/database'

const escapes =
  'write special characters of the user name and the password as escapes: @ as %40, : as %3A, / as %2F, # as %23, ? as %3F'

/** A parameter beside a password in the query may be a piece of it, behind an `&` that was not escaped. */
const nameable = (name: string, search: URLSearchParams) =>
  search.has('password') || !/^[a-z][\w.[\]-]{0,40}$/i.test(name) ? '(not shown)' : name

/** Hosts and ports of the query stand before those of the authority, as in libpq: each for itself. */
function placesOf(authority: string, search: URLSearchParams, what: string): Endpoint[] {
  const hosts = search.get('host') ?? search.get('socket')
  const inside = endpoints(authority, search.get('port') ?? '5432', what)
  if (hosts === null) return inside
  const ports = search.get('port')?.split(',') ?? inside.map(({ port }) => String(port))
  return hosts.split(',').map((written, i) => {
    const host = written.replace(/^\[(.*)\]$/, '$1')
    if (host.includes('@') || !/^(\/.*|[^:]*|[\da-f:.%]+)$/is.test(host)) throw unescaped(what)
    const port = readPort(ports[i] ?? ports[0]!, `the port in ${what}`)
    if (typeof port === 'string') throw badPort(port)
    return { host: host === '' ? 'localhost' : host, port }
  })
}

function endpoints(hosts: string, fallbackPort: string, what: string): Endpoint[] {
  const list = hosts === '' ? ['localhost'] : hosts.split(',')
  const ports = fallbackPort.split(',')
  return list.map((entry, i) => {
    const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(entry) ?? []
    const written = port || ports[i] || ports[0]!
    if (!/^\d*$/.test(written)) throw unescaped(what)
    const number = readPort(written, `the port in ${what}`)
    if (typeof number === 'string') throw badPort(number)
    const host = decode(bracketed ?? plain, what) ?? 'localhost'
    if (host.includes('@')) throw unescaped(what)
    return { host, port: number }
  })
}

const badPort = (problem: number | string) =>
  usage(String(problem), { hint: 'write postgres://user:password@host:5432/database' })

function decode(text: string | undefined, what: string): string | undefined {
  if (text === undefined || text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw usage(`${what} holds a % that is not part of an escape`, { hint: 'write % as %25 in the URL' })
  }
}

function explain(url: string): string {
  if (!/^postgres(ql)?(\+\w+)?:\/\//.test(url.trim())) return 'it must begin with postgres:// or postgresql://'
  return escapes
}
