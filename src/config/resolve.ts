import { usage } from '../errors.ts'
import { isAsked } from './asked.ts'
import type { Connection } from './connection.ts'
import type { Env } from './environment.ts'
import type { LoginSecret } from './fields.ts'
import { initVariablesIn } from './init-postgres.ts'
import { passwordOf } from './login-secret.ts'
import { acceptedSettings, calledIn, historyTable, libpqVariables, settingsIn } from './parameters.ts'
import { readPassfile } from './passfile.ts'
import { authorities, readPem } from './pem.ts'
import { renewed } from './renewed.ts'
import { currentPassword } from './replaced-passwords.ts'
import type { Config } from './schema.ts'
import { type SecretReader, secretReader } from './secrets.ts'
import { sourceIn } from './source-in.ts'
import {
  aloneIn,
  initLogin,
  initParts,
  libpqLogin,
  libpqParts,
  passwordAlone,
  postgresLogin,
  postgresParts,
  type SourceLogin,
  services,
  urlLogin,
} from './sources.ts'
import { bound, tlsMode, tlsOf } from './tls.ts'
import { parseDatabaseUrl, type UrlParts } from './url.ts'
import type { UrlSource } from './url-source.ts'

/**
 * The connection to the target database, from the first source that is set: the configured URL, DATABASE_URL, libpq's PG*,
 * POSTGRES_*, INIT_POSTGRES_*. `directUrl` replaces all of them. Sources are never mixed.
 *
 * @throws {AppError} `usage` when there is none, or it cannot be read
 */
export function resolveConnection(config: Config, env: Env, baseDir: string): Connection {
  const { directUrl, url, tls, password } = config.database
  const read = secretReader(env, baseDir)
  const configured = directUrl ?? url
  const fromUrl = (what: string, where: UrlSource) =>
    fromParts(
      { source: what, login: urlLogin(what, where, env), ...alone, url: where },
      () => parseDatabaseUrl(urlIn(where, what, read), what, services(env, what, baseDir)),
      tls,
      env,
      baseDir,
    )
  const alone = password && { password: { key: 'database.password', source: password } }

  if (configured !== undefined) {
    const what = directUrl === undefined ? 'database.url' : 'database.directUrl'
    return fromUrl(what, configured)
  }
  const from = (source: string, login: SourceLogin, parts: () => UrlParts) =>
    fromParts({ source, login, ...alone }, parts, tls, env, baseDir)
  switch (sourceIn(env)) {
    case 'DATABASE_URL':
      return fromUrl('DATABASE_URL', { env: 'DATABASE_URL' })
    case 'PGHOST':
      return from('PGHOST', libpqLogin(env), () => libpqParts(env, baseDir))
    case 'POSTGRES_HOST':
      return from('POSTGRES_HOST', postgresLogin(env), () => postgresParts(env, baseDir))
    case 'INIT_POSTGRES_HOST':
      return from('INIT_POSTGRES_HOST', initLogin(env), () => initParts(env, baseDir))
  }
  throw usage('no database connection is configured', {
    reason: 'no-connection',
    hint: 'set DATABASE_URL (or PGBOSUN_DATABASE_URL, or DATABASE_URL_FILE) to postgres://user:password@host:5432/database',
  })
}

const urlIn = (source: UrlSource, what: string, read: SecretReader) =>
  typeof source === 'string' ? source : read(source, what)

/** A connection with a URL of its own, besides that of the database; `key` ends with `.url`. */
function fromUrlKey(
  key: string,
  { url, password }: { url: UrlSource; password?: LoginSecret | undefined },
  { config, env, baseDir }: { config: Config; env: Env; baseDir: string },
): Connection {
  const alone = password && { password: { key: key.replace(/url$/, 'password'), source: password } }
  const read = secretReader(env, baseDir)
  const parts = () => parseDatabaseUrl(urlIn(url, key, read), key, services(env, key, baseDir))
  const from = { source: key, login: urlLogin(key, url, env), ...alone, url }
  return fromParts(from, parts, config.database.tls, env, baseDir)
}

/** Variables of libpq and of postgres-init that are set but have no effect, because another source is used. Only a password may come from a second source. */
export function variablesBeside(env: Env, { source, service }: Pick<Connection, 'source' | 'service'>): string[] {
  const init = source === 'INIT_POSTGRES_HOST' ? [] : initVariablesIn(env)
  if (source === 'PGHOST') return init
  const heard = ['PGPASSWORD', ...(service ? ['PGSERVICEFILE'] : [])]
  return [...Object.keys(libpqVariables).filter((name) => env[name] && !heard.includes(name)), ...init]
}

