import { dumpName } from '../archive/layout.ts'
import { withLease } from '../archive/lease.ts'
import type { Manifest } from '../archive/manifest.ts'
import { noteDecrypted } from '../archive/records.ts'
import { TocError } from '../archive/toc.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { writeNewFile } from '../machine/new-file.ts'
import { feedTool, howEnded, startTool } from '../programs/child.ts'
import { findReader, type ToolSearch, type Tools } from '../programs/pgtools.ts'
import { inSteps } from '../store/steps.ts'
import { withList } from './load.ts'
import { type Selection, selectEntries } from './select.ts'
import { damaged, openDump, readHead, refuseIncomplete, refuseUnopened, type Source } from './source.ts'

/** `custom`: for `pg_restore`; `sql`: for `psql`. */
export type FetchedAs = 'custom' | 'sql'

export type FetchOptions = Source & {
  manifest: Manifest
  /** An absolute path, where nothing is yet. */
  file: string
  as: FetchedAs
  /** Only these, as SQL; empty: everything. */
  tables: readonly string[]
  search: ToolSearch
  signal: AbortSignal
  log: Log
  now(): Date
  onProgress(done: number, total: number): void
}

export type Fetched = { sizeBytes: number; notes: string[]; writtenBy: string | undefined }

/**
 * Writes a dump into a file, decrypted, decoded and verified: the file appears under its name when every byte was what was written.
 *
 * @throws {AppError} `corrupt`, before the file is there; `usage`, `backup` if it cannot be written, or there is no pg_restore
 */
export async function fetchDump(options: FetchOptions): Promise<Fetched> {
  const { manifest, store, keys } = options
  const which = { id: manifest.id, database: manifest.series.database }
  return withLease(store, which, options, async () => {
    const fetched = await writeFetched(options)
    await noteDecrypted(store, manifest, { ...options, secrets: keys.secrets })
    return fetched
  })
}

async function writeFetched(options: FetchOptions): Promise<Fetched> {
  const { manifest, store, as, search } = options
  await refuseIncomplete(store, manifest)
  await refuseUnopened(options, manifest)
  if (as === 'custom') return { sizeBytes: await writeCustom(options), notes: [], writtenBy: undefined }
  const tools = await findReader(Number.parseInt(manifest.client_version, 10), search, manifest.server_version_num)
  const selection = await selected(options)
  const sizeBytes = await withList(selection?.entries, (list) => writeSql(options, tools, list, selection))
  return { sizeBytes, notes: selection?.notes ?? [], writtenBy: tools.version }
}

const writeCustom = (options: FetchOptions): Promise<number> => {
  const { manifest, file, signal, onProgress } = options
  const total = manifest.dump_size_bytes
  return writeNewFile(file, { expectedBytes: total }, async (append) => {
    let done = 0
    for await (const chunk of openDump(options, manifest)) {
      signal.throwIfAborted()
      await append(chunk)
      done += chunk.length
      onProgress(done, total)
    }
  })
}

/** @throws {AppError} `usage` for a table that is not in it */
async function selected(options: FetchOptions): Promise<Selection | undefined> {
  const { manifest, tables } = options
  if (tables.length === 0) return undefined
  try {
    const { toc } = await readHead(openDump(options, manifest))
    return selectEntries(toc, { schemas: [], tables, skipExtensions: [] })
  } catch (error) {
    if (error instanceof TocError) throw damaged(manifest.id, error.message)
    throw error
  }
}

/** SQL is about as long as a dump that is not compressed. */
const writeSql = (
  options: FetchOptions,
  tools: Tools,
  list: string[],
  selection: Selection | undefined,
): Promise<number> =>
  writeNewFile(options.file, { expectedBytes: selection ? undefined : options.manifest.dump_size_bytes }, (append) =>
    convert(options, tools, list, append),
  )

/** What pg_restore writes last. */
const lastLine = 'PostgreSQL database dump complete'

async function convert(
  options: FetchOptions,
  tools: Tools,
  list: string[],
  append: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const { manifest, signal, onProgress } = options
  const tool = startTool(tools, 'pg_restore', ['-f', '-', ...list])
  const stop = () => void tool.kill()
  signal.addEventListener('abort', stop)
  let unread: unknown
  try {
    const onBytes = (bytes: number) => onProgress(bytes, manifest.dump_size_bytes)
    const feeding = feedTool(tool, openDump(options, manifest), { signal, onBytes }).catch((error: unknown) => {
      unread = error
      stop()
    })
    let end = ''
    let first = true
    for await (const step of inSteps(tool.stdout)) {
      if (first) await append(withoutSettings(step, tools.unknownSettings ?? []))
      else await append(step)
      first = false
      end = (end + step.subarray(-200).toString('latin1')).slice(-200)
    }
    await feeding
    if (unread) throw unread
    refuseUndone(manifest, await tool.ended, end)
  } catch (error) {
    throw signal.aborted ? signal.reason : (unread ?? error)
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
  }
}

/** All settings are in the first lines. */
function withoutSettings(text: Buffer, names: readonly string[]): Buffer {
  const found = names
    .map((name) => Buffer.from(`SET ${name} = 0;\n`))
    .find((line) => text.subarray(0, 4096).includes(line))
  if (!found) return text
  const at = text.indexOf(found)
  return Buffer.concat([text.subarray(0, at), text.subarray(at + found.length)])
}

function refuseUndone({ id }: Manifest, ended: Parameters<typeof howEnded>[0] & { stderr: string }, end: string): void {
  const { how, hint } = howEnded(ended)
  if (ended.signal !== null) throw new AppError('backup', `backup ${id}: pg_restore ${how}`, { hint })
  if (ended.code !== 0)
    throw damaged(id, `pg_restore cannot decode ${dumpName}: ${ended.stderr.split('\n').at(-1) || `it ${how}`}`)
  if (!end.includes(lastLine)) throw damaged(id, 'what pg_restore wrote has no end')
}
