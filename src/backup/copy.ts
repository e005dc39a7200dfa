import { isUnfinished, readBackup, removeBackup } from '../archive/backup.ts'
import { fromAnyCopy } from '../archive/copies.ts'
import { backupPrefix, manifestName, objectKey, pinPattern } from '../archive/layout.ts'
import { leasesHeld, withLease } from '../archive/lease.ts'
import type { Manifest } from '../archive/manifest.ts'
import { recordVerification } from '../archive/records.ts'
import { isSealed } from '../archive/seal.ts'
import { havingOf } from '../archive/several.ts'
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
 * manifest comes last. Nothing is decoded, and no identity is needed. A copy that is there is replaced. If it fails, nothing of it stays, but
 * for a copy that was there, and what somebody else copies at the same time.
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
  const { from, to, signal, secrets, now } = options
  const { manifest, text } = await readWhole(which, options)
  const total = manifest.objects.reduce((sum, { size_bytes }) => sum + size_bytes, 0)
  let done = 0
  // asked now: what was listed may be hours old
  const replaces = !(await inTarget(to, () => isUnfinished(to, which)))
  try {
    await to.checkWritable()
    for (const object of manifest.objects) {
      const key = objectKey(which.database, which.id, object.name)
      await transfer({ from, to }, key, object, (bytes) => {
        signal.throwIfAborted()
        done += bytes
        options.onProgress?.(done, total)
      })
      await inTarget(to, () => checkStored(to, key, object, signal))
    }
    await copyPins(which, options)
    await inTarget(to, () => refuseGone(which, manifest, to))
    await putText(to, objectKey(which.database, which.id, manifestName), text)
  } catch (error) {
    if (!replaces) await removeOurs(which, options)
    throw signal.aborted ? signal.reason : error
  }
  if (replaces) await recordVerification(to, which, { at: now(), ok: true, problem: null, level: 'stored' }, secrets)
  return { ...which, sizeBytes: total }
}

/** What fails where it is copied to says nothing about the copy that is read: another one would not help. */
async function inTarget<T>(to: Store, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const isCorrupt = error.kind === 'corrupt'
    const message = isCorrupt ? `what was written to ${to.name} cannot be read back: ${error.message}` : error.message
    const hint = isCorrupt ? 'check the volume of that store, then copy it again' : error.hint
    throw error.with({ kind: 'backup', reason: undefined, message, hint })
  }
}

/** Removes what was copied, unless somebody else has finished the same copy, or is making it: that would lose its objects. */
async function removeOurs(which: Which, { to, log, now }: CopyOptions): Promise<void> {
  try {
    if ((await isUnfinished(to, which)) && (await leasesHeld(to, which, now())) <= 1) await removeBackup(to, which)
  } catch (left) {
    const { message } = left as Error
    log.warn({ store: to.name, ...which, problem: message }, 'what was copied until it failed stays for now')
  }
}

/** A backup of the same id may have been removed meanwhile: no manifest appears without what it names. */
async function refuseGone(which: Which, { objects }: Manifest, to: Store): Promise<void> {
  const sizes = new Map<string, number>()
  for await (const { key, sizeBytes } of to.list(backupPrefix(which.database, which.id))) sizes.set(key, sizeBytes)
  const gone = objects.find(
    ({ name, size_bytes }) => sizes.get(objectKey(which.database, which.id, name)) !== size_bytes,
  )
  if (gone)
    throw new AppError('backup', `${gone.name} of ${which.id} was removed from ${to.name} while it was copied`, {
      hint: 'copy it again',
    })
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
  // a pin counts in whichever store it is: one that is left behind would let the copy be pruned
  for (const one of havingOf(from, { database, id }).filter((store) => store.name !== to.name))
    for await (const { key } of one.list(prefix)) {
      if (!pinPattern.test(key.slice(prefix.length))) continue
      const text = await getText(one, key)
      if (text !== undefined) await putText(to, key, text)
    }
}
