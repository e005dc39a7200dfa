import { usage } from '../errors.ts'
import { withAddresses } from './addresses.ts'
import { type Env, looksLikeUrl, readPort } from './environment.ts'
import {
  acceptedSettings,
  historyTable,
  isIgnoredVariable,
  libpqVariables,
  normalised,
  refuseParameter,
  settingsIn,
} from './parameters.ts'
import { readPassfile } from './passfile.ts'
import { authorities, type Pem, readPem } from './pem.ts'
import { currentPassword } from './replaced-passwords.ts'
import type { Config } from './schema.ts'
import { readSecretFile, secretReader } from './secrets.ts'
import { serviceReader } from './service.ts'
import { type ForeignParts, parseDatabaseUrl, type UrlParts } from './url.ts'

export type TlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** Certificates and keys in PEM. `files`: the files they were read from, for programs that read them themselves. */
export type Tls = {
  mode: TlsMode
  ca?: string
  /** `ca` is all authorities that the system trusts. */
  ofSystem?: true
  cert?: string
  key?: string
  files?: TlsFiles
}

export type TlsFiles = { ca?: string; cert?: string; key?: string }

/**
 * A `host` that begins with `/` is the folder of a Unix socket. `address`: where to connect, if it is given; `host` is then only
 * compared with the certificate.
 */
export type Endpoint = { host: string; port: number; address?: string }

/** Where and how to connect. It holds no password: `password()` reads it again at every call. */
export type Connection = {
  /** The setting it came from, for messages: `DATABASE_URL`. */
  source: string
  endpoints: Endpoint[]
  database: string
  user: string
  password(): string | undefined
  tls: Tls
  /** What `target_session_attrs` asks for; undefined if it is not set. */
  target: 'any' | 'primary' | undefined
  /**
   * The search_path for the files that are run, and for finding another tool's history, as SHOW writes it. Undefined: the one of the
   * role or the database. Never applies to our own queries.
   */
  searchPath?: string | undefined
  /** Other server settings for the files that are run, by name. Never applied to our own queries. */
  settings?: Readonly<Record<string, string>>
  /** golang-migrate's history table, `name` or `schema.name`. */
  historyTable?: string | undefined
  /** Query parameters of the URL that pgbosun ignores. */
  ignored: string[]
  /** Other warnings about where it came from. */
  warnings?: string[]
  /** Whether part of it came from a libpq service. */
  service?: boolean | undefined
  /** What the URL says only to other programs; undefined if the connection did not come from a URL. */
  foreign?: ForeignParts | undefined
}

const isSame = (a: Endpoint, b: Endpoint) => a.host === b.host && a.port === b.port

/** The same connection with only one host: the one that a session has reached. */
export const at = (connection: Connection, { endpoint }: { endpoint: Endpoint }): Connection => ({
  ...connection,
  endpoints: [endpoint],
})

/** Another login's connection, narrowed to the one host of `connection` if it names that host too. */
export function besides(other: Connection, { endpoints }: Connection): Connection {
  const [endpoint] = endpoints
  const named = endpoint && endpoints.length === 1 && other.endpoints.find((one) => isSame(one, endpoint))
  return named ? at(other, { endpoint: named }) : other
}

/** `host:port`, or the folder of a socket with the port, for messages. */
export const describeEndpoint = ({ host, port }: Endpoint) => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** `host:port/database` or `socket folder/database`, for messages. */
export function describe({ endpoints, database }: Pick<Connection, 'endpoints' | 'database'>): string {
  return `${endpoints.map(describeEndpoint).join(',')}/${database}`
}

/**
 * The connection to the target database, from the first source that is set: the configured URL, DATABASE_URL, libpq's PG*,
 * POSTGRES_*. `directUrl` replaces all of them. Sources are never mixed.
 *
 * @throws {AppError} `usage` when there is none, or it cannot be read
 */
