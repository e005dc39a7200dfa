import { usage } from '../errors.ts'
import { isFolder, pathIn, readNames } from './files.ts'

/** A migration file by its name. */
export type FlywayFile = {
  /** Relative to its own location, with `/`: what the history calls the script. */
  script: string
  path: string
  kind: 'versioned' | 'repeatable'
  /** Whether it is a baseline migration: for new databases, in place of all versions up to its own. */
  baseline: boolean
  /**
   * What identifies it: the version without leading zeros and trailing zero parts, or `R:` and the description.
   * A baseline migration has `B:` before its version, because a versioned migration may have the same version.
   */
  id: string
  /** As in the history, with `.` for `_`; null for a repeatable migration. */
  version: string | null
  description: string
  /** Whether it has a configuration file beside it. */
  hasConf: boolean
}

type Kind = FlywayFile['kind'] | 'undo' | 'baseline' | 'callback'
type Parsed = { kind: Kind; version: string | null; description: string }

/** `VARCHAR(50)` and `VARCHAR(200)` of the history table. */
const longestVersion = 50
const longestDescription = 200

/**
 * The migrations below folders, which Flyway calls locations: versioned ones by version, then the repeatable ones by description.
 * Like Flyway it follows folders and links, skips hidden ones, and ignores other names, such as `V1_one_underscore.sql`.
 *
 * @throws {AppError} `usage` for two files of one version or description, undo migrations, callbacks, and migrations in
 *   another language
 * @see ResourceNameParser and FileSystemScanner of flyway-core
 */
export function listFiles(dirs: readonly string[]): FlywayFile[] {
  const files = dirs.flatMap(filesIn)
  files.sort((a, b) => compareIds(a.id, b.id) || (a.path < b.path ? -1 : 1))
  for (const [i, file] of files.entries()) {
    const before = files[i - 1]
    if (before?.id === file.id) throw duplicate(before, file)
  }
  return files
}

function filesIn(location: string): FlywayFile[] {
  const all = namesBelow(location)
  const names = new Set(all)
  return all.flatMap((script): FlywayFile[] => {
    const parsed = parseName(script.slice(script.lastIndexOf('/') + 1))
    if (!parsed) return []
    const path = pathIn(location, script)
    return [{ script, path, id: idOf(parsed), hasConf: names.has(`${script}.conf`), ...mustBeSql(path, parsed) }]
  })
}

/**
 * Order of two ids: versions part by part, as numbers of any size, a baseline migration before a versioned one of the same version;
 * then repeatable migrations by description.
 */
export function compareIds(a: string, b: string): number {
  const [repeatableA, repeatableB] = [a.startsWith('R:'), b.startsWith('R:')]
  if (repeatableA || repeatableB)
    return repeatableA && repeatableB ? (a < b ? -1 : a > b ? 1 : 0) : repeatableA ? 1 : -1
  const [partsA, partsB] = [versionIn(a).split('.'), versionIn(b).split('.')]
  for (let i = 0; i < Math.max(partsA.length, partsB.length); i++) {
    const difference = BigInt(partsA[i] ?? 0) - BigInt(partsB[i] ?? 0)
    if (difference !== 0n) return difference < 0n ? -1 : 1
  }
  return Number(b.startsWith(baselineMark)) - Number(a.startsWith(baselineMark))
}

const baselineMark = 'B:'

/** The version in an id, whether of a versioned or of a baseline migration. */
export const versionIn = (id: string) => (id.startsWith(baselineMark) ? id.slice(baselineMark.length) : id)

/** A version in the form in which it is compared: `1`, `1.0` and `01` are the same. */
export const normalVersion = (version: string): string =>
  version
    .split('.')
    .map((part) => String(BigInt(part)))
    .join('.')
    .replace(/(\.0)+$/, '')

/** Paths of all files, relative. Links are followed: a mounted ConfigMap consists of them. */
function namesBelow(dir: string): string[] {
  return readNames(dir)
    .sort()
    .flatMap((name) => {
      const path = pathIn(dir, name)
      if (!isFolder(path)) return [name]
      return namesBelow(path).map((below) => `${name}/${below}`)
    })
}

