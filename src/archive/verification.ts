import * as z from 'zod'
import type { Secrets } from '../config/keys.ts'
import type { Log } from '../log.ts'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { objectKey, verifiedName } from './layout.ts'
import type { Manifest } from './manifest.ts'
import { type About, isSigned, writeSigned } from './seal.ts'

/**
 * Result of the last verification of a backup, which reads all its bytes. `stored`: they were compared with their checksums, as an
 * encrypted backup can be without an identity; otherwise they were also decoded.
 */
export type Verification = {
  at: Date
  ok: boolean
  problem: string | null
  level?: 'stored' | 'decode' | undefined
  /** When an identity last decrypted it, in this verification or one before. */
  decryptedAt?: Date | undefined
}

const verificationSchema = z.looseObject({
  verified_at: z.iso.datetime(),
  ok: z.boolean(),
  problem: z.string().nullable(),
  level: z.enum(['stored', 'decode']).optional(),
  decrypted_at: z.iso.datetime().nullish(),
})

/** What the newest run after the backup found; undefined where there was none, or its record cannot be read or believed. */
export async function readLaterVerification(store: Store, { database, id }: Which, secrets: Secrets) {
  const text = await getText(store, objectKey(database, id, verifiedName))
  return text === undefined || !isSigned(text, aboutOf(database, id), secrets) ? undefined : parseVerification(text)
}

/** The later of two. */
export const later = (one: Verification | undefined, other: Verification | undefined) =>
  other && (!one || other.at >= one.at) ? other : one

function parseVerification(text: string): Verification | undefined {
  try {
    const { data } = verificationSchema.safeParse(JSON.parse(text), { jitless: true })
    return (
      data && {
        at: new Date(data.verified_at),
        ok: data.ok,
        problem: data.problem,
        level: data.level,
        decryptedAt: data.decrypted_at == null ? undefined : new Date(data.decrypted_at),
      }
    )
  } catch {
    return undefined
  }
}

/** What the signature of a record is about. */
export const aboutOf = (database: string, id: string): About => ({ what: 'verification', database, id })

/** A backup, wherever it is listed. */
type Which = { database: string; id: string }

/** Writes the result of a verification next to the backup, which itself is never changed. */
export async function recordVerification(
  store: Store,
  { database, id }: Which,
  { at, ok, problem, level, decryptedAt }: Verification,
  secrets: Secrets = [],
): Promise<void> {
  const record = {
    ...{ id, level: level ?? 'decode', ok, problem },
    verified_at: at.toISOString(),
    ...(decryptedAt && { decrypted_at: decryptedAt.toISOString() }),
  }
  await putText(store, objectKey(database, id, verifiedName), writeSigned(record, aboutOf(database, id), secrets))
}

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
    await recordVerification(store, which, { ...before, decryptedAt: now() }, secrets)
  } catch (error) {
    log.warn({ backup: id, problem: (error as Error).message }, 'could not note in the store that it was decrypted')
  }
}
