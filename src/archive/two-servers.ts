// pure

/** Where a backup was made, as far as that tells servers apart that have the same system identifier: copies of one volume do. */
export type Origin = {
  /** `environment` of the configuration. */
  environment: string | null
  /** Position in the write-ahead log. */
  lsn: string | null
  timeline: number | null
}

/**
 * What shows that another server makes backups of the same series: `behind`, its write-ahead log is not as far as it was;
 * `environment`, the newest one was made for another environment.
 */
export type Conflict = 'behind' | 'environment'

export const conflicts = ['behind', 'environment'] as const

type Earlier = { id: string; origin?: Origin | undefined }

/**
 * Compares a backup with the one before it: where two servers take turns, one of them is behind each time, and once only one goes on,
 * nothing is said any more. A server that became the primary has a later timeline, and is the same one; a log that goes back is that of a
 * copy, or of a server that was set back to an earlier state.
 *
 * @param earlier backups of the series, oldest first
 * @returns the conflict, in words too; undefined where there is none, or nothing is known
 */
export function conflictWith(
  earlier: readonly Earlier[],
  { environment, lsn, timeline }: Origin,
): { conflict: Conflict; why: string } | undefined {
  const known = earlier.flatMap(({ id, origin }) => (origin ? [{ id, ...origin }] : []))
  const position = positionOf(lsn)
  const ahead = known.findLast((one) => one.timeline !== null)
  const isBehind =
    timeline !== null &&
    ahead?.timeline != null &&
    (ahead.timeline > timeline || (ahead.timeline === timeline && positionOf(ahead.lsn) > position && position >= 0n))
  if (isBehind) {
    const why = `its write-ahead log is at ${lsn} of timeline ${timeline}, behind that of ${ahead.id} (${ahead.lsn} of timeline ${ahead.timeline})`
    return { conflict: 'behind', why }
  }
  const newest = known.at(-1)
  if (!newest || newest.environment === null || environment === null || newest.environment === environment)
    return undefined
  return {
    conflict: 'environment',
    why: `${newest.id} was made for environment ${newest.environment}, this one for ${environment}`,
  }
}

/** `16/B374D848` as a number; -1 where it is not known. */
function positionOf(lsn: string | null): bigint {
  const [, high, low] = /^([0-9A-F]+)\/([0-9A-F]+)$/i.exec(lsn ?? '') ?? []
  return high === undefined ? -1n : (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}

/** What to do about two servers that make backups of one series. */
export const twoServersHint =
  'give each environment a `backup.name`, or a store, of its own; if this server was set back to an earlier state, that is all it says'

const recentMs = 7 * 86_400_000

/**
 * Ids of recent backups that another server than that of those before seems to have made, oldest first; undefined if there are none. One
 * change of the environment is a new name for it; two are servers that take turns.
 */
export function recentConflicts(
  backups: readonly { id: string; takenAt: Date; conflict?: Conflict | undefined }[],
  now: Date,
): string[] | undefined {
  const recent = backups.filter(
    ({ conflict, takenAt }) => conflict !== undefined && now.getTime() - takenAt.getTime() < recentMs,
  )
  const takeTurns = recent.filter(({ conflict }) => conflict === 'environment').length > 1
  const found = recent.filter(({ conflict }) => conflict === 'behind' || takeTurns)
  return found.length === 0 ? undefined : found.map(({ id }) => id)
}
