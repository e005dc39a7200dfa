// pure
import type { Decryptions } from '../archive/decryptions.ts'
import type { Lacking } from '../archive/lacking.ts'
import { startedAtOf } from '../archive/layout.ts'
import { renderAge, renderBytes } from '../units.ts'
import type { Since } from './backup-conditions.ts'
import { limitMs } from './decryption.ts'

const dayMs = 86_400_000

/** After a week `serve` reads the oldest back, so twice that is too long. */
const unverifiedMs = 14 * dayMs

/** That the newest backup is much smaller than those before; undefined: it is not. */
export const judgeShrank = (
  database: string,
  shrank: { id: string; sizeBytes: number; usualBytes: number } | undefined,
): string | undefined =>
  shrank &&
  `the backup ${shrank.id} of ${database} has ${renderBytes(shrank.sizeBytes)}, and those of the week before it ${renderBytes(shrank.usualBytes)} on average`

/** That no backup of a database was read back for two weeks; undefined: one was, or there is none. */
export function judgeVerified(
  database: string,
  { lastVerifiedAt, firstAt }: { lastVerifiedAt: Date | undefined; firstAt: Date | undefined },
  now: Date,
): string | undefined {
  const since = verifiedSince({ lastVerifiedAt, firstAt })
  if (since === undefined || since > now) return undefined
  return `no backup of ${database} was read back for ${renderAge(now.getTime() - (lastVerifiedAt ?? firstAt ?? now).getTime())}`
}

const verifiedSince = ({
  lastVerifiedAt,
  firstAt,
}: {
  lastVerifiedAt: Date | undefined
  firstAt: Date | undefined
}) => {
  const last = lastVerifiedAt ?? firstAt
  return last && new Date(last.getTime() + unverifiedMs)
}

/** What tells since when something is wrong with the backups of a database. */
export type SinceFacts = {
  newest: { at: Date } | undefined
  firstAt: Date | undefined
  lastVerifiedAt: Date | undefined
  damagedAt: Date | undefined
  shrank: { at: Date } | undefined
  decryptions: Decryptions | undefined
  conflicts: readonly string[]
  restoreTest: { at: Date; ok: boolean } | undefined
  /** The slot of the test restore that is missing. */
  testSlot: Date | undefined
  maxAgeMs: number | undefined
  lacking: Lacking | undefined
}

/** Since when what may be wrong is wrong: by the store, so that every process says the same. Pure. */
export function sinceOf(facts: SinceFacts): Since {
  const { newest, damagedAt, shrank, decryptions, conflicts, restoreTest, testSlot, maxAgeMs, lacking } = facts
  const decrypted = decryptions?.decryptedAt ?? decryptions?.since
  const first = [...conflicts].sort()[0]
  return {
    'backup-overdue': newest && maxAgeMs !== undefined ? iso(new Date(newest.at.getTime() + maxAgeMs)) : undefined,
    'backup-damaged': iso(damagedAt),
    'backup-shrank': iso(shrank?.at),
    'backup-incomplete': lacking ? iso(newest?.at) : undefined,
    'verify-overdue': iso(verifiedSince(facts)),
    'restore-test-failed': restoreTest && !restoreTest.ok ? iso(restoreTest.at) : undefined,
    'restore-test-overdue': iso(testSlot),
    'never-decrypted': decrypted && iso(new Date(decrypted.getTime() + limitMs)),
    'two-servers-one-series': first === undefined ? undefined : iso(startedAtOf(first)),
  }
}

const iso = (instant: Date | undefined) => instant?.toISOString()