/** Warnings about a connection: parameters and variables that are ignored, and what may be a mistake. */
export const remarks = ({ source, ignored, warnings = [] }: Pick<Connection, 'source' | 'ignored' | 'warnings'>) => [
  ...ignored.map((name) => `${name} in ${source === 'PGHOST' ? 'the environment' : source} is ignored`),
  ...warnings,
]

/**
 * The connection that backups are made with: `backup.url`, otherwise the target's. It does not decide which databases are backed up.
 *
 * @throws {AppError} `usage` when there is none, or it cannot be read
 */
export function resolveBackupConnection(config: Config, env: Env, baseDir: string): Connection {
  const { url, password } = config.backup
  if (url === undefined) return resolveConnection(config, env, baseDir)
  const connection = fromUrlKey('backup.url', { url, password }, { config, env, baseDir })
  return { ...connection, ignored: [...connection.ignored, ...forFiles(connection)] }
}

/**
 * The connection of the login that runs migrations and seeds (`migrate.url`); undefined if none is configured.
 * @throws {AppError} `usage` when it cannot be read, or says how files are run: that belongs into the URL of the database
 */
export function resolveMigrateConnection(config: Config, env: Env, baseDir: string): Connection | undefined {
  const { url, password } = config.migrate
  if (url === undefined) return undefined
  const connection = fromUrlKey('migrate.url', { url, password }, { config, env, baseDir })
  const idle = forFiles(connection)
  if (idle.length === 0) return connection
  throw usage(`${idle.join(', ')} in migrate.url would have no effect`, {
    hint: 'move it to the URL of the database: migrate.url only says who logs in',
  })
}

/**
 * The connection for test restores: `backup.verify.url`, or with `where: same-server` the target's. Undefined if none is configured.
 * @throws {AppError} `usage` when it cannot be read
 */
export function resolveTestConnection(config: Config, env: Env, baseDir: string): Connection | undefined {
  const { url, password, where } = config.backup.verify
  if (url === undefined) return where === 'same-server' ? resolveConnection(config, env, baseDir) : undefined
  const connection = fromUrlKey('backup.verify.url', { url, password }, { config, env, baseDir })
  return { ...connection, ignored: [...connection.ignored, ...forFiles(connection)] }
}

/** The connection to the database that is imported, `import.url`. @throws {AppError} `usage` when it cannot be read */
export function resolveImportConnection(
  { url, password }: { url: UrlSource; password?: LoginSecret | undefined },
  config: Config,
  env: Env,
  baseDir: string,
): Connection {
  const connection = fromUrlKey('import.url', { url, password }, { config, env, baseDir })
  return { ...connection, target: undefined, ignored: [...connection.ignored, ...forFiles(connection)] }
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

/** Where the parts of a connection come from. `password`: the key for a password that is not in the URL. */
type From = {
  source: string
  login: SourceLogin
  url?: UrlSource
  password?: { key: string; source: LoginSecret }
}

function fromParts(
  { source, login, url, password: alone }: From,
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
    throw usage(`${calledIn(source, 'hostaddr')} needs sslmode verify-full, but it is ${mode}`, {
      hint: 'set sslmode=verify-full, or put the address into `host`: otherwise whoever answers at that address gets the password',
    })
  const account = user ?? process.getBuiltinModule('node:os').userInfo().username
  const where = { endpoints, user: account, database: database ?? account }
  const keyed = alone && passwordOf(alone, { ...where, mode }, { env, baseDir })
  const asks = isAsked(url) || keyed?.renew !== undefined
  /** As in libpq, a password file is only read if nothing else gives a password. */
  const secret = () => {
    const password = read().password ?? keyed?.read() ?? passwordAlone(env, baseDir)
    if (password !== undefined || !parameters.passfile) return { password, warnings: [] }
    return readPassfile(parameters.passfile, where, baseDir)
  }
  return {
    source,
    ...where,
    password: () => currentPassword(account, secret().password),
    ...(asks && {
      async fresh(sinceMs?: number) {
        await renewed(url, source, { env, baseDir }, sinceMs)
        await keyed?.renew?.(sinceMs)
        return { user: read().user ?? account }
      },
    }),
    login: () => {
      const own = read().password === undefined ? undefined : login.own
      const { passfile } = parameters
      const password = own ?? alone?.key ?? aloneIn(env) ?? (passfile ? `the password file ${passfile}` : undefined)
      return { user: login.user, password, missing: login.missing }
    },
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

function target(source: string, text: string | undefined): Connection['target'] {
  if (text === undefined || text === 'any') return text
  if (text === 'primary' || text === 'read-write') return 'primary'
  throw usage(`${calledIn(source, 'target_session_attrs')} must allow writing, because pgbosun changes the database`, {
    hint: 'use primary, read-write or any',
  })
}
