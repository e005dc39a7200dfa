import * as z from 'zod'
import type { Secrets } from '../config/keys.ts'
import { type About, writeSigned } from './seal.ts'

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

/** The later of two; of two of one instant, the other one. */
export const later = (one: Verification | undefined, other: Verification | undefined) =>
  other && (!one || other.at >= one.at) ? other : one

/** The record of a verification as it is stored; undefined for what is none. */
export function parseVerification(text: string): Verification | undefined {
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

/** The record of a verification, as it is stored. */
export function writeVerification(
  { database, id }: { database: string; id: string },
  { at, ok, problem, level, decryptedAt }: Verification,
  secrets: Secrets,
): string {
  const record = {
    ...{ id, level: level ?? 'decode', ok, problem },
    verified_at: at.toISOString(),
    ...(decryptedAt && { decrypted_at: decryptedAt.toISOString() }),
  }
  return writeSigned(record, aboutOf(database, id), secrets)
}