export function resolveConnection(config: Config, env: Env, baseDir: string): Connection {
  const { directUrl, url, tls } = config.database
  const read = secretReader(env, baseDir)
  const configured = directUrl ?? url
  const fromUrl = (what: string, value: () => string) =>
    fromParts(what, () => parseDatabaseUrl(value(), what, services(env, what, baseDir)), tls, env, baseDir)

  if (configured !== undefined) {
    const what = directUrl === undefined ? 'database.url' : 'database.directUrl'
    return fromUrl(what, () => read(configured, what))
  }
  if (env.DATABASE_URL || env.DATABASE_URL_FILE)
    return fromUrl('DATABASE_URL', () => read({ env: 'DATABASE_URL' }, 'DATABASE_URL'))
  if (['PGHOST', 'PGHOSTADDR', 'PGUSER', 'PGDATABASE', 'PGSERVICE'].some((name) => env[name]))
    return fromParts('PGHOST', () => libpqParts(env, baseDir), tls, env, baseDir)
  if (['POSTGRES_HOST', 'POSTGRES_USER', 'POSTGRES_DB'].some((name) => env[name]))
    return fromParts('POSTGRES_HOST', () => postgresParts(env, baseDir), tls, env, baseDir)
  throw usage('no database connection is configured', {
    reason: 'no-connection',
    hint: 'set DATABASE_URL (or PGBOSUN_DATABASE_URL, or DATABASE_URL_FILE) to postgres://user:password@host:5432/database',
  })
}

/** libpq's variables that are set but have no effect, because another source is used. Only a password may come from a second source. */
export function variablesBeside(env: Env, { source, service }: Pick<Connection, 'source' | 'service'>): string[] {
  if (source === 'PGHOST') return []
  const heard = ['PGPASSWORD', ...(service ? ['PGSERVICEFILE'] : [])]
  return Object.keys(libpqVariables).filter((name) => env[name] && !heard.includes(name))
}

/** Warnings about a connection: parameters and variables that are ignored, and what may be a mistake. */
export const remarks = ({ source, ignored, warnings = [] }: Pick<Connection, 'source' | 'ignored' | 'warnings'>) => [
  ...ignored.map((name) => `${name} in ${source === 'PGHOST' ? 'the environment' : source} is ignored`),
  ...warnings,
]

const services = (env: Env, source: string, baseDir: string) => serviceReader(env.PGSERVICEFILE, source, baseDir)

/**
 * The connection that backups are made with: `backup.url`, otherwise the target's. It does not decide which databases are backed up.
 *
 * @throws {AppError} `usage` when there is none, or it cannot be read
 */
export function resolveBackupConnection(config: Config, env: Env, baseDir: string): Connection {
  const { url } = config.backup
  if (url === undefined) return resolveConnection(config, env, baseDir)
  const read = secretReader(env, baseDir)
  const parts = () => parseDatabaseUrl(read(url, 'backup.url'), 'backup.url', services(env, 'backup.url', baseDir))
  const connection = fromParts('backup.url', parts, config.database.tls, env, baseDir)
  return { ...connection, ignored: [...connection.ignored, ...forFiles(connection)] }
}

/**
 * The connection of the login that runs migrations and seeds (`migrate.url`); undefined if none is configured.
 * @throws {AppError} `usage` when it cannot be read, or says how files are run: that belongs into the URL of the database
 */
export function resolveMigrateConnection(config: Config, env: Env, baseDir: string): Connection | undefined {
  const { url } = config.migrate
  if (url === undefined) return undefined
  const read = secretReader(env, baseDir)
  const parts = () => parseDatabaseUrl(read(url, 'migrate.url'), 'migrate.url', services(env, 'migrate.url', baseDir))
  const connection = fromParts('migrate.url', parts, config.database.tls, env, baseDir)
  const idle = forFiles(connection)
  if (idle.length === 0) return connection
  throw usage(`${idle.join(', ')} in migrate.url would have no effect`, {
    hint: 'move it to the URL of the database: migrate.url only says who logs in',
  })
}

/** The parts of a connection that are about the files that are run, and about their history. */
const forFiles = ({ searchPath, settings, historyTable }: Connection): string[] => [
  ...(searchPath === undefined ? [] : ['search_path']),
  ...Object.keys(settings ?? {}),
  ...(historyTable === undefined ? [] : ['x-migrations-table']),
]

/**
 * The databases to back up: `backup.databases`, otherwise the target, otherwise the database of `backup.url`.
 * @throws {AppError} `usage` when none is named anywhere
 */
