import { type Backup, readBackup, type WholeBackup } from '../archive/backup.ts'
import { dumpName, globalsName, isNamed, objectKey } from '../archive/layout.ts'
import type { Manifest } from '../archive/manifest.ts'
import { keepFewRecords, readLaterVerification, recordVerification } from '../archive/records.ts'
import { isSealed } from '../archive/seal.ts'
import type { Verification } from '../archive/verification.ts'
import type { Keys } from '../config/keys.ts'
import { AppError, hasReason } from '../errors.ts'
import type { Log } from '../log.ts'
import { findReader, type ToolSearch, type Tools } from '../programs/pgtools.ts'
import { isSealedName } from '../store/age.ts'
import { checkOpens, checkStored, unpack } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { type Decoding, decodingDump, decodingGlobals } from './decoding.ts'

type Where = { id: string; database: string }
type Objects = Manifest['objects']

/**
 * Result of a verification, which reads every stored byte and compares every checksum; with the level `decode` it also decoded the whole
 * dump. `unopened`: identities were given, and none of them opens it, which says nothing about the backup.
 * `unproven`: nothing proves that we made it.
 */
export type Verified = Where & {
  level: 'stored' | 'decode'
  ok: boolean
  problem: string | null
  unopened?: boolean
  unproven?: boolean
}

export type VerifyOptions = {
  search: ToolSearch
  /** Backups that are encrypted and that no identity opens are only read as they are stored. */
  keys: Keys
  signal: AbortSignal
  now: () => Date
  log: Log
  /** Called with what was recorded in the store. */
  onNoted?: (verification: Verification) => void
}

/**
 * Reads a backup back, byte for byte, and records the result next to it.
 *
 * @throws {AppError} `backup` if the store cannot be read, or there is no pg_restore that can decode it: neither says anything about
 *   the backup itself. If the store cannot be written to, it only logs a warning
 */
export async function verifyBackup(
  store: Store,
  backup: Pick<Backup, 'id' | 'database'>,
  options: VerifyOptions,
): Promise<Verified> {
  const { secrets } = options.keys
  const whole = await readBackup(store, backup.database, backup.id, secrets)
  // somebody has deleted it in the meantime and wants no record of it
  if (!whole) return { ...where(backup), level: 'decode', ok: false, problem: 'it is no longer in the store' }
  // it may be as it was written: this says something about our secret as well
  if (whole.unproven) return { ...where(backup), level: 'stored', ok: false, problem: whole.problem!, unproven: true }
  const before = whole.manifest?.encryption && (await readLaterVerification(store, backup, secrets))
  const found = withEarlier(await look(store, whole, options), before)
  const { level, problem, unopened } = found
  const at = options.now()
  try {
    const isDecrypted = whole.manifest?.encryption !== undefined && level === 'decode' && problem === null
    const decryptedAt = isDecrypted ? at : before?.decryptedAt
    const verification = { at, ok: problem === null, problem, level, decryptedAt }
    await recordVerification(store, backup, verification, secrets)
    options.onNoted?.(verification)
    await keepFewRecords(store, backup, { secrets, log: options.log })
  } catch (error) {
    options.log.warn(
      { problem: (error as Error).message },
      'could not record the result of the verification in the store',
    )
  }
  if (unopened && problem === null)
    return { ...where(backup), level, ok: false, problem: 'no identity opens it', unopened }
  return { ...where(backup), level, ok: problem === null, problem }
}

const where = ({ id, database }: Where): Where => ({ id, database })

type Found = Pick<Verified, 'level' | 'problem' | 'unopened'>

/** What decoding once found stays true when the bytes are only compared with their checksums. */
const withEarlier = (found: Found, before: Verification | undefined): Found =>
  found.level === 'stored' && found.problem === null && before?.ok === false && before.level !== 'stored'
    ? { level: 'decode', problem: before.problem }
    : found

async function look(store: Store, whole: WholeBackup, options: VerifyOptions): Promise<Found> {
  const { id, database, manifest, problem, text } = whole
  const bad = (why: string): Found => ({ level: 'decode', problem: why })
  if (!manifest) return bad(problem ?? 'manifest.json cannot be read')
  if (!isSealed(text)) return bad('manifest.json was changed after it was written')
  if (manifest.id !== id || manifest.database.name !== database)
    return bad(`manifest.json belongs to the backup ${manifest.id} of ${manifest.database.name}`)
  const place = { id, database }
  const { identities } = options.keys
  let opens = false
  try {
    opens = await isOpened(store, place, manifest.objects, identities)
    if (!opens) await readStored(store, place, manifest.objects, options.signal)
    else {
      const tools = await findReader(Number.parseInt(manifest.client_version, 10), options.search)
      await readBack(store, place, manifest.objects, { ...options, identities, tools })
    }
    return { level: opens ? 'decode' : 'stored', problem: null, unopened: !opens && identities.length > 0 }
  } catch (error) {
    if (error instanceof AppError && error.kind === 'corrupt')
      return { level: opens ? 'decode' : 'stored', problem: error.message }
    throw error
  }
}

/** Whether everything that is encrypted can be decrypted, by the headers. @throws {AppError} `corrupt` */
async function isOpened(
  store: Store,
  { database, id }: Where,
  objects: Objects,
  identities: readonly string[],
): Promise<boolean> {
  const encrypted = objects.filter(({ name }) => isSealedName(name))
  if (encrypted.length > 0 && identities.length === 0) return false
  try {
    for (const { name } of encrypted) await checkOpens(store, objectKey(database, id, name), name, identities)
    return true
  } catch (error) {
    if (hasReason(error, 'no-identity')) return false
    throw error
  }
}

/**
 * Reads every object of a backup as it is stored: size and SHA-256.
 * @throws {AppError} `corrupt`
 */
export async function readStored(
  store: Store,
  { database, id }: Where,
  objects: Objects,
  signal: AbortSignal,
): Promise<void> {
  refuseWithout(objects)
  for (const object of objects) await checkStored(store, objectKey(database, id, object.name), object, signal)
}

/**
 * Reads every object of a backup as it is stored: size, SHA-256, the checksum in the frame, and the archive itself with
 * pg_restore, to its end.
 *
 * @throws {AppError} `corrupt`; `backup` if something ended pg_restore, which says nothing about the backup
 */
export async function readBack(
  store: Store,
  { database, id }: Where,
  objects: Objects,
  { tools, signal, identities }: { tools: Tools; signal: AbortSignal; identities: readonly string[] },
): Promise<void> {
  refuseWithout(objects)
  for (const object of objects) {
    const content = unpack(store, objectKey(database, id, object.name), object, identities)
    if (isNamed(object.name, dumpName)) await decode(content, decodingDump(tools), signal)
    else if (isNamed(object.name, globalsName)) await decode(content, decodingGlobals(), signal)
    else for await (const _ of content) signal.throwIfAborted()
  }
}

function refuseWithout(objects: Objects): void {
  for (const needed of [dumpName, globalsName])
    if (!objects.some(({ name }) => isNamed(name, needed))) throw corrupt(`${needed} is not in the manifest`)
}

async function decode(content: AsyncGenerator<Buffer>, decoding: Decoding, signal: AbortSignal): Promise<void> {
  const stop = () => void decoding.kill()
  signal.addEventListener('abort', stop)
  try {
    for await (const _ of decoding.through(content)) signal.throwIfAborted()
    signal.throwIfAborted()
    await decoding.end()
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    signal.removeEventListener('abort', stop)
    await decoding.kill()
  }
}

const corrupt = (message: string) =>
  new AppError('corrupt', message, { hint: 'use another backup; `pgbosun backup list` shows them' })
