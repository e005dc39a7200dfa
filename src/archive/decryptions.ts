// pure
import type { Backup } from './backup.ts'

/** When the backups of a series began to be encrypted, and when one was last decrypted; undefined where that is not known. */
export type Decryptions = { since: Date | undefined; decryptedAt: Date | undefined }

/** What is known of the decryption of backups of one series: each manifest says what was known before it. */
export function decryptions(backups: readonly Backup[]): Decryptions {
  const encrypted = backups.flatMap(({ encryption, verification, restoreTest }) =>
    encryption
      ? [{ ...encryption, tested: restoreTest?.ok ? restoreTest.at : undefined, verified: verification?.decryptedAt }]
      : [],
  )
  return {
    since: pick(
      encrypted.map(({ since }) => since),
      (a, b) => a < b,
    ),
    decryptedAt: pick(
      encrypted.flatMap(({ decryptedAt, tested, verified }) => [decryptedAt, tested, verified]),
      (a, b) => a > b,
    ),
  }
}

const pick = (instants: readonly (Date | undefined)[], isBetter: (a: Date, b: Date) => boolean) =>
  instants.reduce<Date | undefined>((best, one) => (one && (!best || isBetter(one, best)) ? one : best), undefined)
