import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { usage } from '../errors.ts'
import { checksum } from './checksum.ts'
import { readDirectives } from './directives.ts'
import { pathIn, readNames, readText } from './files.ts'
import { holdsDownPart } from './foreign.ts'
import type { Format } from './format.ts'
import { cleanName, nextVersion, numberOf } from './name.ts'
import type { Migration, Script } from './types.ts'

/** A parsed name of a migration file. `digits`: the version as written. */
export type FileName = { file: string; digits: string; version: bigint; down: boolean }

const pattern = /^(\d+)_([A-Za-z0-9_.-]+?)(\.down)?\.sql$/
const largestVersion = 2n ** 63n - 1n

/** Subfolder for files that run again whenever they change. */
const repeatableFolder = 'repeatable'

/** Our own format: `001_create_users.sql`, `001_create_users.down.sql`, `repeatable/views.sql`. */
export const pgbosun: Format = {
  name: 'pgbosun',
  idOf: numberOf,
  read: (dir) => [...readVersioned(dir), ...readRepeatable(join(dir, repeatableFolder))],
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

/**
 * Parses the names of the migration files in a folder, in no particular order. Names without `.sql` are left out.
 *
 * @throws {AppError} `usage` if the folder cannot be read, or an `.sql` file has any other name
 */
function listFiles(dir: string): FileName[] {
  const names = readNames(dir).filter((name) => /\.sql$/i.test(name))
  const parsed = names.map(parseName)
  const odd = names.filter((_, i) => parsed[i] === undefined).sort()
  if (odd.length > 0) {
    throw usage(
      `${dir} contains ${odd.length === 1 ? 'a file that is' : 'files that are'} not named like 001_create_users.sql: ${odd.join(', ')}`,
      {
        file: join(dir, odd[0] ?? ''),
        hint: 'name it with a number, an underscore and letters, digits, `_`, `.` or `-`, or move it out of the folder; files of another tool need `migrate.format`',
      },
    )
  }
  return parsed.filter((name) => name !== undefined)
}

function parseName(file: string): FileName | undefined {
  const [, digits, rest, down] = pattern.exec(file) ?? []
  if (digits === undefined) return undefined
  const version = BigInt(digits)
  return version > largestVersion ? undefined : { file, digits, version, down: down !== undefined || rest === 'down' }
}

function readVersioned(dir: string): Migration[] {
  const names = listFiles(dir)
  const downs = byVersion(
    dir,
    names.filter(({ down }) => down),
  )
  const ups = [
    ...byVersion(
      dir,
      names.filter(({ down }) => !down),
    ).values(),
  ]
  ups.sort((a, b) => (a.version < b.version ? -1 : 1))
  return ups.map(({ file, digits, version }) => {
    const down = downs.get(version)
    return {
      ...readFile(dir, file, String(version), { digits }),
      ...(down && { down: () => readScript(pathIn(dir, down.file)) }),
    }
  })
}

function byVersion(dir: string, names: FileName[]): Map<bigint, FileName> {
  const found = new Map<bigint, FileName>()
  for (const name of names) {
    const other = found.get(name.version)
    if (other) {
      const files = [other.file, name.file].sort()
      throw usage(`${files.join(' and ')} in ${dir} have the same version ${name.version}`, {
        file: join(dir, files[1] ?? ''),
        hint: 'give the newer one a version of its own',
      })
    }
    found.set(name.version, name)
  }
  return found
}

function readRepeatable(dir: string): Migration[] {
  if (!existsSync(dir)) return []
  return readNames(dir)
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((file) => {
      const migration = readFile(dir, file, '', {})
      const name = `${repeatableFolder}/${migration.name}`
      return { ...migration, id: name, name, kind: 'repeatable' }
    })
}

function readFile(dir: string, file: string, id: string, native: Migration['native']): Migration {
  const script = readScript(pathIn(dir, file))
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
