import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { usage } from '../errors.ts'
import { someOf } from '../units.ts'
import { checksum } from './checksum.ts'
import { readDirectives } from './directives.ts'
import { pathIn, readNames, readText, sameName, sameVersion } from './files.ts'
import { holdsDownPart } from './foreign.ts'
import type { Format } from './format.ts'
import { cleanName, nextVersion, numberOf } from './name.ts'
import type { Migration, Script } from './types.ts'

/** A parsed name of a migration file. `digits`: the version as written. */
type FileName = { path: string; file: string; digits: string; version: bigint; down: boolean }

const pattern = /^(\d+)_([A-Za-z0-9_.-]+?)(\.down)?\.sql$/
const largestVersion = 2n ** 63n - 1n

/** Subfolder for files that run again whenever they change. */
const repeatableFolder = 'repeatable'

/** Our own format: `001_create_users.sql`, `001_create_users.down.sql`, `repeatable/views.sql`. */
export const pgbosun: Format = {
  name: 'pgbosun',
  idOf: numberOf,
  read: (dir) => readFolders([dir]),
  readSeveral: readFolders,
  readsBelow: (path) => path === repeatableFolder,
  compare: (a, b) => (BigInt(a) < BigInt(b) ? -1 : a === b ? 0 : 1),
  policy: { outOfOrder: 'error', missing: 'error', edited: 'error' },
  create(name, { now, files, reversible }) {
    const stem = `${nextVersion(files.filter(isVersioned).map(digitsOf), now)}_${clean(name)}`
    return [
      { file: `${stem}.sql`, text: `-- ${stem}\n\n` },
      ...(reversible ? [{ file: `${stem}.down.sql`, text: `-- undoes ${stem}\n\n` }] : []),
    ]
  },
}

function readFolders(dirs: readonly string[]): Migration[] {
  return [...readVersioned(dirs), ...readRepeatable(dirs)]
}

/**
 * Parses the names of the migration files in a folder, in no particular order. Names without `.sql` are left out.
 *
 * @throws {AppError} `usage` if the folder cannot be read, or an `.sql` file has any other name
 */
function listFiles(dir: string): FileName[] {
  const names = readNames(dir).filter((name) => /\.sql$/i.test(name))
  const parsed = names.map((name) => parseName(dir, name))
  const odd = names.filter((_, i) => parsed[i] === undefined).sort()
  if (odd.length > 0) {
    throw usage(
      `${dir} contains ${odd.length === 1 ? 'a file that is' : 'files that are'} not named like 001_create_users.sql: ${someOf(odd)}`,
      {
        file: join(dir, odd[0] ?? ''),
        report: { files: odd },
        hint: 'name it with a number, an underscore and letters, digits, `_`, `.` or `-`, or move it out of the folder; files of another tool need `migrate.format`',
      },
    )
  }
  return parsed.filter((name) => name !== undefined)
}

function parseName(dir: string, file: string): FileName | undefined {
  const [, digits, rest, down] = pattern.exec(file) ?? []
  if (digits === undefined) return undefined
  const version = BigInt(digits)
  if (version > largestVersion) return undefined
  return { path: pathIn(dir, file), file, digits, version, down: down !== undefined || rest === 'down' }
}

/** What undoes a file may be in another folder than the file. */
function readVersioned(dirs: readonly string[]): Migration[] {
  const names = dirs.flatMap(listFiles)
  const downs = byVersion(names.filter(({ down }) => down))
  const ups = [...byVersion(names.filter(({ down }) => !down)).values()]
  ups.sort((a, b) => (a.version < b.version ? -1 : 1))
  return ups.map(({ path, file, digits, version }) => {
    const down = downs.get(version)
    return {
      ...readFile(path, file, String(version), { digits }),
      ...(down && { down: () => readScript(down.path) }),
    }
  })
}

function byVersion(names: FileName[]): Map<bigint, FileName> {
  const found = new Map<bigint, FileName>()
  for (const name of names) {
    const other = found.get(name.version)
    if (other) throw sameVersion([other.path, name.path], name.version)
    found.set(name.version, name)
  }
  return found
}

function readRepeatable(dirs: readonly string[]): Migration[] {
  const folders = dirs.map((dir) => join(dir, repeatableFolder)).filter((dir) => existsSync(dir))
  const files = folders.flatMap((dir) => readNames(dir).map((file) => ({ dir, file })))
  const found = files.filter(({ file }) => file.endsWith('.sql')).sort((a, b) => (a.file < b.file ? -1 : 1))
  return found.map(({ dir, file }, i) => {
    const before = found[i - 1]
    if (before?.file === file) throw sameName([pathIn(before.dir, file), pathIn(dir, file)])
    const migration = readFile(pathIn(dir, file), file, '', {})
    const name = `${repeatableFolder}/${migration.name}`
    return { ...migration, id: name, name, kind: 'repeatable' }
  })
}

function readFile(path: string, file: string, id: string, native: Migration['native']): Migration {
  const script = readScript(path)
  const sha256 = checksum(script.text)
  const refused = holdsDownPart(script.path, script.text)
  const name = file.slice(0, -'.sql'.length)
  return { id, name, kind: 'versioned', sha256, checksum: sha256, native, ...script, ...(refused && { refused }) }
}

function readScript(path: string): Script {
  const text = readText(path)
  return { path, text, line: 1, ...readDirectives(path, text) }
}

const isVersioned = ({ kind }: Migration) => kind === 'versioned'

const digitsOf = ({ native }: Migration) => String(native.digits)

function clean(name: string): string {
  const stem = cleanName(name)
  if (stem === 'down' || stem.endsWith('.down')) {
    throw usage(`"${name}" cannot be the name of a migration`, {
      hint: 'choose another name: `down` at the end is for files that undo a migration',
    })
  }
  return stem
}