const sqlSuffix = /\.sql$/i
const otherSuffix = /\.(java|class|kt|kts|groovy|scala|sh|bash|bat|cmd|ps1|py)$/i
const prefixes: Record<string, Kind> = { V: 'versioned', R: 'repeatable', U: 'undo', B: 'baseline' }

/** Undefined for a name that Flyway ignores. */
function parseName(file: string): Parsed | undefined {
  const stem = file.replace(sqlSuffix, '').replace(otherSuffix, '')
  if (stem === file) return undefined
  const event = eventOf(stem)
  const kind = event === undefined ? prefixes[stem[0] ?? ''] : 'callback'
  if (kind === undefined) return undefined
  const [, left = '', right = ''] = /^(.*?)(?:__(.*))?$/s.exec(stem.slice(event?.length ?? 1)) ?? []
  const description = abbreviate(right.replaceAll('_', ' '))
  if (kind === 'repeatable' || kind === 'callback')
    return left === '' ? { kind, version: null, description } : undefined
  const version = left.replaceAll('_', '.')
  return /^\d+(\.\d+)*$/.test(version) ? { kind, version, description } : undefined
}

const abbreviate = (description: string) =>
  description.length > longestDescription ? `${description.slice(0, longestDescription - 3)}...` : description

const idOf = ({ kind, version, description }: Parsed) =>
  version === null ? `R:${description}` : `${kind === 'baseline' ? baselineMark : ''}${normalVersion(version)}`

function mustBeSql(
  path: string,
  { kind, version, description }: Parsed,
): Pick<FlywayFile, 'kind' | 'baseline' | 'version' | 'description'> {
  const language = otherSuffix.exec(path)?.[1]
  if (language !== undefined) {
    throw refused(
      path,
      `is a migration in another language than SQL (.${language})`,
      'write it as SQL, or run it with Flyway',
    )
  }
  if (kind === 'undo') {
    throw refused(path, 'undoes a migration, which only a paid edition of Flyway does', 'move it out of the folder')
  }
  if (kind === 'callback') {
    throw refused(
      path,
      'is a callback, which pgbosun does not run',
      'put its SQL into a migration, and move the file out of the folder',
    )
  }
  if (version !== null && version.length > longestVersion) {
    throw refused(
      path,
      `has a version of more than ${longestVersion} characters`,
      'shorten it: it does not fit into the history',
    )
  }
  return { kind: kind === 'repeatable' ? kind : 'versioned', baseline: kind === 'baseline', version, description }
}

const refused = (path: string, what: string, hint: string) => usage(`${path} ${what}`, { file: path, hint })

/**
 * Events of callbacks that Flyway may run during the commands that pgbosun replaces. Callbacks of other commands
 * (clean, undo, info) may stay in the folder: nothing that pgbosun does would have run them.
 */
const events = [
  ...['Migrate', 'Validate', 'Baseline', 'Repair'].flatMap((verb) => [
    `before${verb}`,
    `after${verb}`,
    `after${verb}Error`,
  ]),
  ...['Migrate', 'Validate', 'Baseline', 'Repair'].map((verb) => `after${verb}OperationFinish`),
  'beforeEachMigrate',
  'afterEachMigrate',
  'afterEachMigrateError',
  'beforeEachMigrateStatement',
  'afterEachMigrateStatement',
  'afterEachMigrateStatementError',
  'beforeRepeatables',
  'afterVersioned',
  'afterMigrateApplied',
  'beforeConnect',
  'afterConnect',
  'createSchema',
  'beforeCreateSchema',
  'afterCreateSchema',
]

/** The event of a name: all of the name, or the part before `__` and a description. */
function eventOf(stem: string): string | undefined {
  const event = /^(.*?)(__.*)?$/s.exec(stem)?.[1]
  return event !== undefined && events.includes(event) ? event : undefined
}

function duplicate(first: FlywayFile, second: FlywayFile) {
  const what = second.version === null ? `the description "${second.description}"` : `the version ${second.version}`
  return usage(`${first.path} and ${second.path} both have ${what}`, {
    file: second.path,
    hint: second.version === null ? 'give one of them another description' : 'give the newer one a version of its own',
  })
}
