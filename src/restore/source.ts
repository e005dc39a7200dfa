import type { Backup } from '../archive/catalog.ts'
import { backupPrefix, dumpName, objectKey } from '../archive/layout.ts'
import type { Manifest } from '../archive/manifest.ts'
import { unpack } from '../archive/pack.ts'
import { isSealed } from '../archive/seal.ts'
import type { Store } from '../archive/store.ts'
import { AppError } from '../errors.ts'

const damaged = (id: string, how: string) =>
  new AppError('corrupt', `backup ${id}: ${how}; nothing was touched`, {
    hint: 'use another backup; `pgbosun backup list` shows them',
  })

/**
 * The manifest of a backup that is to be restored.
 * @throws {AppError} `corrupt` when it is not, bit for bit, what was written
 */
export function trustedManifest({ id, manifest, problem, text }: Backup): Manifest {
  if (!manifest) throw damaged(id, problem ?? 'manifest.json cannot be read')
  if (!isSealed(text) || manifest.id !== id) throw damaged(id, 'manifest.json was changed or damaged')
  return manifest
}

/** The dump, uncompressed; ends with `corrupt` unless every byte is what was written. */
export const openDump = (store: Store, manifest: Manifest): AsyncIterable<Buffer> =>
  unpack(store, dumpKey(manifest), dumpEntry(manifest))

/**
 * What is missing or has another length is known without reading it.
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

const dumpKey = ({ series, id }: Manifest) => objectKey(series.database, id, dumpName)

function dumpEntry({ id, objects }: Manifest) {
  const entry = objects.find(({ name }) => name === dumpName)
  if (!entry) throw damaged(id, `manifest.json names no ${dumpName}`)
  return entry
}
