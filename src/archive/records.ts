import type { Secrets } from '../config/keys.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix, isVerification, objectKey, verifiedAtName, verifiedName } from './layout.ts'
import type { Manifest } from './manifest.ts'
import { parseRestoreTest, type RestoreTest } from './restore-test.ts'
import { isSigned } from './seal.ts'
import { aboutOf, later, parseVerification, type Verification, writeVerification } from './verification.ts'

/** A backup, wherever it is listed. */
type Which = { database: string; id: string }

/** What the records beside a backup say: the newest of each kind, and the names of those two. */
export type Records = {
  later: Verification | undefined
  restoreTest: RestoreTest | undefined
  sources: { later?: string; restoreTest?: string }
}

export const noRecords: Records = { later: undefined, restoreTest: undefined, sources: {} }

/** So many are read, the newest. There are more only where a store lets none be deleted. */
const mostRead = 32

/** So many of each kind stay. Not one alone: whoever has listed it may be about to read it. */
const kept = 2

/**
 * Reads records of verifications and of test restores, and takes the newest of each kind. What cannot be read, or is not signed, is as if
 * it were not there.
 *
 * @param names of the records to read
 * @param known what is known already, of others
 */
export async function readRecords(
  store: Store,
  which: Which,
  names: string[],
  secrets: Secrets,
  known: Records = noRecords,
): Promise<Records> {
  let found = known
  for (const name of inOrder(names).slice(-mostRead)) {
    const text = await readSigned(store, which, name, secrets)
    if (text !== undefined) found = withRecord(found, name, text)
  }
  return found
}

/** Oldest first, as their names say. The one without an instant was written by an older version. */
const inOrder = (names: string[]) => {
  const dated = names.filter((name) => name !== verifiedName).sort()
  return names.includes(verifiedName) ? [verifiedName, ...dated] : dated
}

async function readSigned(store: Store, { database, id }: Which, name: string, secrets: Secrets) {
  const text = await getText(store, objectKey(database, id, name))
  return text !== undefined && isSigned(text, aboutOf(database, id), secrets) ? text : undefined
}

function withRecord(known: Records, name: string, text: string): Records {
  const test = parseRestoreTest(text)
  if (test) {
    if (known.restoreTest && known.restoreTest.at > test.at) return known
    return { ...known, restoreTest: test, sources: { ...known.sources, restoreTest: name } }
  }
  const verification = parseVerification(text)
  if (!verification || later(known.later, verification) !== verification) return known
  return { ...known, later: verification, sources: { ...known.sources, later: name } }
}

/** What the newest run after the backup found; undefined where there was none, or its record cannot be read or believed. */
export async function readLaterVerification(store: Store, which: Which, secrets: Secrets) {
  return (await readRecords(store, which, await namesBeside(store, which), secrets)).later
}

async function namesBeside(store: Store, { database, id }: Which): Promise<string[]> {
  const prefix = backupPrefix(database, id)
  const names: string[] = []
  for await (const { key } of store.list(prefix)) names.push(key.slice(prefix.length))
  return names.filter(isVerification)
}

/**
 * Writes the result of a verification next to the backup, as a new object: a store may forbid that anything is replaced.
 * @param writtenAt if it is not the instant of the verification
 */
export async function recordVerification(
  store: Store,
  which: Which,
  verification: Verification,
  secrets: Secrets = [],
  writtenAt: Date = verification.at,
): Promise<void> {
  const text = writeVerification(which, verification, secrets)
  await putText(store, objectKey(which.database, which.id, verifiedAtName(writtenAt)), text)
}

/** Removes all but the newest records of each kind, where the store allows it. It never fails. */
export async function keepFewRecords(
  store: Store,
  which: Which,
  { secrets, log }: { secrets: Secrets; log: Log },
): Promise<void> {
  const { database, id } = which
  try {
    const names = await namesBeside(store, which)
    if (names.length <= kept) return
    const seen = { later: 0, restoreTest: 0 }
    for (const name of inOrder(names).reverse()) {
      const text = await readSigned(store, which, name, secrets)
      // what is not ours is left alone
      const kind = text === undefined ? undefined : kindOf(text)
      if (kind && ++seen[kind] > kept) await store.delete(objectKey(database, id, name))
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    log.debug({ database, id, problem: error.message }, 'older records of verifications stay')
  }
}

const kindOf = (text: string) =>
  parseRestoreTest(text) ? ('restoreTest' as const) : parseVerification(text) ? ('later' as const) : undefined

/**
 * Notes that an identity has decrypted the dump of a backup to its end, besides what was found before. A store that cannot be written to
 * forbids nothing: it is said, and the work goes on.
 */
export async function noteDecrypted(
  store: Store,
  { id, series: { database }, encryption, verified_at }: Manifest,
  { secrets, now, log }: { secrets: Secrets; now(): Date; log: Log },
): Promise<void> {
  if (!encryption || verified_at === null) return
  const which = { database, id }
  const own: Verification = { at: new Date(verified_at), ok: true, problem: null, level: 'stored' }
  try {
    const before = (await readLaterVerification(store, which, secrets)) ?? own
    const decryptedAt = now()
    await recordVerification(store, which, { ...before, decryptedAt }, secrets, decryptedAt)
    await keepFewRecords(store, which, { secrets, log })
  } catch (error) {
    log.warn({ backup: id, problem: (error as Error).message }, 'could not note in the store that it was decrypted')
  }
}
