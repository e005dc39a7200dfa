import { isAscii, isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { posix, resolve } from 'node:path'
import type { SeedConfig } from '../config/schema.ts'
import { usage } from '../errors.ts'
import { refuseLargeFile, refuseLargeMessage, release } from '../machine/memory.ts'
import { piecesOf } from '../sql/pieces.ts'
import { splitName } from '../sql/quote.ts'
import { yamlWord } from '../text.ts'
import { inspectSeed } from './inspect.ts'
import type { CsvSeed, Seed, SqlSeed } from './types.ts'

type FileEntry = Extract<SeedConfig, { file: string }>

/**
 * Finds the seeds of an environment and computes their checksums; CSV files are not kept in memory. Small files are read at once:
 * loading `node:fs/promises` or a stream takes longer than that.
 *
 * @param entries in the order in which they are loaded; `{ dir }` means its `.sql` files, sorted by name
 * @param baseDir the folder that relative paths start from: that of the configuration
 * @throws {AppError} `usage` with the file or folder that is missing, unreadable, listed twice or described wrongly;
 *                    `seed` when an SQL file contains something that cannot run in our transaction, or does not fit into memory
 */
export async function readSeeds(
  entries: SeedConfig[],
  { baseDir, environment }: { baseDir: string; environment: string },
): Promise<Seed[]> {
  const seeds: Seed[] = []
  for (const entry of entries) {
    if (entry.when !== undefined && !entry.when.includes(environment)) continue
    for (const file of 'dir' in entry ? filesOf(entry.dir, baseDir) : [entry]) seeds.push(await readSeed(file, baseDir))
  }
  refuseTwice(seeds)
  return seeds
}

function filesOf(dir: string, baseDir: string): FileEntry[] {
  return namesIn(dir, baseDir)
    .filter((name) => name.endsWith('.sql') && !name.startsWith('.'))
    .sort()
    .map((name) => ({ file: posix.join(dir, name) }))
}

function namesIn(dir: string, baseDir: string): string[] {
  try {
    return readdirSync(resolve(baseDir, dir))
  } catch (error) {
    return unreadable('seed folder', dir)(error as NodeJS.ErrnoException)
  }
}

function readSeed(entry: FileEntry, baseDir: string): Promise<Seed> {
  const name = posix.normalize(entry.file)
  const path = resolve(baseDir, entry.file)
  return (entry.file.endsWith('.csv') ? readCsv(entry, name, path) : readSql(entry, name, path)).catch(
    unreadable('seed file', entry.file),
  )
}

async function readSql({ table, mode, key }: FileEntry, name: string, path: string): Promise<SqlSeed> {
  const given = Object.entries({ table, mode, key }).find(([, value]) => value !== undefined)
  if (given)
    throw usage(`${name}: \`${given[0]}\` is for CSV files only`, { file: name, hint: `remove \`${given[0]}\`` })
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

const smallBytes = 1024 * 1024

async function readCsv({ table, mode, key }: FileEntry, name: string, path: string): Promise<CsvSeed> {
  if (table === undefined)
    throw usage(`${name}: a CSV file needs a \`table\``, {
      file: name,
      hint: `add \`table: ${yamlWord(posix.basename(name, '.csv'))}\``,
    })
  const how = { table: splitName(table), mode: mode ?? (key ? 'upsert' : 'insert'), key } as const
  const hash = createHash('sha256')
  if (statSync(path).size <= smallBytes) hash.update(readFileSync(path))
  else for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer)
  return { kind: 'csv', name, path, ...how, checksum: hash.update(JSON.stringify(how)).digest('hex') }
}

function refuseTwice(seeds: Seed[]): void {
  const seen = new Set<string>()
  for (const { name } of seeds) {
    if (seen.has(name))
      throw usage(`${name} is listed twice under \`seeds\``, { file: name, hint: 'remove one of the entries' })
    seen.add(name)
  }
}

/** Turns an error of the file system into exit 2; throws any other error as it is. */
const unreadable =
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
