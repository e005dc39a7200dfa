import { globSync, realpathSync } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { AppError } from '../errors.ts'

/** Programs that come with a PostgreSQL client. */
export type ToolName = 'pg_dump' | 'pg_restore' | 'pg_dumpall'

/** A folder with the client programs of one release. */
export type Tools = {
  dir: string
  major: number
  minor: number
  /** `15.18`, or `19beta1`. */
  version: string
  /** Settings that pg_restore of this release makes at the start of every session, and that the server does not know. */
  unknownSettings?: readonly string[]
}

/** Where to look for client programs. */
export type ToolSearch = {
  /** The PATH of the environment. */
  path: string | undefined
  /** Glob patterns to use instead of the folders of packages. */
  packaged?: string[]
}

/** Where our image and the packages of Debian, Fedora (PGDG and its own), Alpine and Homebrew put the client's programs. */
const packagedFolders = [
  '/opt/pgbosun/postgresql/*/bin',
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/usr/libexec/postgresql*',
  '/opt/homebrew/opt/{postgresql,libpq}@*/bin',
  '/usr/local/opt/{postgresql,libpq}@*/bin',
  '/opt/homebrew/opt/libpq/bin',
  '/usr/local/pgsql/bin',
]

const names: ToolName[] = ['pg_dump', 'pg_restore', 'pg_dumpall']

/**
 * The client programs with the server's major version, otherwise those of the next newer one; of several releases, the newest. An older
 * pg_dump refuses a newer server.
 *
 * @param serverVersion `server_version_num`: 150020 is 15.20
 * @param wanted program that the error names; `writtenBy`: major of the pg_dump whose archive it reads
 * @throws {AppError} `backup` with the reason `client-missing` if there are none, or only older ones
 */
export async function findTools(
  serverVersion: number,
  search: ToolSearch,
  { name = 'pg_dump', writtenBy = 0 }: { name?: ToolName; writtenBy?: number } = {},
): Promise<Tools> {
  const major = majorOf(serverVersion)
  const least = Math.max(major, writtenBy)
  const found = await allTools(search)
  const fitting = oldestOf(found, least)
  if (fitting) return { ...fitting, unknownSettings: unknownTo(major, fitting) }
  const hint = `install the client programs of PostgreSQL ${least} (Debian: postgresql-client-${least}; Alpine: postgresql${least}-client)`
  const missing = (message: string) => new AppError('backup', message, { reason: 'client-missing', hint })
  if (found.length === 0) throw missing(`${name} was not found`)
  const versions = found.map(({ version, dir }) => `${version} in ${dir}`).join(', ')
  const why = least > major ? `the dump was made by pg_dump ${least}` : `the server is PostgreSQL ${major}`
  throw missing(`${name} is too old: ${why}, but there is only ${versions}`)
}

/** Of those with at least that major version, the one with the lowest, in its newest release. */
const oldestOf = (found: Tools[], least: number): Tools | undefined =>
  found.filter(({ major }) => major >= least).sort((a, b) => a.major - b.major || b.minor - a.minor)[0]

/** Settings that pg_restore makes from a major version on, without asking the server for its own. */
const settingsSince: Readonly<Record<string, number>> = { transaction_timeout: 17 }

const majorOf = (serverVersion: number) => Math.floor(serverVersion / 10_000)

const unknownTo = (serverMajor: number, { major }: Tools) =>
  Object.keys(settingsSince).filter((name) => major >= settingsSince[name]! && serverMajor < settingsSince[name]!)

/**
 * Client programs that can read an archive: those of the major version that wrote it, otherwise of the next newer one.
 * @param serverVersion of the server that was dumped
 * @throws {AppError} `backup` if there are none
 */
export async function findReader(writtenBy: number, search: ToolSearch, serverVersion?: number): Promise<Tools> {
  const fitting = oldestOf(await allTools(search), writtenBy)
  if (fitting && serverVersion === undefined) return fitting
  if (fitting) return { ...fitting, unknownSettings: unknownTo(majorOf(serverVersion!), fitting) }
  throw new AppError('backup', `there is no pg_restore that can read a dump of pg_dump ${writtenBy}`, {
    hint: `install the client programs of PostgreSQL ${writtenBy} or newer`,
  })
}

/**
 * What is to be said about a dump that these programs make of a server; undefined if they are of its own major version, and not an older
 * release, which may not know everything the server stores.
 */
export function adviceOnTools({ major, minor, version }: Tools, serverVersion: number): string | undefined {
  const own = majorOf(serverVersion)
  if (major > own)
    return `there is no pg_dump ${own}, so pg_dump ${version} made this backup: to restore it, even to a server ${own}, pg_restore ${major} or newer is needed; install the client programs of PostgreSQL ${own}`
  if (minor >= serverVersion % 10_000) return undefined
  return `pg_dump ${version} is older than the server (${own}.${serverVersion % 10_000}), so its dump may differ from one of the server’s own release: update the client programs`
}

async function allTools({ path = '', packaged = packagedFolders }: ToolSearch): Promise<Tools[]> {
  const dirs = [...packaged.flatMap((pattern) => globSync(pattern)).sort(), ...path.split(':').filter(Boolean)]
  const distinct = [...new Map(dirs.map((dir) => [realPath(dir), dir])).values()]
  const found = await Promise.all(distinct.map(toolsIn))
  return found.filter((tools) => tools !== undefined)
}

async function toolsIn(dir: string): Promise<Tools | undefined> {
  try {
    await Promise.all(names.map((name) => access(join(dir, name), constants.X_OK)))
    // On Debian, these are scripts that choose a version themselves
    if (realPath(join(dir, 'pg_dump')).endsWith('/pg_wrapper')) return undefined
    const { stdout } = await execa(join(dir, 'pg_dump'), ['--version'], {
      env: { LC_ALL: 'C' },
      extendEnv: false,
      timeout: 10_000,
    })
    return parseVersion(stdout, dir)
  } catch {
    return undefined
  }
}

function parseVersion(text: string, dir: string): Tools | undefined {
  const [, version = '', major, minor] = /\(PostgreSQL\) ((\d+)(?:\.(\d+))?\w*)/.exec(text) ?? []
  return major === undefined ? undefined : { dir, major: Number(major), minor: Number(minor ?? 0), version }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
