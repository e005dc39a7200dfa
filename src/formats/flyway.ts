import { usage } from '../errors.ts'
import { release } from '../machine/memory.ts'
import { checksum } from './checksum.ts'
import { hasMark, readBytes, textOf } from './files.ts'
import { flywayChecksum, isLegacyChecksum } from './flyway-checksum.ts'
import { defaultConf, readConf } from './flyway-conf.ts'
import { flywayHistory } from './flyway-history.ts'
import { compareIds, type FlywayFile, listFiles, normalVersion, versionIn } from './flyway-names.ts'
import { type Placeholders, placeholdersOf, replacePlaceholders } from './flyway-placeholders.ts'
import type { Format, NewFile, ReadOptions } from './format.ts'
import { cleanName, nextVersion } from './name.ts'
import type { Applied, Migration } from './types.ts'

/**
 * Flyway's open-source edition with its defaults: `V1.1__add_email.sql`, `B3__all.sql` and `R__views.sql` in folders of any depth.
 * Its flyway.conf and flyway.toml are not read: what they may say of names is not supported, and `locations` are several folders.
 */
export const flyway: Format = {
  name: 'flyway',
  idOf(name) {
    const version = /^V?(\d+(?:[._]\d+)*)(__.*)?$/s.exec(name)?.[1]
    return version && normalVersion(version.replaceAll('_', '.'))
  },
  fillsIn: true,
  neverUndoes: true,
  read: (dir, options) => readLocations([dir], options),
  readSeveral: readLocations,
  readsBelow: (path) => !/(^|\/)\./.test(path),
  choose: chooseFiles,
  compare: compareIds,
  policy: { outOfOrder: 'error', missing: 'error', edited: 'error' },
  native: flywayHistory,
  create: (name, options) => [newFile(name, options)],
}

function readLocations(dirs: readonly string[], options: ReadOptions): Migration[] {
  const values = placeholdersOf({ ...options, now: new Date() })
  return listFiles(dirs).map((file) => readFile(file, values))
}

/**
 * A database without a history starts with the newest baseline migration, if there is one. A database that started with a baseline
 * migration keeps it among its files; for any other database there is none.
 */
function chooseFiles(files: Migration[], applied: Applied[]): Migration[] {
  const isBaseline = ({ native }: Migration) => native.type === 'SQL_BASELINE'
  const baselines = files.filter(isBaseline)
  const others = files.filter((file) => !isBaseline(file))
  const first =
    applied.length === 0 ? baselines.at(-1) : baselines.find(({ name }) => applied.some((row) => row.name === name))
  if (!first) return others
  const id = versionIn(first.id)
  return [{ ...first, id }, ...others.filter((file) => compareIds(file.id, id) > 0)]
}

function readFile(file: FlywayFile, values: Placeholders): Migration {
  const { id, kind, baseline, path, version, description, script, hasConf } = file
  const bytes = readBytes(path)
  const raw = textOf(path, bytes)
  const mark = hasMark(bytes) ? '\uFEFF' : ''
  release(bytes)
  const named: Placeholders = new Map([...values, ['flyway:filename', script.slice(script.lastIndexOf('/') + 1)]])
  const { transactional, placeholders } = hasConf ? readConf(`${path}.conf`, named) : defaultConf
  const text = placeholders ? replacePlaceholders(raw, named, path) : raw
  return {
    id,
    name: script.replace(/\.sql$/i, ''),
    kind,
    path,
    text,
    line: 1,
    transactional,
    sha256: checksum(raw),
    // A repeatable file runs again even if only the value of a placeholder changed.
    checksum: flywayChecksum(kind === 'repeatable' ? text : raw),
    accepts: (recorded) => recorded === flywayChecksum(raw) || isLegacyChecksum(recorded, Buffer.from(mark + raw), raw),
    native: { version, description, script: abbreviate(script), type: baseline ? 'SQL_BASELINE' : 'SQL' },
  }
}

/** Shortens it to the `VARCHAR(1000)` of the history table, as Flyway does. */
const abbreviate = (script: string) => (script.length > 1000 ? `...${script.slice(3, 1000)}` : script)

function newFile(name: string, { now, files, reversible }: Parameters<Format['create']>[1]): NewFile {
  if (reversible) {
    throw usage('a migration of Flyway cannot be reversible', {
      hint: 'leave out `--reversible`: undo migrations need a paid edition of Flyway',
    })
  }
  const versions = files.flatMap(({ native }) => (typeof native.version === 'string' ? [native.version] : []))
  return { file: `V${newVersion(versions, now)}__${cleanName(name)}.sql`, text: '' }
}

/** The version after the newest: 007 to 008, 1.9 to 1.10. @param versions in order */
function newVersion(versions: string[], now: Date): string {
  const newest = versions.at(-1)
  if (newest === undefined || !newest.includes('.')) {
    return nextVersion(newest === undefined ? [] : [newest], now)
  }
  const parts = newest.split('.')
  const last = parts.pop() ?? '0'
  return [...parts, String(BigInt(last) + 1n).padStart(last.length, '0')].join('.')
}