export function backupDatabases(config: Config, env: Env, baseDir: string): string[] {
  if (config.backup.databases) return [...new Set(config.backup.databases)]
  try {
    return [resolveConnection(config, env, baseDir).database]
  } catch (error) {
    if (config.backup.url === undefined) throw error
    return [resolveBackupConnection(config, env, baseDir).database]
  }
}

function fromParts(
  source: string,
  read: () => UrlParts,
  tls: Config['database']['tls'],
  env: Env,
  baseDir: string,
): Connection {
  const { endpoints, database, user, parameters, ignored, foreign, service } = read()
  const ca = tls.ca ?? parameters.sslrootcert
  const cert = tls.cert ?? parameters.sslcert
  const key = tls.key ?? parameters.sslkey
  const asked = tls.mode ?? tlsMode(source, parameters.sslmode) ?? (ca === undefined ? 'prefer' : 'verify-full')
  const mode = bound(asked, parameters.channel_binding, source)
  if (mode !== 'verify-full' && endpoints.some(({ address }) => address !== undefined))
    throw usage(`hostaddr in ${source} needs sslmode verify-full, but it is ${mode}`, {
      hint: 'set sslmode=verify-full, or put the address into `host`: otherwise whoever answers at that address gets the password',
    })
  const account = user ?? process.getBuiltinModule('node:os').userInfo().username
  const where = { endpoints, user: account, database: database ?? account }
  /** As in libpq, a password file is only read if nothing else gives a password. */
  const secret = () => {
    const password = read().password ?? passwordAlone(env, baseDir)
    if (password !== undefined || !parameters.passfile) return { password, warnings: [] }
    return readPassfile(parameters.passfile, where, baseDir)
  }
  return {
    source,
    ...where,
    password: () => currentPassword(account, secret().password),
    warnings: parameters.passfile ? secret().warnings : [],
    tls: tlsOf(mode, {
      ca: authorities(ca, mode, source, baseDir),
      cert: cert === undefined ? undefined : readPem(cert, 'database.tls.cert', baseDir),
      key: key === undefined ? undefined : readPem(key, 'database.tls.key', baseDir),
    }),
    target: target(source, parameters.target_session_attrs),
    ...settingsOf(parameters, source),
    historyTable:
      parameters['x-migrations-table'] === undefined
        ? undefined
        : historyTable(parameters['x-migrations-table'], isTrue(parameters['x-migrations-table-quoted']), source),
    ignored,
    service,
    foreign,
  }
}

function tlsOf(mode: TlsMode, given: Record<keyof TlsFiles, Pem | undefined>): Tls {
  const pems = Object.entries(given).filter((entry): entry is [keyof TlsFiles, Pem] => entry[1] !== undefined)
  const files = pems.flatMap(([name, { file }]) => (file === undefined ? [] : [[name, file]]))
  return {
    mode,
    ...Object.fromEntries(pems.map(([name, { text }]) => [name, text])),
    ...(given.ca?.ofSystem && { ofSystem: true as const }),
    ...(files.length > 0 && { files: Object.fromEntries(files) }),
  }
}

/** A parameter of its own overrides the same setting in `options`. */
function settingsOf(
  parameters: UrlParts['parameters'],
  source: string,
): Required<Pick<Connection, 'searchPath' | 'settings'>> {
  const bracketed = Object.entries(parameters).flatMap(([key, value = '']): [string, string][] => {
    const name = /^options\[(.+)\]$/.exec(key)?.[1]
    return name === undefined ? [] : [[name, value]]
  })
  const { timezone, search_path: plain, options = '' } = parameters
  const { search_path: path, ...settings }: Record<string, string> = {
    ...settingsIn(options, source),
    ...acceptedSettings(bracketed, source),
    ...(timezone && { timezone }),
  }
  return { searchPath: plain ?? path, settings }
}

/** Like Go's ParseBool, which golang-migrate reads it with. */
const isTrue = (text = '') => ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)

/** The TLS mode with channel binding taken into account, which needs TLS. @throws {AppError} `usage` */
function bound(mode: TlsMode, binding: string | undefined, source: string): TlsMode {
  if (binding !== undefined && !['disable', 'prefer', 'require'].includes(binding))
    throw usage(`${source}: channel_binding has an unknown value`, { hint: 'use disable, prefer or require' })
  if (binding !== 'require') return mode
  if (mode === 'disable')
    throw usage(`${source}: channel_binding=require needs TLS, which is switched off`, {
      hint: 'remove one of the two',
    })
  return mode === 'prefer' ? 'require' : mode
}

