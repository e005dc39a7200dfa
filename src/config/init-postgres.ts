import { existsSync } from 'node:fs'
import { AppError } from '../errors.ts'
import { shellWord } from '../text.ts'
import type { Env } from './environment.ts'
import type { Problem } from './problem.ts'
import { readSecretFile } from './secrets.ts'

/**
 * The variables of the image postgres-init of home-operations, each also as `…_FILE`.
 * Source: apps/postgres-init/entrypoint.sh of home-operations/containers.
 */
const initVariables = [
  'HOST',
  'PORT',
  'SUPER_USER',
  'SUPER_PASS',
  'USER',
  'PASS',
  'DBNAME',
  'USER_FLAGS',
  'UTF8',
] as const

type InitVariable = (typeof initVariables)[number]

const full = (name: InitVariable) => `INIT_POSTGRES_${name}`

/** Those that are set. */
export const initVariablesIn = (env: Env): string[] =>
  initVariables.flatMap((name) => [full(name), `${full(name)}_FILE`]).filter((name) => env[name])

/** The value of one of them; undefined if it is not set. @throws {AppError} `usage` for a file that cannot be read */
export function initValue(env: Env, name: InitVariable, baseDir: string): string | undefined {
  const file = env[`${full(name)}_FILE`]
  return env[full(name)] || (file ? readSecretFile(file, `${full(name)}_FILE`, baseDir) : undefined)
}

/** The databases in INIT_POSTGRES_DBNAME, in order; several are separated by blanks. */
export const initDatabases = (env: Env, baseDir: string): string[] => [
  ...new Set((initValue(env, 'DBNAME', baseDir) ?? '').split(/\s+/).filter((name) => name !== '')),
]

type Tree = Record<string, unknown>

/**
 * Declares what these variables ask for: the user, and the databases, which it owns if they are made here. An existing database keeps its
 * owner, and the user may do with it what that script grants, and create objects in schema `public`. Nothing is ever revoked.
 *
 * @param tree the configuration so far; changed
 * @param initFiles folder of the SQL files that the script runs in new databases
 * @returns what is wrong with them
 */
export function applyInitPostgres(
  tree: Tree,
  env: Env,
  { origins, baseDir, initFiles = '/initdb' }: { origins: Map<string, string>; baseDir: string; initFiles?: string },
): Problem[] {
  try {
    return declare(tree, env, { origins, baseDir, initFiles })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return [{ path: '', message: error.message }]
  }
}

function declare(
  tree: Tree,
  env: Env,
  { origins, baseDir, initFiles }: { origins: Map<string, string>; baseDir: string; initFiles: string },
): Problem[] {
  const user = initValue(env, 'USER', baseDir)
  const names = initDatabases(env, baseDir)
  const flags = readFlags(initValue(env, 'USER_FLAGS', baseDir) ?? '')
  const problems = [
    ...missing(env, baseDir),
    ...(tree.databases === undefined || tree.databases === null
      ? []
      : [{ path: 'databases', message: `is set together with ${full('DBNAME')}; set only one` }]),
    ...(typeof flags === 'string' ? [{ path: full('USER_FLAGS'), message: flags }] : []),
    ...names.filter((name) => existsSync(`${initFiles}/${name}.sql`)).map((name) => unread(`${initFiles}/${name}.sql`)),
  ]
  if (problems.length > 0 || user === undefined || typeof flags === 'string') return problems
  tree.databases = Object.fromEntries(
    names.map((name) => [
      name,
      {
        create: { owner: user },
        schemas: { public: { access: { [user]: 'create' } } },
        users: { [user]: { password: { env: full('PASS') }, ...flags } },
      },
    ]),
  )
  for (const name of names) {
    origins.set(`databases.${name}.create.owner`, full('USER'))
    origins.set(`databases.${name}.schemas.public.access.${user}`, full('USER'))
    origins.set(`databases.${name}.users.${user}.password`, full('PASS'))
    if ('connectionLimit' in flags) origins.set(`databases.${name}.users.${user}.connectionLimit`, full('USER_FLAGS'))
  }
  onlyAdd(tree, origins)
  return []
}

/** The script only ever grants. */
function onlyAdd(tree: Tree, origins: Map<string, string>): void {
  const manage = (tree.manage ?? {}) as Tree
  if (typeof manage !== 'object' || manage.privileges !== undefined) return
  tree.manage = { ...manage, privileges: 'additive' }
  origins.set('manage.privileges', full('DBNAME'))
}

const missing = (env: Env, baseDir: string): Problem[] =>
  (['HOST', 'SUPER_PASS', 'USER', 'PASS', 'DBNAME'] as const)
    .filter((name) => !initValue(env, name, baseDir)?.trim())
    .map((name) => ({ path: full(name), message: `is not set; set it, or ${full(name)}_FILE` }))

const unread = (path: string): Problem => ({
  path: full('DBNAME'),
  message: `${path} is not run: make it a migration, for example /migrations/001_init.sql, and remove it there; if the database exists already, only remove it`,
})

/** Options of createuser that say what is so anyway. */
const idle = new Set([
  ...['-S', '--no-superuser', '-D', '--no-createdb', '-R', '--no-createrole', '-l', '--login', '-i', '--inherit'],
  ...['--no-replication', '--no-bypassrls', '-e', '--echo', '-w', '--no-password'],
])

/** What the options of createuser ask for, or why they cannot be had. */
function readFlags(text: string): { connectionLimit?: number } | string {
  const words = text.split(/\s+/).filter((word) => word !== '' && !idle.has(word))
  const [, limit] = /^(?:-c ?|--connection-limit[= ])(-?\d{1,9})$/.exec(words.join(' ')) ?? []
  if (words.length === 0) return {}
  if (limit !== undefined) return { connectionLimit: Number(limit) }
  return `${words.map(shellWord).join(' ')} is not supported: only -c, --connection-limit and what is the default are; remove it, and give the attribute once by hand (\`alter role …\`): a role that has it keeps it`
}
