import { readBackup, removeBackup } from '../archive/backup.ts'
import { fromAnyCopy } from '../archive/copies.ts'
import { backupPrefix, manifestName, objectKey, pinPattern } from '../archive/layout.ts'
import { withLease } from '../archive/lease.ts'
import type { Manifest } from '../archive/manifest.ts'
import { recordVerification } from '../archive/records.ts'
import { isSealed } from '../archive/seal.ts'
import type { Secrets } from '../config/keys.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { checkStored, getText, putText, transfer } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

type Which = { database: string; id: string }

export type CopyOptions = {
  /** Where it is read from: one store, or several taken together. */
  from: Store
  to: Store
  /** Whether the store has a copy that was found damaged, which is replaced. */
  replaces: boolean
  secrets: Secrets
  log: Log
  signal: AbortSignal
  now(): Date
  warn(text: string): void
  /** Called with the bytes that were copied so far. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

/** What was copied. */
export type Copied = Which & { sizeBytes: number }

/**
 * Copies a backup as it is stored to another store: every byte is compared with its checksum on the way and again after it was written; the
 * manifest comes last. Nothing is decoded, and no identity is needed. If it fails, nothing of it stays, but for a copy that was there.
 *
 * @throws {AppError} `corrupt` if no copy is whole; `backup` if a store fails
 */
export const copyBackup = (which: Which, options: CopyOptions): Promise<Copied> => {
  const { from, to } = options
  return fromAnyCopy(from, which, options, () =>
    withLease(from, which, options, () =>
      // it has no manifest until the end: without a lease it would look like a leftover
      withLease(to, which, options, () => copyWhole(which, options)),
    ),
  )
}

async function copyWhole(which: Which, options: CopyOptions): Promise<Copied> {
  const { from, to, replaces, signal, secrets, now, log } = options
  const { manifest, text } = await readWhole(which, options)
  const total = manifest.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0)
  let done = 0
  try {
    await to.checkWritable()
    for (const object of manifest.objects) {
      const key = objectKey(which.database, which.id, object.name)
      await transfer({ from, to }, key, object, (bytes) => {
        signal.throwIfAborted()
        done += bytes
        options.onProgress?.(done, total)
      })
      await checkStored(to, key, object, signal)
    }
    await copyPins(which, options)
    await putText(to, objectKey(which.database, which.id, manifestName), text)
  } catch (error) {
    if (!replaces)
      await removeBackup(to, which).catch((left: Error) =>
        log.warn({ store: to.name, ...which, problem: left.message }, 'what was copied until it failed stays for now'),
      )
    throw signal.aborted ? signal.reason : error
  }
  if (replaces) await recordVerification(to, which, { at: now(), ok: true, problem: null, level: 'stored' }, secrets)
  return { ...which, sizeBytes: total }
}

async function readWhole(which: Which, { from, secrets }: CopyOptions): Promise<{ manifest: Manifest; text: string }> {
  const whole = await readBackup(from, which.database, which.id, secrets)
  const { manifest, text = '' } = whole ?? {}
  if (manifest && isSealed(text) && manifest.id === which.id) return { manifest, text }
  throw new AppError('corrupt', `backup ${which.id}: ${whole?.problem ?? 'manifest.json is missing or was changed'}`, {
    hint: 'copy another one; `pgbosun backup list` shows them',
  })
}

async function copyPins({ database, id }: Which, { from, to }: CopyOptions): Promise<void> {
  const prefix = backupPrefix(database, id)
  for await (const { key } of from.list(prefix)) {
    if (!pinPattern.test(key.slice(prefix.length))) continue
    const text = await getText(from, key)
    if (text !== undefined) await putText(to, key, text)
  }
}
