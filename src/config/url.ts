import { usage } from '../errors.ts'
import { withAddresses } from './addresses.ts'
import type { Endpoint } from './endpoint.ts'
import { readPort } from './environment.ts'
import { harmless, normalised, refuseParameter } from './parameters.ts'
import type { Service, ServiceReader } from './service.ts'

export type UrlParts = {
  endpoints: Endpoint[]
  database: string | undefined
  user: string | undefined
  password: string | undefined
  /** By the name of the URL's parameter; only those in {@link known}. */
  parameters: Readonly<Record<string, string | undefined>>
  ignored: string[]
  /** Whether part of it came from a libpq service. */
  service?: boolean
  /** What only other programs understand: the driver of SQLAlchemy (`asyncpg`), and parameters that pgbosun does not use. */
  foreign?: ForeignParts
}

/** In `parameters`, a `+` was read as a space, as drivers other than libpq do. */
export type ForeignParts = { driver: string | undefined; parameters: [string, string][] }

const known = [
  ...['sslmode', 'ssl', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding', 'target_session_attrs'],
  ...['passfile', 'service', 'servicefile'],
  ...['ssl-mode', 'ssl-root-cert', 'ssl-ca', 'ssl-cert', 'ssl-key', 'requiressl', 'currentSchema'],
  ...['search_path', 'options', 'timezone', 'TimeZone', 'x-migrations-table', 'x-migrations-table-quoted'],
]
/** Also sqlx's `options[name]`. */
const isKnown = (name: string) => known.includes(name) || /^options\[.+\]$/.test(name)
const placed = ['host', 'hostaddr', 'port', 'user', 'password', 'dbname', 'socket']

/**
 * Takes a database URL apart: `postgres[ql][+driver]://user:password@host:port,host2:port2/database?parameters`.
 * The `+driver` of SQLAlchemy is dropped.
 *
 * @param what the setting it came from, for messages; the URL itself is never shown, because it holds a password
 * @param readService looks up the service that it may name, which adds what the URL leaves open
 * @throws {AppError} `usage`
 */
export function parseDatabaseUrl(url: string, what: string, readService: ServiceReader = noServices): UrlParts {
  refuseUnescaped(url, what)
  const match =
    /^(?:postgres|postgresql)(?:\+(\w+))?:\/\/(?:([^@/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url.trim())
  if (!match) throw usage(`${what} is not a PostgreSQL URL`, { hint: explain(url) })
  const [, driver, credentials, authority = '', path, query] = match
  // host:$(X_PORT), after Kubernetes has set X_PORT to tcp://10.0.0.1:5432
  if (/(^|[:,])tcp:$/.test(authority) && path?.startsWith('/'))
    throw badPort(readPort('tcp://…', `the port in ${what}`))
  const search = new URLSearchParams(parametersOf(query ?? '', what))
  refuseTwice(search, what)
  const [user, ...rest] = credentials?.split(':') ?? []
  const parameters = normalised([...search].filter(([name]) => isKnown(name)))
  const others = [...new URLSearchParams(query ?? '')].filter(([name]) => !isKnown(name) && !placed.includes(name))
  const named = search.get('service')
  const service = named ? readService(named, search.get('servicefile') ?? undefined) : undefined
  const explicit = { ...said(authority), dbname: Boolean(path), user: Boolean(user), password: rest.length > 0 }
  if (service) fill(search, service, explicit)
  for (const [name, value] of others) refuseParameter(name, value, `the parameter ${name} of the URL`, what)

  return {
    endpoints: placesOf(authority, search, what),
    // As in libpq, the query overrides the rest.
    database: search.get('dbname') || decode(path, what),
    user: search.get('user') || decode(user, what),
    password: search.get('password') || decode(rest.length > 0 ? rest.join(':') : undefined, what),
    parameters: { ...service?.parameters, ...parameters },
    ignored: [
      ...[...new Set(others.map(([name]) => nameable(name, search)))].filter((name) => !harmless.has(name)),
      ...(service?.ignored ?? []),
    ],
    service: service !== undefined,
    foreign: { driver, parameters: others },
  }
}

/** Parsed as libpq does it: a `+` is a plus, not a space. */
const parametersOf = (query: string, what: string) =>
  query
    .split('&')
    .filter((part) => part !== '')
    .map((part): [string, string] => {
      const [name = '', ...value] = part.split('=')
      return [decode(name, what) ?? '', decode(value.join('='), what) ?? '']
    })

/** libpq takes the last of them, other drivers the first, so what was meant is unclear. */
function refuseTwice(search: URLSearchParams, what: string): void {
  const twice = [...search.keys()].find((name) => new Set(search.getAll(name)).size > 1)
  if (twice === undefined) return
  throw usage(`${what} contains ${nameable(twice, search)} twice, with different values`, { hint: 'keep one of them' })
}

const noServices: ServiceReader = () => ({ parameters: {}, ignored: [] })

/** Whether an authority has a host, and a port: `:5433` is a port without a host. */
function said(authority: string): { host: boolean; port: boolean } {
  const parts = authority.split(',').map((entry) => /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(entry))
  return { host: parts.some((part) => part?.[1]), port: parts.some((part) => part?.[2]) }
}

/** Adds the host, port, database, user and password of a service, as far as the URL leaves them open. */
function fill(search: URLSearchParams, { parameters }: Service, explicit: Record<string, boolean>): void {
  for (const name of ['host', 'hostaddr', 'port', 'dbname', 'user', 'password']) {
    const value = parameters[name]
    const open = !explicit[name] && !search.has(name) && !(name === 'host' && search.has('socket'))
    if (open && value !== undefined) search.append(name, value)
  }
}

/**
 * A password with an unescaped `/`, `?`, `#` or `@` seems to end there. The rest of it then looks like a host, a port or the name of a
 * database, which messages quote. The sign of that is an `@` after the first of these characters.
 */
function refuseUnescaped(url: string, what: string): void {
  const rest = /^\s*\w+(?:\+\w+)?:\/\/(.*)$/s.exec(url)?.[1]
  if (rest === undefined) return
  const end = rest.search(/[/?#]/)
  const [authority, after] = end < 0 ? [rest, ''] : [rest.slice(0, end), rest.slice(end)]
  if (after.includes('@') || rest.includes('#') || authority.split('@').length > 2) throw unescaped(what)
}

const unescaped = (what: string) =>
  usage(`${what} cannot be parsed: the password must be percent-encoded`, { hint: `${escapes}; ${form}` })

const form = 'the form is postgres://user:password@host:5432/database'

const escapes =
  'escape special characters in the user name and the password: write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F'

/** If the query contains a password, another parameter may be a piece of it, after an `&` that was not escaped. */
const nameable = (name: string, search: URLSearchParams) =>
  search.has('password') || !/^[a-z][\w.[\]-]{0,40}$/i.test(name) ? '(not shown)' : name

/** As in libpq, hosts in the query override those of the authority, and so do ports. Without a host, `hostaddr` is the host. */
function placesOf(authority: string, search: URLSearchParams, what: string): Endpoint[] {
  const hostaddr = search.get('hostaddr')
  const named = search.get('host') ?? search.get('socket')
  const isNamed = named !== null || said(authority).host
  const places = namedPlaces(authority, search, isNamed ? named : hostaddr, what)
  return isNamed && hostaddr ? withAddresses(places, hostaddr, what) : places
}

/** @param hosts of the query; null to use those of the authority */
function namedPlaces(authority: string, search: URLSearchParams, hosts: string | null, what: string): Endpoint[] {
  const inside = endpoints(authority, search.get('port')?.split(','), what)
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

/** @param ports of the query, which override those of the authority */
function endpoints(hosts: string, ports: string[] | undefined, what: string): Endpoint[] {
  const list = hosts === '' ? ['localhost'] : hosts.split(',')
  return list.map((entry, i) => {
    const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(entry) ?? []
    const written = (ports ? (ports[i] ?? ports[0]) : port) || '5432'
    if (!/^\d*$/.test(`${port ?? ''}${written}`)) throw unescaped(what)
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
    throw usage(`${what} contains a % that is not part of an escape`, { hint: 'write % as %25 in the URL' })
  }
}

function explain(url: string): string {
  if (!/^postgres(ql)?(\+\w+)?:\/\//.test(url.trim())) return 'it must begin with postgres:// or postgresql://'
  return escapes
}