const tlsModes: TlsMode[] = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full']

function tlsMode(source: string, text: string | undefined): TlsMode | undefined {
  if (text === undefined) return undefined
  const mode = { true: 'require', false: 'disable', allow: 'prefer' }[text] ?? text
  if ((tlsModes as string[]).includes(mode)) return mode as TlsMode
  throw usage(`${source}: sslmode has an unknown value`, { hint: `use one of ${tlsModes.join(', ')}` })
}

function target(source: string, text: string | undefined): Connection['target'] {
  if (text === undefined || text === 'any') return text
  if (text === 'primary' || text === 'read-write') return 'primary'
  throw usage(`${source}: target_session_attrs must allow writing, because pgbosun changes the database`, {
    hint: 'use primary, read-write or any',
  })
}

/** The password for a URL or PG* variables without one. */
function passwordAlone(env: Env, baseDir: string): string | undefined {
  if (env.PGPASSWORD) return env.PGPASSWORD
  return env.PGPASSWORD_FILE ? readSecretFile(env.PGPASSWORD_FILE, 'PGPASSWORD_FILE', baseDir) : undefined
}

/** As in libpq, a service overrides the other variables. */
function libpqParts(env: Env, baseDir: string): UrlParts {
  refuseUrl(env, ['PGHOST', 'PGHOSTADDR', 'PGDATABASE', 'PGUSER', 'PGSERVICE'])
  const service = env.PGSERVICE ? services(env, 'PGSERVICE', baseDir)(env.PGSERVICE, undefined) : undefined
  const given = Object.entries(libpqVariables).flatMap(([variable, name]): [string, string, string][] =>
    env[variable] && name !== undefined ? [[name, env[variable], variable]] : [],
  )
  const parameters = { ...normalised(given.map(([name, value]) => [name, value])), ...service?.parameters }
  for (const [name, value, variable] of given) refuseParameter(name, value, variable, 'the environment')
  const { host, hostaddr, port, dbname, user } = parameters
  // an address without a name is used like a name
  const endpoints = endpointList(host || hostaddr || 'localhost', port || '5432', 'PGPORT')
  return {
    endpoints: host && hostaddr ? withAddresses(endpoints, hostaddr, 'the environment') : endpoints,
    database: dbname || undefined,
    user: user || undefined,
    password: service?.parameters.password || undefined,
    parameters,
    ignored: [
      ...Object.keys(libpqVariables).filter((variable) => env[variable] && isIgnoredVariable(variable)),
      ...(service?.ignored ?? []),
    ],
    service: service !== undefined,
  }
}

function postgresParts(env: Env, baseDir: string): UrlParts {
  refuseUrl(env, ['POSTGRES_HOST', 'POSTGRES_DB', 'POSTGRES_USER'])
  const file = env.POSTGRES_PASSWORD_FILE
  return {
    endpoints: endpointList(env.POSTGRES_HOST || 'localhost', env.POSTGRES_PORT || '5432', 'POSTGRES_PORT'),
    database: env.POSTGRES_DB || undefined,
    user: env.POSTGRES_USER || 'postgres',
    password: env.POSTGRES_PASSWORD || (file ? readSecretFile(file, 'POSTGRES_PASSWORD_FILE', baseDir) : undefined),
    parameters: {},
    ignored: [],
  }
}

/**
 * A URL where only a part of one is expected holds a password, which every message would show.
 * @throws {AppError} `usage`
 */
function refuseUrl(env: Env, names: string[]): void {
  for (const name of names)
    if (looksLikeUrl(env[name] ?? ''))
      throw usage(`${name} is a URL, but only a part of one is expected there`, {
        hint: 'put it into DATABASE_URL instead',
      })
}

function endpointList(hosts: string, ports: string, name: string): Endpoint[] {
  const portList = ports.split(',')
  return hosts.split(',').map((host, i) => {
    const port = readPort(portList[i] ?? portList[0]!, name)
    if (typeof port === 'string') throw usage(port, { hint: `set ${name} to a number` })
    return { host, port }
  })
}
