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
 * The client programs with the server's major version; of several releases, the newest. Archives of a newer pg_dump cannot be restored
 * to an older server, and an older pg_dump refuses a newer server.
 *
 * @param serverVersion `server_version_num`: 150020 is 15.20
 * @param wanted program that the error names
 * @throws {AppError} `backup` if there are none, or only those of other versions
 */
export async function findTools(
  serverVersion: number,
  search: ToolSearch,
  wanted: ToolName = 'pg_dump',
): Promise<Tools> {
  const major = Math.floor(serverVersion / 10_000)
  const found = await allTools(search)
  const fitting = found.filter((tools) => tools.major === major).sort((a, b) => b.minor - a.minor)
  if (fitting[0]) return fitting[0]
  const hint = `install the client programs of PostgreSQL ${major} (Debian: postgresql-client-${major}; Alpine: postgresql${major}-client)`
  if (found.length === 0) throw new AppError('backup', `${wanted} was not found`, { hint })
  const versions = found.map(({ version, dir }) => `${version} in ${dir}`).join(', ')
  const how = found.some((tools) => tools.major > major) ? 'of another version' : 'too old'
  throw new AppError(
    'backup',
    `${wanted} is ${how}: the server is PostgreSQL ${major}, but there is only ${versions}`,
    {
      hint,
    },
  )
}

/**
 * Client programs that can read an archive: those of the major version that wrote it, otherwise of the next newer one.
 * @throws {AppError} `backup` if there are none
 */
export async function findReader(writtenBy: number, search: ToolSearch): Promise<Tools> {
  const fitting = (await allTools(search))
    .filter(({ major }) => major >= writtenBy)
    .sort((a, b) => a.major - b.major || b.minor - a.minor)
  if (fitting[0]) return fitting[0]
  throw new AppError('backup', `there is no pg_restore that can read a dump of pg_dump ${writtenBy}`, {
    hint: `install the client programs of PostgreSQL ${writtenBy} or newer`,
  })
}

/** Whether the programs are an older release than a server of the same major version: they may not know everything it stores. */
export const isOlderRelease = ({ minor }: Tools, serverVersion: number) => minor < serverVersion % 10_000

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
