import { statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { usage } from '../errors.ts'
import { quoteIdent, quoteLiteral, splitName } from '../sql/quote.ts'
import { someOf } from '../units.ts'
import { checksum } from './checksum.ts'
import { pathIn, readNames, readText, sameName } from './files.ts'
import type { Format, NativeHistory } from './format.ts'
import { cleanName } from './name.ts'
import { programMigration } from './program.ts'
import type { Migration, Script } from './types.ts'

/** The file extensions of migrations that are programs. */
const programs = ['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts']

/** What its `create` writes: without a final line ending. */
const template = '-- Up Migration\n\n-- Down Migration'

/**
 * node-pg-migrate with SQL files, as its command line runs them with default options:
 * https://github.com/salsita/node-pg-migrate, `migration.ts`, `sqlMigration.ts` and `runner.ts` of 9.0.0.
 */
export const nodePgMigrate: Format = {
  name: 'node-pg-migrate',
  idOf: (name) => (/^\d+([_-].*)?$/s.test(name) ? name : undefined),
  idsAreNames: true,
  read: (dir) => readFolders([dir]),
  readSeveral: readFolders,
  compare,
  // `checkOrder`: the history must equal the list of files, position by position; a change to a file is never noticed
  policy: { outOfOrder: 'error', missing: 'error', edited: 'warn' },
  create(name, { now, files }) {
    const stem = cleanName(name).replace(/[ _]+/g, '-')
    if (/\.(up|down)$/.test(stem)) {
      throw usage(`"${name}" cannot be the name of a migration`, {
        hint: 'leave out the `.up` or `.down`: those endings belong to pairs of files',
      })
    }
    return [
      {
        file: `${nextPrefix(
          files.map(({ id }) => id),
          now,
        )}_${stem}.sql`,
        text: template,
      },
    ]
  },
  native: history(),
}

function history(): NativeHistory {
  return {
    table: 'public.pgmigrations',
    columns: ['id', 'name', 'run_on'],
    create: (table) =>
      `create table ${table} (id serial primary key, name varchar(255) not null, run_on timestamp not null)`,
    // run_on is in the time zone of the tool's session, which is the server's, as in our sessions
    select: (table) => `
      select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('id', r.name, 'name', r.name, 'kind', 'versioned', 'checksum', null, 'ok', true,
        'appliedAt', pg_catalog.to_char(r.run_on::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'durationMs', null, 'appliedBy', null) order by r.run_on, r.id), '[]') as rows
      from ${table} r`,
    // Its order check reads the rows by run_on, which repeats an hour when daylight saving ends: so never earlier than another row.
    record: (table, { id }) =>
      `insert into ${table} (name, run_on) select ${quoteLiteral(id)}, greatest(pg_catalog.now()::timestamp, pg_catalog.max(r.run_on)) from ${table} r`,
    unrecord: (table, { id }) => `delete from ${table} where name = ${quoteLiteral(id)}`,
    // Its runner always does this: with `--schema app`, tables are created in the schema of the history.
    prepare: (table) => `set search_path to ${quoteIdent(splitName(table).schema)}`,
    lockKey: () => 7241865325823964n,
  }
}

/** With several folders, as it does with a glob pattern for all of them: by their names, whatever their folders are. */
function readFolders(dirs: readonly string[]): Migration[] {
  const files = dirs.flatMap((dir) => {
    const names = readNames(dir).filter((name) => !isFolder(dir, name))
    refuseNames(dir, names)
    return names.map((name) => ({ dir, name }))
  })
  refuseTwins(files)
  return files
    .map(({ dir, name }) => (isProgram(name) ? program(dir, name) : readFile(dir, name)))
    .sort((a, b) => compare(a.id, b.id))
}

/** node-pg-migrate skips folders, and nothing else. Only names without `.sql` have to be checked on disk. */
const isFolder = (dir: string, name: string) =>
  !isSql(name) && (statSync(pathIn(dir, name), { throwIfNoEntry: false })?.isDirectory() ?? false)

const isSql = (name: string) => extname(name).toLowerCase() === '.sql'

const isProgram = (name: string) => programs.includes(extname(name).toLowerCase())

const program = (dir: string, name: string) =>
  programMigration(
    pathIn(dir, name),
    { id: idOf(name), name },
    {
      what: 'is a program, but pgbosun only runs SQL',
      hint: 'apply it with node-pg-migrate, write it as SQL (`node-pg-migrate create --migration-file-language sql`), or let `migrate.command` run node-pg-migrate itself',
    },
  )

const refusals: { of: (name: string) => boolean; what: string; hint: string }[] = [
  {
    of: (name) => !isSql(name) && !isProgram(name),
    what: 'is not a migration, and node-pg-migrate would refuse the folder because of it',
    hint: 'move it out of the folder',
  },
  {
    of: (name) => !/^\d/.test(name),
    what: 'does not start with a number, and node-pg-migrate would refuse the folder because of it',
    hint: 'name it like 1700000000000_create-users.sql, or move it out of the folder',
  },
  {
    of: (name) => /\.(up|down)\.sql$/i.test(name),
    what: 'is one of a pair of files, but the command line of node-pg-migrate treats each as a migration of its own',
    hint: 'put both into one file, 001_init.sql for 001_init.up.sql, below `-- Up Migration` and `-- Down Migration`, and make sure that pgmigrations has the name 001_init',
  },
]

/** @throws {AppError} `usage` for the first kind of name that is not supported, with all files of that kind */
function refuseNames(dir: string, names: string[]): void {
  for (const { of, what, hint } of refusals) {
    const found = names.filter(of).sort()
    if (found.length > 0)
      throw usage(`${someOf(found)} in ${dir}: ${what}`, {
        file: join(dir, found[0] ?? ''),
        report: { files: found },
        hint,
      })
  }
}

function refuseTwins(files: { dir: string; name: string }[]): void {
  const found = new Map<string, string>()
  for (const { dir, name } of files) {
    const path = pathIn(dir, name)
    const other = found.get(idOf(name))
    if (other !== undefined) throw sameName([other, path])
    found.set(idOf(name), path)
  }
}

/** In the history a file has its name without the last extension. */
const idOf = (name: string) => name.slice(0, -extname(name).length)

function readFile(dir: string, file: string): Migration {
  const path = pathIn(dir, file)
  const whole = readText(path)
  const { up, down } = sections(path, whole)
  const id = idOf(file)
  return {
    id,
    name: id,
    kind: 'versioned',
    sha256: checksum(whole),
    checksum: null,
    native: {},
    ...script(path, whole, up),
    ...(down && { down: () => script(path, whole, down) }),
  }
}

/** Offsets in the file. */
type Section = { from: number; to: number }

const marker = (direction: string) => new RegExp(`^\\s*--[\\s-]*${direction}\\s+migration`, 'im')
const upMarker = marker('up')
const downMarker = marker('down')

/** A section runs from the first marker of its direction to the first marker of the other one, or to the end. */
function sections(path: string, whole: string): { up: Section; down: Section | undefined } {
  const up = whole.search(upMarker)
  const down = whole.search(downMarker)
  const end = whole.length
  if (up < 0 && down >= 0 && hasStatements(whole.slice(down))) throw undoesItself(path, lineAt(whole, down))
  return {
    up: up < 0 ? { from: 0, to: end } : { from: up, to: down < up ? end : down },
    down: down < 0 ? undefined : { from: down, to: up < down ? end : up },
  }
}

/** Whether there is anything but blank lines and `--` comments. */
const hasStatements = (text: string) => text.split(/\r\n?|\n/).some((line) => !/^\s*(--.*)?$/.test(line))

const undoesItself = (path: string, line: number) =>
  usage(
    `${path} has a line \`-- Down Migration\` but no \`-- Up Migration\`: it would run as a whole, and undo itself`,
    {
      file: path,
      line,
      column: 1,
      hint: 'add a line `-- Up Migration` above the first statement',
    },
  )

const script = (path: string, whole: string, { from, to }: Section): Script => ({
  path,
  text: whole.slice(from, to),
  line: lineAt(whole, from),
  transactional: true,
})

function lineAt(text: string, index: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line++
  return line
}

const locale = { usage: 'sort', numeric: true, sensitivity: 'variant', ignorePunctuation: true } as const

/**
 * Compares the numbers at the start of the names, then the whole names with `.sql`, ignoring punctuation: `1_a_b.sql` comes before
 * `1_a.sql`. Uses JavaScript numbers as node-pg-migrate does, not bigint: if they lose digits, the second step decides.
 */
function compare(a: string, b: string): number {
  return (
    prefixValue(a) - prefixValue(b) ||
    `${a}.sql`.localeCompare(`${b}.sql`, 'en', locale) ||
    (a < b ? -1 : a === b ? 0 : 1)
  )
}

/** 17 digits are a time in UTC, `YYYYMMDDHHMMSSmmm`, converted to milliseconds like the 13 digits of an epoch time. */
function prefixValue(id: string): number {
  const [digits = ''] = /^\d+/.exec(id) ?? []
  if (digits.length !== 17) return Number(digits)
  return Date.parse(digits.replace(/^(.{4})(..)(..)(..)(..)(..)(...)$/, '$1-$2-$3T$4:$5:$6.$7Z'))
}

/** Numbers a file as the folder does: with an epoch time in ms (the default), a time in UTC, or a running number. */
function nextPrefix(ids: string[], now: Date): string {
  const newest = ids.toSorted(compare).at(-1)
  const digits = /^\d*/.exec(newest ?? '')?.[0] ?? ''
  const last = newest === undefined ? 0 : prefixValue(newest) || 0
  if (digits.length > 0 && digits.length < 11) return String(last + 1).padStart(digits.length, '0')
  const time = Math.max(now.getTime(), last + 1)
  return digits.length === 17 ? new Date(time).toISOString().replace(/\D/g, '') : String(time)
}
