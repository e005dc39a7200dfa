import { crc32 } from 'node:zlib'
import { usage } from '../errors.ts'
import { checksum } from './checksum.ts'
import { pathIn, readNames, readText } from './files.ts'
import type { Format, NativeHistory, NativeRow, NewFile } from './format.ts'
import { cleanName, nextVersion, numberOf } from './name.ts'
import type { Migration, Script } from './types.ts'

/** A file: one direction of a version. */
type FileName = { file: string; digits: string; version: bigint; title: string; direction: 'up' | 'down' }

/** Any file extension is allowed; other names are ignored, as by golang-migrate. */
const pattern = /^([0-9]+)_(.*)\.(down|up)\.(.*)$/s

/** The history's column is a bigint. */
const largestVersion = 2n ** 63n - 1n

/** golang-migrate's version for "none"; it is in the history only while the first migration is being undone. */
const nilVersion = '-1'

/**
 * One row: the newest version, and whether it is `dirty`, that is started and not finished. golang-migrate empties the table with
 * TRUNCATE, which would block readers of the version for as long as a migration runs; DELETE has the same result.
 */
const native: NativeHistory = {
  table: 'schema_migrations',
  columns: ['version', 'dirty'],
  create: (table) =>
    `create table if not exists ${table} (version bigint not null primary key, dirty boolean not null)`,
  select: (table) => `
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'id', version::text, 'name', version::text, 'kind', 'versioned', 'checksum', null, 'ok', not dirty,
             'appliedAt', null, 'durationMs', null, 'appliedBy', null) order by version), '[]') as rows
      from ${table}`,
  expand,
  record: (table, file) => setVersion(table, file, false),
  start: (table, file) => setVersion(table, file, true),
  finish: (table, file) => setVersion(table, file, false),
  forget: (table, _file, before) => setVersion(table, before, false),
  unrecord: (table, _file, before) => setVersion(table, before, false),
  lockKey: ({ database, schema, table }) => golangMigrateLockKey(`/${database}`, schema, table),
}

/**
 * golang-migrate: `000001_users.up.sql` and `000001_users.down.sql`. Its option `x-multi-statement` is not needed: what cannot run
 * in a transaction is found and sent on its own.
 *
 * @see https://github.com/golang-migrate/migrate — v4.19
 */
export const golangMigrate: Format = {
  name: 'golang-migrate',
  idOf: numberOf,
  keepsOnlyNewest: true,
  read: (dir) => [...readVersions(dir).values()].map((sides) => readMigration(dir, sides)),
  compare: (a, b) => (BigInt(a) < BigInt(b) ? -1 : a === b ? 0 : 1),
  // A file below the recorded version counts as applied: golang-migrate skips it silently, and its history does not show it.
  policy: { outOfOrder: 'error', missing: 'error', edited: 'warn' },
  native,
  create,
}

/**
 * Key of golang-migrate's advisory lock.
 * @param database with a leading slash, as its command line and `migrate.New` take it from the URL. A program that passes an open
 *   connection without naming the database uses the bare name, and so a different lock: those two do not exclude each other.
 * @see https://github.com/golang-migrate/migrate/blob/master/database/util.go
 */
export function golangMigrateLockKey(database: string, ...additional: string[]): bigint {
  const sum = BigInt(crc32([...additional, database].join('\0')))
  return (sum * 1_486_364_155n) % 2n ** 32n
}

/** Leaves the table as golang-migrate's SetVersion does; without a file, empty. */
function setVersion(table: string, file: Migration | undefined, dirty: boolean): string {
  const empty = `delete from ${table}`
  return file ? `${empty}; insert into ${table} (version, dirty) values (${file.id}, ${dirty})` : empty
}

/**
 * Every file up to the recorded version counts as applied. A dirty version means that its `up` failed, or that the `down` of the
 * next version failed: golang-migrate does not distinguish these. At -1, the `down` of the first version failed.
 */
function expand(rows: NativeRow[], files: Migration[]): NativeRow[] {
  const [row] = rows
  if (!row) return []
  const id = row.id === nilVersion ? (files[0]?.id ?? nilVersion) : (row.id ?? nilVersion)
  const below = files.filter((file) => golangMigrate.compare(file.id, id) < 0)
  const name = files.find((file) => file.id === id)?.name ?? row.name
  return [...below.map((file) => ({ ...row, id: file.id, name: file.name, ok: true })), { ...row, id, name }]
}

/** The files of a folder by version, lowest first. */
function readVersions(dir: string): Map<bigint, FileName[]> {
  const names = readNames(dir).map((file) => parseName(dir, file))
  const found = new Map<bigint, FileName[]>()
  for (const name of names.filter((name) => name !== undefined).sort(byVersion)) {
    const sides = found.get(name.version) ?? []
    const twin = sides.find(({ direction }) => direction === name.direction)
    if (twin) {
      throw usage(`${twin.file} and ${name.file} in ${dir} are both "${name.direction}" of version ${name.version}`, {
        file: pathIn(dir, name.file),
        hint: 'give the newer one a version of its own',
      })
    }
    found.set(name.version, [...sides, name])
  }
  return found
}

const byVersion = (a: FileName, b: FileName) =>
  a.version < b.version ? -1 : a.version > b.version ? 1 : a.file < b.file ? -1 : 1

function parseName(dir: string, file: string): FileName | undefined {
  const [, digits = '', title = '', direction] = pattern.exec(file) ?? []
  if (direction === undefined) return undefined
  const version = BigInt(digits)
  if (version > largestVersion) {
    throw usage(`the version of ${file} in ${dir} does not fit the history, whose column is a bigint`, {
      file: pathIn(dir, file),
      hint: `the largest version is ${largestVersion}`,
    })
  }
  return { file, digits, version, title, direction: direction === 'up' ? 'up' : 'down' }
}

/** Without an `up` file the migration is empty; without a `down` file nothing undoes it. */
function readMigration(dir: string, sides: FileName[]): Migration {
  const up = sides.find(({ direction }) => direction === 'up')
  const down = sides.find(({ direction }) => direction === 'down')
  const { version, digits, title, file } = (up ?? down) as FileName
  const script = up ? readScript(pathIn(dir, up.file)) : { ...empty, path: pathIn(dir, file) }
  return {
    id: String(version),
    name: `${digits}_${title}`,
    kind: 'versioned',
    sha256: checksum(script.text),
    checksum: null,
    native: {},
    ...script,
    ...(down && { down: () => readScript(pathIn(dir, down.file)) }),
  }
}

const empty = { text: '', line: 1, transactional: true }

const readScript = (path: string): Script => ({ ...empty, path, text: readText(path) })

/** Always two empty files, like `migrate create`. */
function create(name: string, { now, files }: { now: Date; files: Migration[] }): NewFile[] {
  const digits = files.map((file) => /^\d+/.exec(file.name)?.[0] ?? file.id)
  const stem = `${nextVersion(digits, now)}_${cleanName(name)}`
  return ['up', 'down'].map((direction) => ({ file: `${stem}.${direction}.sql`, text: '' }))
}
