import type { WholeBackup } from '../archive/backup.ts'
import { backupPrefix, dumpName, isNamed, objectKey } from '../archive/layout.ts'
import type { LiveDump } from '../archive/live.ts'
import type { Manifest } from '../archive/manifest.ts'
import { isSealed } from '../archive/seal.ts'
import { parseToc, type Toc, TocError } from '../archive/toc.ts'
import type { Keys } from '../config/keys.ts'
import { AppError } from '../errors.ts'
import { isSealedName } from '../store/age.ts'
import { checkOpens, unpack } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

/** Exit 61, before anything is changed. */
export const damaged = (id: string, how: string) =>
  new AppError('corrupt', `backup ${id}: ${how}; nothing was changed`, {
    hint: 'use another backup; `pgbosun backup list` shows them',
  })

/** Exit 61, before anything is changed: nothing proves that we made it. */
export const notSigned = (id: string, how: string) =>
  new AppError('corrupt', `backup ${id}: ${how}; nothing was changed`, {
    reason: 'not-signed',
    hint: 'somebody else may have put it into the store: compare backup.sign.secret with the one that backups are made with',
  })

/**
 * The manifest of the backup to restore.
 * @throws {AppError} `corrupt` if it is not exactly what was written
 */
export function trustedManifest({ id, manifest, problem, unproven, text }: WholeBackup): Manifest {
  if (unproven) throw notSigned(id, problem!)
  if (!manifest) throw damaged(id, problem ?? 'manifest.json cannot be read')
  if (!isSealed(text) || manifest.id !== id) throw damaged(id, 'manifest.json was changed or damaged')
  return manifest
}

/** A store, and what opens the backups in it that are encrypted. */
export type Source = { store: Store; keys: Keys }

/** Where a dump is: in a store, or still being made while it is loaded. */
export type DumpSource = (Source & { live?: undefined }) | { live: LiveDump }

/** The dump, decrypted and uncompressed; ends with `corrupt` if any byte is not what was written. */
export const openDump = (source: DumpSource, manifest: Manifest): AsyncIterable<Buffer> =>
  source.live
    ? source.live.open()
    : unpack(source.store, dumpKey(manifest), dumpEntry(manifest), source.keys.identities)

/**
 * Finds out by its header whether the dump can be decrypted.
 * @throws {AppError} `corrupt`
 */
export async function refuseUnopened({ store, keys }: Source, manifest: Manifest): Promise<void> {
  const { name } = dumpEntry(manifest)
  if (!isSealedName(name)) return
  try {
    await checkOpens(store, dumpKey(manifest), name, keys.identities)
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'corrupt') throw error
    throw error.with({ message: `backup ${manifest.id}: ${error.message}; nothing was changed` })
  }
}

/** The beginning of a dump, with its list of contents; the rest is not read. */
export type Head = { toc: Toc; bytes: Buffer }

/**
 * Reads the list of contents of a dump. The bytes are not verified yet: see {@link sameBeginning}.
 *
 * @throws {AppError} `corrupt` if the dump is not what was written; {TocError} if it is, but its list cannot be read
 */
export async function readHead(dump: AsyncIterable<Buffer>): Promise<Head> {
  let bytes = Buffer.alloc(0)
  let problem: TocError | undefined
  for await (const chunk of dump) {
    // A list that cannot be read is more often damaged than unknown: reading the dump to its end will tell.
    if (problem) continue
    bytes = Buffer.concat([bytes, chunk])
    try {
      const toc = parseToc(bytes)
      if (toc) return { toc, bytes }
    } catch (error) {
      if (!(error instanceof TocError)) throw error
      problem = error
    }
  }
  throw problem ?? new TocError('its list of contents has no end')
}

/** Reads a dump to its end. @throws {AppError} `corrupt` if it is not what was written */
export async function drain(dump: AsyncIterable<Buffer>, signal?: AbortSignal): Promise<void> {
  for await (const _ of dump) signal?.throwIfAborted()
}

/** The dump. Fails if it does not begin with the bytes that were read before. */
export async function* sameBeginning(
  dump: AsyncIterable<Buffer>,
  { bytes }: Pick<Head, 'bytes'>,
): AsyncGenerator<Buffer> {
  let at = 0
  for await (const chunk of dump) {
    const length = Math.min(chunk.length, bytes.length - at)
    if (length > 0 && !bytes.subarray(at, at + length).equals(chunk.subarray(0, length)))
      throw new AppError('corrupt', `${dumpName} had changed when it was read again`, {
        hint: 'check the store, then run it again',
      })
    at += length
    yield chunk
  }
}

/**
 * Finds out, without reading it, whether the dump is missing or has the wrong length.
 * @throws {AppError} `corrupt`
 */
export async function refuseIncomplete(store: Store, manifest: Manifest): Promise<void> {
  const { size_bytes } = dumpEntry(manifest)
  let found: number | undefined
  for await (const { key, sizeBytes } of store.list(backupPrefix(manifest.series.database, manifest.id)))
    if (key === dumpKey(manifest)) found = sizeBytes
  if (found === undefined) throw damaged(manifest.id, `${dumpName} is missing`)
  if (found !== size_bytes) throw damaged(manifest.id, `${dumpName} has ${found} bytes instead of ${size_bytes}`)
}

const dumpKey = (manifest: Manifest) => objectKey(manifest.series.database, manifest.id, dumpEntry(manifest).name)

function dumpEntry({ id, objects }: Manifest) {
  const entry = objects.find(({ name }) => isNamed(name, dumpName))
  if (!entry) throw damaged(id, `manifest.json does not list ${dumpName}`)
  return entry
}
