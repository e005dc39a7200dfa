import { type Dirent, readdirSync, statSync } from 'node:fs'
import { posix, resolve } from 'node:path'
import { usage } from '../errors.ts'

const isSeed = (name: string) => /\.(sql|csv|json|jsonl)$/.test(name) && !name.startsWith('.')

/**
 * The seed files of a folder, sorted by name, then those of its subfolder for the environment. Other subfolders belong to other
 * environments.
 * @throws {AppError} `usage` when a folder cannot be read, or that of the environment has folders with seeds itself
 */
export function filesOf(dir: string, baseDir: string, environment: string): string[] {
  const entries = entriesIn(dir, baseDir)
  const own = seedsIn(dir, entries)
  const isEnvironment = ({ name }: Dirent) => name === environment
  if (!entries.filter(isFolder).some(isEnvironment)) return own
  const below = posix.join(dir, environment)
  const inner = entriesIn(below, baseDir)
  const deeper = inner.find((entry) => isFolder(entry) && !entry.name.startsWith('.'))
  if (deeper)
    throw usage(`${posix.join(below, deeper.name)} is a folder within the folder of an environment`, {
      file: posix.join(below, deeper.name),
      hint: 'move its files up: a folder of seeds has one level of subfolders, one for each environment',
    })
  return [...own, ...seedsIn(below, inner)]
}

/** In Kubernetes, what a ConfigMap mounts are links. */
const isFolder = (entry: Dirent) =>
  entry.isDirectory() || (entry.isSymbolicLink() && statSync(resolve(entry.parentPath, entry.name)).isDirectory())

const seedsIn = (dir: string, entries: Dirent[]) =>
  entries
    .filter((entry) => !isFolder(entry) && isSeed(entry.name))
    .map(({ name }) => posix.join(dir, name))
    .sort()

function entriesIn(dir: string, baseDir: string): Dirent[] {
  try {
    return readdirSync(resolve(baseDir, dir), { withFileTypes: true })
  } catch (error) {
    return unreadable('seed folder', dir)(error as NodeJS.ErrnoException)
  }
}

/**
 * The table that a file is named after: `countries` for `010_countries.csv`, `billing.plans` for `billing.plans.json`. Digits at the start,
 * up to `_` or `-`, give the order.
 * @throws {AppError} `usage` when nothing is left, or there are more than two parts
 */
export function tableNameOf(file: string): string {
  const base = posix.basename(file, posix.extname(file)).replace(/^\d+[_-]/, '')
  const parts = base.split('.')
  if (parts.length > 2 || parts.includes(''))
    throw usage(`${file} does not name its table`, {
      file,
      hint: 'name it `table.csv` or `schema.table.csv`, with digits and `_` before it for the order, or give it an entry of its own',
    })
  return parts.map((part) => (part.includes('"') ? `"${part.replaceAll('"', '""')}"` : part)).join('.')
}

/** Turns an error of the file system into exit 2; throws any other error as it is. */
export const unreadable =
  (what: string, name: string) =>
  (cause: NodeJS.ErrnoException): never => {
    if (cause.syscall === undefined) throw cause
    const problem = cause.code === 'ENOENT' ? 'does not exist' : `cannot be read (${cause.code})`
    throw usage(`${what} ${name} ${problem}`, {
      file: name,
      hint: 'correct the path under `seeds`; it is relative to the configuration file',
      cause,
    })
  }
