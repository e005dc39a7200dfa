import { isAscii, isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { posix, resolve } from 'node:path'
import type { SeedConfig } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { refuseLargeFile, refuseLargeMessage, release } from '../machine/memory.ts'
import { piecesOf } from '../sql/pieces.ts'
import { splitName } from '../sql/quote.ts'
import { yamlWord } from '../text.ts'
import { readChecksum } from './checksum.ts'
import { filesOf, tableNameOf, unreadable } from './folder.ts'
import { inspectSeed } from './inspect.ts'
import { refuseRivals, withRivals } from './rivals.ts'
import type { DeleteLimit, LoadedSeed, RowsSeed, Seed, SqlSeed } from './types.ts'

type FileEntry = Extract<SeedConfig, { file: string }>

/**
 * Finds the seeds of an environment, and reads the SQL files; rows are not kept in memory. Small files are read at once: loading
 * `node:fs/promises` or a stream takes longer than that.
 *
 * @param entries in the order in which they are loaded; `{ dir }` means its files, sorted by name, without those that have an entry
 * @param baseDir the folder that relative paths start from: that of the configuration
 * @throws {AppError} `usage` with the file or folder that is missing, unreadable, listed twice or described wrongly;
 *                    `seed` when an SQL file contains something that cannot run in our transaction, or does not fit into memory
 */
export async function readSeeds(
  entries: SeedConfig[],
  { baseDir, environment }: { baseDir: string; environment: string },
): Promise<Seed[]> {
  const listed = new Set(entries.flatMap((entry) => ('file' in entry ? [posix.normalize(entry.file)] : [])))
  const files = entries
    .filter(({ when }) => when === undefined || when.includes(environment))
    .flatMap((entry) => ('dir' in entry ? entriesOf(entry, baseDir, environment, listed) : [entry]))
  const seeds = files.map((file) => readSeed(file, baseDir))
  refuseTwice(seeds)
  refuseRivals(seeds)
  return withRivals(seeds)
}

/**
 * Adds the checksums of the files of rows that have been loaded before. Those of the others are computed while they are loaded, so that a
 * long file is read once.
 * @param history undefined: all are computed
 */
export async function withChecksums(seeds: Seed[], history?: LoadedSeed[]): Promise<Seed[]> {
  const loaded = new Set((history ?? seeds).map(({ name }) => name))
  const checked: Seed[] = []
  for (const seed of seeds)
    checked.push(
      seed.kind === 'rows' && loaded.has(seed.name)
        ? { ...seed, checksum: await readChecksum(seed).catch(unreadable('seed file', seed.name)) }
        : seed,
    )
  return checked
}

function entriesOf(
  { dir, mode }: Extract<SeedConfig, { dir: string }>,
  baseDir: string,
  environment: string,
  listed: Set<string>,
): FileEntry[] {
  return filesOf(dir, baseDir, environment)
    .filter((file) => !listed.has(file))
    .map((file) => (file.endsWith('.sql') ? { file } : { file, table: tableNameOf(file), ...(mode && { mode }) }))
}

function readSeed(entry: FileEntry, baseDir: string): Seed {
  const name = posix.normalize(entry.file)
  const path = resolve(baseDir, entry.file)
  try {
    return entry.file.endsWith('.sql') ? readSql(entry, name, path) : findRows(entry, name, path)
  } catch (error) {
    return unreadable('seed file', entry.file)(error as NodeJS.ErrnoException)
  }
}

function readSql({ table, mode, key, scope, maxDeletes }: FileEntry, name: string, path: string): SqlSeed {
  const given = Object.entries({ table, mode, key, scope, maxDeletes }).find(([, value]) => value !== undefined)
  if (given)
    throw usage(`${name}: \`${given[0]}\` is for files of rows only`, { file: name, hint: `remove \`${given[0]}\`` })
  const kind = 'seed'
  refuseLargeFile(name, statSync(path).size, { ascii: true, kind })
  const bytes = readFileSync(path)
  refuseLargeFile(name, bytes.length, { ascii: isAscii(bytes), kind })
  const text = decode(name, bytes)
  const checksum = createHash('sha256').update(bytes).digest('hex')
  release(bytes)
  inspectSeed(name, text)
  refuseLargeMessage(name, piecesOf(text), kind)
  return { kind: 'sql', name, text, checksum }
}

function decode(name: string, bytes: Buffer): string {
  if (!isUtf8(bytes)) throw usage(`${name} is not UTF-8 text`, { file: name, hint: 'save the file as UTF-8' })
  const text = bytes.toString('utf8')
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

const defaultLimit: DeleteLimit = { percent: 10 }

function findRows({ table, mode, key, scope, maxDeletes }: FileEntry, name: string, path: string): RowsSeed {
  if (table === undefined)
    throw usage(`${name}: a file of rows needs a \`table\``, {
      file: name,
      hint: `add \`table: ${yamlWord(tableNameOf(name))}\``,
    })
  // A folder would only be noticed while it is read.
  if (statSync(path).isDirectory()) throw Object.assign(new Error('a folder'), { syscall: 'read', code: 'EISDIR' })
  accessSync(path, constants.R_OK)
  return {
    kind: 'rows',
    name,
    format: posix.extname(name).slice(1) as RowsSeed['format'],
    path,
    table: splitName(table),
    mode: mode ?? (key ? 'upsert' : 'insert'),
    key,
    scope,
    rivals: [],
    maxDeletes: maxDeletes === undefined ? defaultLimit : readLimit(maxDeletes),
    checksum: undefined,
  }
}

const readLimit = (limit: number | string): DeleteLimit =>
  typeof limit === 'number' ? { rows: limit } : { percent: Number.parseInt(limit, 10) }

function refuseTwice(seeds: Seed[]): void {
  const seen = new Set<string>()
  for (const { name } of seeds) {
    if (seen.has(name))
      throw usage(`${name} is listed twice under \`seeds\``, { file: name, hint: 'remove one of the entries' })
    seen.add(name)
  }
}
