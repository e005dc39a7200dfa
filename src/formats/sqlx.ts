import { hash } from 'node:crypto'
import { usage } from '../errors.ts'
import { release } from '../machine/memory.ts'
import { checksum } from './checksum.ts'
import { hasMark, isFolder, pathIn, readBytes, readNames, sameVersion, textOf } from './files.ts'
import type { Format } from './format.ts'
import { cleanName, nextVersion, numberOf } from './name.ts'
import { sqlxHistory } from './sqlx-history.ts'
import type { Migration, Script } from './types.ts'

/** A migration file by its name. `suffix` is `.sql` if it cannot be undone. */
type SqlxFile = { file: string; version: bigint; description: string; suffix: '.sql' | '.up.sql' | '.down.sql' }

/** sqlx-cli and `sqlx::migrate!`: `20250829024919_create_users.sql`, or a pair `.up.sql` and `.down.sql`. */
export const sqlx: Format = {
  name: 'sqlx',
  idOf: numberOf,
  outside: '-- no-transaction',
  read: readFolder,
  compare: (a, b) => (BigInt(a) < BigInt(b) ? -1 : BigInt(a) === BigInt(b) ? 0 : 1),
  policy: { outOfOrder: 'apply', missing: 'error', edited: 'error' },
  native: sqlxHistory,
  create(name, { now, files, reversible }) {
    const stem = `${newVersion(files, now)}_${plainName(name)}`
    // If the newest migration of the folder is reversible, so is the new one.
    if (!reversible && files.at(-1)?.native.reversible !== true) {
      return [{ file: `${stem}.sql`, text: '-- Add migration script here\n' }]
    }
    return [
      { file: `${stem}.up.sql`, text: '-- Add up migration script here\n' },
      { file: `${stem}.down.sql`, text: '-- Add down migration script here\n' },
    ]
  },
}

/** @see sqlx-core/src/migrate/source.rs */
function readFolder(dir: string): Migration[] {
  const files = readNames(dir).flatMap((name) => parseName(dir, name))
  const downs = byVersion(
    dir,
    files.filter(({ suffix }) => suffix === '.down.sql'),
  )
  const ups = byVersion(
    dir,
    files.filter(({ suffix }) => suffix !== '.down.sql'),
  )
  return [...ups.values()]
    .sort((a, b) => (a.version < b.version ? -1 : 1))
    .map((up) => readUp(dir, up, downs.get(up.version)))
}

const smallest = -(2n ** 63n)
const largest = 2n ** 63n - 1n

/** Empty for names that sqlx skips: without `_`, without `.sql` at the end, and folders. */
function parseName(dir: string, file: string): SqlxFile[] {
  const [, digits, rest] = /^([^_]*)_(.*\.sql)$/s.exec(file) ?? []
  const path = pathIn(dir, file)
  if (digits === undefined || rest === undefined || isFolder(path)) return []
  const version = /^[+-]?\d+$/.test(digits) ? BigInt(digits) : undefined
  if (version === undefined || version < smallest || version > largest) {
    throw usage(`the name of ${path} does not start with a version: "${digits}" is not a 64-bit number`, {
      file: path,
      hint: 'name it like 20250829024919_create_users.sql, or move it out of the folder: sqlx refuses it too',
    })
  }
  const suffix = rest.endsWith('.up.sql') ? '.up.sql' : rest.endsWith('.down.sql') ? '.down.sql' : '.sql'
  return [{ file, version, description: withoutEnd(rest, suffix).replaceAll('_', ' '), suffix }]
}

/** Like Rust's `trim_end_matches`, which removes the ending as often as it occurs. */
function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? withoutEnd(text.slice(0, -end.length), end) : text
}

/** Refuses two files for the same direction of one version: sqlx would run both and fail when it records the second. */
function byVersion(dir: string, files: SqlxFile[]): Map<bigint, SqlxFile> {
  const found = new Map<bigint, SqlxFile>()
  for (const file of files.sort((a, b) => (a.file < b.file ? -1 : 1))) {
    const other = found.get(file.version)
    if (other) throw sameVersion([pathIn(dir, other.file), pathIn(dir, file.file)], file.version)
    found.set(file.version, file)
  }
  return found
}

function readUp(dir: string, { file, version, description, suffix }: SqlxFile, down: SqlxFile | undefined): Migration {
  const path = pathIn(dir, file)
  const bytes = readBytes(path)
  const script = scriptOf(path, bytes)
  const sum = hash('sha384', bytes)
  const mark = hasMark(bytes) ? '\uFEFF' : ''
  release(bytes)
  const downPath = down && pathIn(dir, down.file)
  return {
    id: String(version),
    name: file.slice(0, -suffix.length),
    kind: 'versioned',
    ...script,
    sha256: checksum(script.text),
    checksum: sum,
    accepts: (recorded) => otherLineEnds(mark + script.text).some((other) => hash('sha384', other) === recorded),
    ...(downPath !== undefined && { down: () => scriptOf(downPath, readBytes(downPath)) }),
    native: { description, reversible: suffix === '.up.sql' },
  }
}

const noTransaction = Buffer.from('-- no-transaction')

/** The directive only counts as the first bytes of the file: not after a byte order mark, a blank or a comment. */
const scriptOf = (path: string, bytes: Buffer): Script => ({
  path,
  text: textOf(path, bytes),
  line: 1,
  transactional: !bytes.subarray(0, noTransaction.length).equals(noTransaction),
})

/** The content as in a checkout with other line endings: the recorded checksum may come from there. */
function otherLineEnds(text: string): string[] {
  const lines = text.replace(/\r\n?/g, '\n')
  return [lines, lines.replaceAll('\n', '\r\n')]
}

/**
 * Like sqlx-cli: the next number, in four digits, if the newest two versions are consecutive, else the time in UTC.
 * @see sqlx-cli/src/opt.rs
 */
function newVersion(files: Migration[], now: Date): string {
  const versions = files.map(({ id }) => BigInt(id))
  const [newest, before] = [versions.at(-1), versions.at(-2)]
  const counted = before === undefined ? newest === 0n || newest === 1n : newest === before + 1n
  if (newest !== undefined && counted) return String(newest + 1n).padStart(4, '0')
  const time = nextVersion([], now)
  return newest !== undefined && newest >= BigInt(time) ? String(newest + 1n) : time
}

function plainName(name: string): string {
  const clean = cleanName(name)
  if (!/\.(up|down)$/.test(clean)) return clean
  throw usage(`"${name}" cannot be the name of a migration`, {
    hint: 'leave out the `.up` or `.down`, and use `--reversible`',
  })
}
