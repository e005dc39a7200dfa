import { usage } from '../errors.ts'
import { withAddresses } from './addresses.ts'
import { isAsked } from './asked.ts'
import type { Endpoint } from './endpoint.ts'
import { type Env, readPort } from './environment.ts'
import { initDatabases, initValue } from './init-postgres.ts'
import { isIgnoredVariable, libpqVariables, normalised, refuseParameter } from './parameters.ts'
import { looksLikeUrl } from './predicates.ts'
import { readSecretFile } from './secrets.ts'
import { serviceReader } from './service.ts'
import type { UrlParts } from './url.ts'
import type { UrlSource } from './url-source.ts'

/** Reads services of libpq, for a source that names one. */
export const services = (env: Env, source: string, baseDir: string) => serviceReader(env.PGSERVICEFILE, source, baseDir)

/** As in libpq, a service overrides the other variables. */
export function libpqParts(env: Env, baseDir: string): UrlParts {
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

/** What the variables of the official PostgreSQL image say. */
export function postgresParts(env: Env, baseDir: string): UrlParts {
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

/** What the variables of the image postgres-init say. The target is the first of its databases. */
export function initParts(env: Env, baseDir: string): UrlParts {
  refuseUrl(env, ['INIT_POSTGRES_HOST', 'INIT_POSTGRES_SUPER_USER', 'INIT_POSTGRES_DBNAME'])
  const value = (name: Parameters<typeof initValue>[1]) => initValue(env, name, baseDir)
  return {
    endpoints: endpointList(value('HOST') ?? 'localhost', value('PORT') ?? '5432', 'INIT_POSTGRES_PORT'),
    database: initDatabases(env, baseDir)[0],
    user: value('SUPER_USER') ?? 'postgres',
    password: value('SUPER_PASS'),
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

/** Where a source has its user and its own password, for hints; see {@link LoginPlace}. */
export type SourceLogin = { user: string; own: string; missing: string }

const alone = 'PGPASSWORD or PGPASSWORD_FILE'

/** The variable or the file that holds the URL; the key only if it holds the URL itself. */
export function urlLogin(key: string, source: UrlSource, env: Env): SourceLogin {
  if (typeof source === 'string') return { user: key, own: key, missing: `set ${alone}` }
  if (isAsked(source)) return { user: key, own: key, missing: `write it into ${key}, or set ${alone}` }
  const where = 'env' in source ? variableOf(source.env, env) : `the file ${source.file}`
  return { user: where, own: where, missing: `write it into ${where}, or set ${alone}` }
}

export const libpqLogin = ({ PGSERVICE }: Env): SourceLogin => ({
  user: PGSERVICE ? 'the service of PGSERVICE' : 'PGUSER',
  own: 'the service of PGSERVICE',
  missing: `set ${alone}`,
})

export const postgresLogin = (env: Env): SourceLogin => ({
  user: 'POSTGRES_USER',
  own: variableOf('POSTGRES_PASSWORD', env),
  missing: 'set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE',
})

export const initLogin = (env: Env): SourceLogin => ({
  user: 'INIT_POSTGRES_SUPER_USER',
  own: variableOf('INIT_POSTGRES_SUPER_PASS', env),
  missing: 'set INIT_POSTGRES_SUPER_PASS or INIT_POSTGRES_SUPER_PASS_FILE',
})

/** A variable of a secret, with `_FILE` if that is set instead. */
const variableOf = (name: string, env: Env) => (!env[name] && env[`${name}_FILE`] ? `${name}_FILE` : name)

/** The variable that {@link passwordAlone} reads. */
export const aloneIn = (env: Env) => ['PGPASSWORD', 'PGPASSWORD_FILE'].find((name) => env[name])

/** The password for a URL or PG* variables without one. */
export function passwordAlone(env: Env, baseDir: string): string | undefined {
  if (env.PGPASSWORD) return env.PGPASSWORD
  return env.PGPASSWORD_FILE ? readSecretFile(env.PGPASSWORD_FILE, 'PGPASSWORD_FILE', baseDir) : undefined
}
