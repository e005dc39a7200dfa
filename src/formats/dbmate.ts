import { usage } from '../errors.ts'
import { checksum } from './checksum.ts'
import { orRefused, pathIn, readNames, readText, sameVersion } from './files.ts'
import type { Format, NativeHistory, NewFile } from './format.ts'
import { cleanName, nextVersion } from './name.ts'
import type { Migration, Script } from './types.ts'

/** Other names are ignored, as dbmate does. */
const pattern = /^(\d+).*\.sql$/

/**
 * The history has one row for each file. The version is a string: `1` and `0001` are different versions.
 * A section and its row share a transaction; dbmate takes no lock.
 */
const native: NativeHistory = {
  table: 'schema_migrations',
  columns: ['version'],
  create: (table) => `create table if not exists ${table} (version varchar primary key)`,
  select: (table) => `
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
             'id', version, 'name', version, 'kind', 'versioned', 'checksum', null, 'ok', true,
             'appliedAt', null, 'durationMs', null, 'appliedBy', null)
             order by (version || '_') collate pg_catalog."C"), '[]') as rows
      from ${table}`,
  record: (table, { id }) => `insert into ${table} (version) values ('${id}')`,
  unrecord: (table, { id }) => `delete from ${table} where version = '${id}'`,
}

/**
 * dbmate: `20260101120000_users.sql` with a section `-- migrate:up` and one `-- migrate:down`.
 * A byte order mark does no harm here; dbmate would not find the first section after it.
 *
 * @see https://github.com/amacneil/dbmate — checked against dbmate 2.36.0
 */
export const dbmate: Format = {
  name: 'dbmate',
  idOf: (name) => /^(\d+)([_-].*)?$/s.exec(name)?.[1],
  outside: '-- migrate:up transaction:false',
  read: (dir) => readFolders([dir]),
  readSeveral: readFolders,
  compare: (a, b) => (a === b ? 0 : `${a}_` < `${b}_` ? -1 : 1),
  policy: { outOfOrder: 'apply', missing: 'warn', edited: 'warn' },
  native,
  create,
}

/** A file by its name. */
type FileName = { path: string; file: string; bytes: Buffer; version: string }

/** All files by their names, whatever their folders are. */
function readFolders(dirs: readonly string[]): Migration[] {
  const files = dirs.flatMap((dir) => readNames(dir).flatMap((file) => parseName(dir, file)))
  // Go compares bytes. This is the order of dbmate: `10_x.sql` comes before `2_x.sql`.
  files.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
  refuseTwins(files)
  return files.map(readFile)
}

function parseName(dir: string, file: string): FileName[] {
  const version = pattern.exec(file)?.[1]
  return version === undefined ? [] : [{ path: pathIn(dir, file), file, bytes: Buffer.from(file), version }]
}

/** dbmate would run both files and fail at the second, or consider the second applied and never run it. */
function refuseTwins(files: FileName[]): void {
  const found = new Map<string, string>()
  for (const { path, version } of files) {
    const other = found.get(version)
    if (other) throw sameVersion([other, path], version)
    found.set(version, path)
  }
}

function readFile({ path, file, version }: FileName): Migration {
  const text = readText(path)
  const content = orRefused(path, () => {
    const { up, down } = sectionsOf(path, text)
    return { ...script(path, text, up, down), down: () => script(path, text, down, text.length) }
  })
  return {
    id: version,
    name: file.slice(0, -'.sql'.length),
    kind: 'versioned',
    sha256: checksum(text),
    checksum: null,
    native: {},
    ...content,
  }
}

// As Go reads `^`, `$` and `\s`: only a line feed ends a line, and only these characters are white space.
const directive = /(?<![^\n])--[\t\n\f\r ]*migrate:(up|down)(?![^\t\n\f\r ])/g
const harmless = /^[\t\f\r ]*(--|$)/

/** Offsets of the two sections in the text. @throws {AppError} `usage` for everything that dbmate refuses */
function sectionsOf(path: string, text: string): { up: number; down: number } {
  const found = [...text.matchAll(directive)].map(({ index, 1: name }) => ({ index, name }))
  const fail = (message: string, index: number, hint: string) =>
    usage(`${path} ${message}`, { file: path, line: lineAt(text, index), column: 1, hint })

  const up = found.find(({ name }) => name === 'up')?.index
  if (up === undefined) throw fail('has no `-- migrate:up`', 0, 'write it on a line of its own, without indentation')
  const before = text.slice(0, up).split('\n')
  const statement = before.findIndex((line) => !harmless.test(line))
  if (statement >= 0) {
    throw usage(`${path} has a statement before \`-- migrate:up\`, in line ${statement + 1}`, {
      file: path,
      line: statement + 1,
      column: 1,
      hint: 'move it into the section',
    })
  }
  const down = found.find(({ name }) => name === 'down')?.index
  if (down === undefined) throw fail('has no `-- migrate:down`', up, 'add the section, empty if nothing undoes it')
  if (down < up) throw fail('has `-- migrate:down` before `-- migrate:up`', down, 'write `-- migrate:up` first')
  const second = found.find(({ name }, i) => found.findIndex((other) => other.name === name) < i)
  if (second) {
    throw fail(
      `has a second \`-- migrate:${second.name}\` in line ${lineAt(text, second.index)}`,
      second.index,
      'put each pair of sections into its own file: dbmate records such a file as applied after its first pair and never runs the rest',
    )
  }
  return { up, down }
}

/** The section including its directive line, as dbmate sends it. */
function script(path: string, file: string, from: number, to: number): Script {
  const text = file.slice(from, to)
  return { path, text, line: lineAt(file, from), transactional: optionsOf(text).get('transaction') !== 'false' }
}

/** The `key:value` pairs in the section's first line; the last value of a key counts, and other words are ignored. */
function optionsOf(section: string): Map<string, string> {
  const words = (section.split('\n', 1)[0] ?? '').split(/[\t\f\r ]+/)
  const pairs = words.map((word) => word.split(':')).filter((pair) => pair.length === 2)
  return new Map(pairs as [string, string][])
}

const lineAt = (text: string, offset: number) => text.slice(0, offset).split(/\r\n|\r|\n/).length

/** dbmate always uses the time. In a folder numbered 001, 002, … we use the next number instead, provided that it sorts last. */
function create(name: string, { now, files }: { now: Date; files: Migration[] }): NewFile[] {
  const versions = files.map(({ id }) => id)
  const isLast = (version: string) => versions.every((other) => dbmate.compare(version, other) > 0)
  const next = nextVersion(versions, now)
  const version = isLast(next) ? next : nextVersion([], now)
  return [{ file: `${version}_${cleanName(name)}.sql`, text: '-- migrate:up\n\n\n-- migrate:down\n\n' }]
}
