// pure
import type { Decryptions } from '../archive/decryptions.ts'
import { counted } from '../units.ts'

const dayMs = 86_400_000

/** After so long, nobody knows whether the identity is still there. */
export const limitMs = 35 * dayMs

/**
 * That nobody has decrypted a backup of a database for too long; undefined: somebody has, or they are not encrypted.
 * @param decryptions undefined where the newest backup is not encrypted
 */
export function judgeDecryption(database: string, decryptions: Decryptions | undefined, now: Date): string | undefined {
  const last = decryptions?.decryptedAt ?? decryptions?.since
  if (last === undefined || now.getTime() - last.getTime() < limitMs) return undefined
  const age = counted(Math.floor((now.getTime() - last.getTime()) / dayMs), 'day')
  return decryptions?.decryptedAt === undefined
    ? `no backup of ${database} was ever decrypted, and they have been encrypted for ${age}: nothing shows that their identity still exists`
    : `no backup of ${database} was decrypted for ${age}: nothing shows that their identity still exists`
}

/** What to do about it. */
export const decryptionHint = 'run `pgbosun backup verify latest` where backup.encrypt.identity is set'
